import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.pixels import PixelStore

ADDS = """
import itertools, sys, numpy as np
from napari_medseg.trainer.ledger import Ledger
noise = np.random.default_rng()
mask = np.eye(40)
with Ledger.open(sys.argv[1]) as ledger:
    print("ready", flush=True)
    for i in itertools.count():
        if i % 3 == 0:
            image = noise.integers(0, 255, (40, 40), np.uint8)
        record = ledger.add(image, np.roll(mask, i % 3, axis=0), predicted=mask, group=str(i % 5))
        print("accepted", record.image_key, record.mask_key, flush=True)
"""
VERSIONS = """
import itertools, sys
from napari_medseg.trainer.ledger import Ledger
with Ledger.open(sys.argv[1]) as ledger:
    print("ready", flush=True)
    for i in itertools.count():
        version = ledger.add_version(b"%d" % i * 50_000, {"i": i}, "nuclei", {}, "", activate=True)
        print("accepted", version.name, version.sha256, flush=True)
"""
Forked = Callable[[Callable[[], str]], str]


def killed_at_a_random_moment(program: str, folder: Path, moment: random.Random) -> list[tuple[str, str]]:
    """What the program said it had accepted before it was killed in mid-work."""
    child = subprocess.Popen([sys.executable, "-c", program, folder], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(1 + moment.randrange(12))]
    try:
        child.wait(moment.uniform(0, 0.03))
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
    lines += child.communicate()[0].splitlines()
    assert child.returncode == -signal.SIGKILL
    # A line that was cut off has no two keys; `add` had returned for it, but nobody was told.
    return [(words[1], words[2]) for words in map(str.split, lines) if words[:1] == ["accepted"] and len(words) == 3]


@pytest.mark.parametrize("seed", range(5))
def test_what_was_accepted_survives_a_kill_at_any_moment(tmp_path: Path, seed: int) -> None:
    moment = random.Random(seed)
    told = []
    for kill in range(2):
        told += killed_at_a_random_moment(ADDS, tmp_path, moment)
        with Ledger.open(tmp_path) as ledger:
            records = ledger.corrections(all=True)
            kept = [(r.image_key, r.mask_key) for r in records]
            assert [pair for pair in kept if pair in told] == told
            assert len(kept) - len(told) <= kill + 1  # the one that it was killed over, each time
            assert ledger.verify() == []
            assert PixelStore(tmp_path).verify() == []
            assert all(ledger.load_image(r).data.shape == ledger.load_mask(r).shape == (40, 40) for r in records)
            ledger.add(np.zeros((40, 40)), np.full((40, 40), kill))
            told.append((ledger.corrections()[-1].image_key, ledger.corrections()[-1].mask_key))


@pytest.mark.parametrize("seed", range(3))
def test_a_version_is_there_whole_or_not_at_all_after_a_kill(tmp_path: Path, seed: int) -> None:
    told = killed_at_a_random_moment(VERSIONS, tmp_path, random.Random(seed))
    with Ledger.open(tmp_path) as ledger:
        versions = ledger.models()
        assert [(v.name, v.sha256) for v in versions][: len(told)] == told
        assert 0 <= len(versions) - len(told) <= 1
        assert ledger.verify() == []
        assert ledger.active() == (versions[-1].name if versions else "nuclei")
        assert ledger.add_version(b"w", {}, "nuclei", {}, "", activate=True).name == f"v{len(versions) + 1}"
        assert ledger.verify() == []


def together(program: str, folder: Path, processes: int) -> list[list[str]]:
    """The words of each of several processes that start at once."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, folder, str(i)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for i in range(processes)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate()[0].split() for child in children]
    assert [child.returncode for child in children] == [0] * processes
    return said


START = """
import sys, numpy as np
from napari_medseg.models.errors import LedgerError
from napari_medseg.trainer.ledger import AlreadyAccepted, Ledger
who = int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
"""


def test_two_processes_that_add_at_once_lose_nothing(tmp_path: Path) -> None:
    program = f"""{START}
with Ledger.open(sys.argv[1]) as ledger:
    for i in range(25):
        print(ledger.add(np.full((9, 9), 100 * who + i), np.eye(9)).id)
"""
    said = together(program, tmp_path, 2)
    with Ledger.open(tmp_path) as ledger:
        records = ledger.corrections()
        assert [r.id for r in records] == sorted(int(word) for words in said for word in words) == list(range(1, 51))
        assert {int(ledger.load_image(r).data[0, 0]) for r in records} == {*range(25), *range(100, 125)}
        assert ledger.changes() == 50
        assert ledger.verify() == []


def test_processes_that_want_the_same_thing_at_once_get_it_once(tmp_path: Path) -> None:
    program = f"""{START}
with Ledger.open(sys.argv[1]) as ledger:
    for i in range(10):
        try:
            print("added", ledger.add(np.full((9, 9), i), np.eye(9)).id)
        except AlreadyAccepted as error:
            print("there", error.record.id)
    try:
        print("started", ledger.start_job("nuclei", {{}}).id)
    except LedgerError:
        print("waits", ledger.unfinished_job().id)
    print("version", ledger.add_version(b"%d" % who, {{}}, "nuclei", {{}}, "", activate=True).name)
"""
    words = [word for said in together(program, tmp_path, 3) for word in said]
    assert words.count("added") == 10
    assert words.count("there") == 20
    assert (words.count("started"), words.count("waits")) == (1, 2)
    assert {"v1", "v2", "v3"} < set(words)
    with Ledger.open(tmp_path) as ledger:
        assert len(ledger.corrections(all=True)) == 10
        assert [m.name for m in ledger.models()] == ["v1", "v2", "v3"]
        assert ledger.verify() == []


def test_processes_may_make_the_project_at_once(tmp_path: Path, forked: Forked) -> None:
    """Forked, so that they meet: a start of Python takes longer than making a project."""

    def task() -> str:
        for round_ in range(8):
            folder = tmp_path / str(round_)
            children = []
            reading, writing = os.pipe()
            for _ in range(4):
                child = os.fork()
                if child == 0:
                    code = 1
                    try:
                        os.close(writing)
                        os.read(reading, 1)  # returns for all at once, when the parent closes its end
                        with Ledger.open(folder) as ledger:
                            code = 0 if ledger.active() == "nuclei" else 2
                    finally:
                        os._exit(code)
                children.append(child)
            os.close(reading)
            os.close(writing)
            if any(os.waitpid(child, 0)[1] for child in children):
                return f"round {round_} failed"
        return "all opened it"

    assert forked(task) == "all opened it"
