"""Prompts in the engine: past its jobs, quickly, and through the death of the predictor."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.models import MedicalImage, ModelCard, create_model, save_model
from napari_medseg.models.engine.client import Engine, Job
from napari_medseg.models.engine.gate import Gate
from napari_medseg.models.engine.prompter import KEPT, Prompter, UnknownSession
from napari_medseg.models.engine.region import NOTHING, Region
from napari_medseg.models.errors import CancelledError, EngineError, ImageNotSentError, PromptError
from napari_medseg.models.prompts import Prompts, PromptSegmenter
from napari_medseg.models.prompts.window import Window

from ..held_processes import WAIT
from .engine_support import with_tasks

CLICK = Prompts().click((30, 40))

engine_only = pytest.mark.skipif(os.name == "nt", reason="uses signals")


COUNTING = """
def threads_of_prompts(*, progress, cancel):
    import torch
    from napari_medseg.models.engine import prompter
    return prompter._thread().submit(torch.get_num_threads).result()
"""
"""Written where the engine's processes import from."""


@pytest.fixture(scope="module")
def engine(engine_environment: Path) -> Iterator[Engine]:
    (with_tasks(engine_environment) / "counting.py").write_text(COUNTING)
    engine = Engine.connect()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("weights") / "tiny"
    save_model(create_model("unet", base=4), file, ModelCard(name="t", title="T", network="unet", config={"base": 4}))
    return f"{file}.safetensors"


@pytest.fixture(scope="module")
def prompter() -> Prompter:
    return Prompter(PromptSegmenter.load)


def discs(*middles: tuple[int, int], shape: tuple[int, int] = (96, 128)) -> MedicalImage:
    """Bright discs of 10 pixels radius on a dark, noisy ground."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = np.random.default_rng(0).normal(20, 3, shape)
    for row, column in middles:
        image += 120 * ((rows - row) ** 2 + (columns - column) ** 2 < 10**2)
    return MedicalImage(image.clip(0, 255).astype(np.uint8), "YX")


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@engine_only
class TestInTheEngine:
    def test_a_click_gives_the_object_under_it(self, engine: Engine) -> None:
        image = discs((30, 40), (60, 90))
        engine.prompt_start("discs", image)

        answer = engine.prompt("discs", CLICK, NOTHING)

        assert iou(answer.full((96, 128)), discs((30, 40)).data > 80) > 0.7

    def test_images_that_are_forgotten_are_kept_nowhere(self, engine: Engine) -> None:
        for name in ("kept", "forgotten"):
            engine.prompt_start(name, discs((30, 40)))
            engine.prompt(name, CLICK, NOTHING)

        engine.prompt_forget(["forgotten", "never heard of"])

        with pytest.raises(ImageNotSentError):
            engine.prompt("forgotten", CLICK, NOTHING)
        assert engine.prompt("kept", CLICK, NOTHING).mask.any()

    def test_the_window_keeps_no_more_images_than_fit_and_the_predictor_answers_all_the_same(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("napari_medseg.models.engine.prompt_line.KEPT_BYTES", 30_000)
        for name in ("first", "second", "third"):
            engine.prompt_start(name, discs((30, 40)))  # 12 kB

        assert list(engine._prompts._images) == ["second", "third"]
        assert engine.prompt("first", CLICK, NOTHING).mask.any()

    def test_a_prompt_does_not_wait_behind_a_segmentation(self, engine: Engine, tiny: str) -> None:
        engine.prompt_start("discs", discs((30, 40)))
        engine.prompt("discs", CLICK, NOTHING)
        shares: queue.Queue[float] = queue.Queue()
        job = endless(engine, tiny, shares.put)
        shares.get(timeout=WAIT)

        engine.prompt("discs", CLICK.click((30, 44)), NOTHING)

        assert not job.done
        job.cancel()
        with pytest.raises(CancelledError):
            job.result(WAIT)

    def test_a_segmentation_beside_prompts_comes_to_its_end_with_the_same_answer(
        self, engine: Engine, tiny: str
    ) -> None:
        image = MedicalImage(np.random.default_rng(0).integers(0, 255, (200, 200), dtype=np.uint8), "YX")
        alone = engine.segment(image, tiny, tile=128).result(WAIT)
        engine.prompt_start("discs", discs((30, 40)))

        job = engine.segment(image, tiny, tile=128)
        while not job.done:
            engine.prompt("discs", CLICK, NOTHING)

        np.testing.assert_array_equal(job.result(WAIT).labels, alone.labels)

    def test_still_one_job_at_a_time(self, engine: Engine, tiny: str) -> None:
        """The second one does not begin while the first one runs, prompts or no prompts."""
        first_shares: queue.Queue[float] = queue.Queue()
        begun = threading.Event()
        engine.prompt_start("discs", discs((30, 40)))
        first = endless(engine, tiny, first_shares.put)
        first_shares.get(timeout=WAIT)
        second = endless(engine, tiny, lambda _: begun.set())

        for _ in range(3):
            engine.prompt("discs", CLICK, NOTHING)
            first_shares.get(timeout=WAIT)

        assert not begun.is_set()
        for job in (second, first):
            job.cancel()
            with pytest.raises(CancelledError):
                job.result(WAIT)

    def test_a_predictor_that_died_gets_the_image_again(self, engine: Engine) -> None:
        engine.prompt_start("discs", discs((30, 40)))
        before = engine.prompt("discs", CLICK, NOTHING)
        os.kill(_predictor(engine), signal.SIGKILL)

        after = engine.prompt("discs", CLICK, NOTHING)

        np.testing.assert_array_equal(after.full((96, 128)), before.full((96, 128)))

    def test_one_whose_death_the_scheduler_does_not_know_of_yet_is_not_asked_again(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine.prompt_start("discs", discs((30, 40)))
        line, asked = engine._prompts, engine._client.run_on_scheduler
        dead, told, pid = line._address, iter(range(8)), _predictor(engine)
        monkeypatch.setattr(
            engine._client, "run_on_scheduler", lambda what: dead if next(told, None) is not None else asked(what)
        )
        os.kill(pid, signal.SIGKILL)

        assert engine.prompt("discs", CLICK, NOTHING).full((96, 128))[30, 40]

    def test_a_prompt_about_no_image_is_refused(self, engine: Engine) -> None:
        with pytest.raises(EngineError, match="No image was sent"):
            engine.prompt("never sent", CLICK, NOTHING)

    def test_a_prompt_on_a_plane_that_is_not_there_is_refused_in_words(self, engine: Engine) -> None:
        engine.prompt_start("discs", discs((30, 40)))

        with pytest.raises(PromptError, match="plane"):
            engine.prompt("discs", Prompts().click((1, 1), plane=(7,)), NOTHING)

    def test_a_segmentation_and_a_prompt_leave_a_core_to_the_window(self, engine: Engine, tiny: str) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        engine.prompt_start("discs", discs((30, 40)))
        engine.segment(discs((30, 40)), tiny).result(WAIT)
        engine.prompt("discs", CLICK, NOTHING)

        assert engine.submit("predictor", "counting:threads_of_prompts").result(WAIT) == max(1, cores - 1)


class TestPrompter:
    def test_an_image_that_was_not_sent_is_asked_for(self, prompter: Prompter) -> None:
        with pytest.raises(UnknownSession):
            prompter.propose("unknown", CLICK, NOTHING)

    def test_images_that_were_not_used_for_long_give_way(self, prompter: Prompter) -> None:
        for number in range(KEPT + 1):
            prompter.start(str(number), discs((30, 40)))

        with pytest.raises(UnknownSession):
            prompter.propose("0", CLICK, NOTHING)
        assert prompter.propose(str(KEPT), CLICK, NOTHING).mask.any()

    def test_a_correction_goes_on_from_what_the_object_is(self, prompter: Prompter) -> None:
        """The same click adds to an empty object, and takes from one that is there, as its sign says."""
        image = discs((30, 40), (30, 90))
        both = image.data > 80
        prompter.start("two", image)
        rows, columns = slice(0, 96), slice(0, 128)
        without = Prompts().click((30, 90), positive=False)

        answer = prompter.propose("two", without, Region.of((rows, columns), both)).full((96, 128))

        assert answer[30, 40]
        assert not answer[30, 90]

    def test_a_prompt_taken_back_leaves_no_trace(self, prompter: Prompter) -> None:
        image = discs((30, 40), (60, 90))
        prompter.start("two", image)
        once = prompter.propose("two", CLICK, NOTHING).full((96, 128))
        more = CLICK.click((60, 90))
        prompter.propose("two", more, Region.of((slice(0, 96), slice(0, 128)), once))

        again = prompter.propose_anew("two", more.without(1), NOTHING).full((96, 128))

        np.testing.assert_array_equal(again, once)

    def test_what_is_asked_twice_is_answered_once(self, prompter: Prompter) -> None:
        """First while the mouse is held, then when it is let go."""
        prompter.start("one", discs((30, 40)))
        answer = prompter.propose("one", CLICK, NOTHING)
        assert prompter.propose("one", CLICK, NOTHING) is answer
        more, now = CLICK.click((36, 44)), Region.of(answer.box, answer.mask)

        assert prompter.propose("one", more, now) is prompter.propose("one", more, now)

    def test_dark_and_bright_are_what_the_caller_says(self, prompter: Prompter) -> None:
        """Two planes of one volume, of which one is dark: its brightest pixel must not be shown as bright."""
        limits = np.array([[0.0, 4000.0]])
        dark = MedicalImage(discs((30, 40)).data // 8, "YX")
        looked = Window.around((0, 0), (95, 127), 128)

        prompter.start("in a volume", dark, limits)
        in_a_volume, _ = prompter._segmenter._plane(()).look(looked)
        prompter.start("alone", dark)
        alone, _ = prompter._segmenter._plane(()).look(looked)

        assert float(in_a_volume.max()) < 0.01
        assert float(alone.max()) > 0.9

    def test_sessions_take_turns(self, prompter: Prompter) -> None:
        prompter.start("one", discs((30, 40)))
        prompter.start("other", discs((60, 90)))
        at = Prompts().click((60, 90))

        first = prompter.propose("one", CLICK, NOTHING).full((96, 128))
        other = prompter.propose("other", at, NOTHING).full((96, 128))

        np.testing.assert_array_equal(prompter.propose("one", CLICK, NOTHING).full((96, 128)), first)
        assert other[60, 90]
        assert not other[30, 40]


class TestRegion:
    def test_travels_as_bits_and_comes_back_the_same(self) -> None:
        mask = np.random.default_rng(0).random((13, 7)) > 0.5
        region = Region.of((slice(3, 16), slice(5, 12)), mask)

        assert region.bits.nbytes == 12  # 91 bits
        np.testing.assert_array_equal(region.mask, mask)
        np.testing.assert_array_equal(region.on_plane((20, 20))[3:16, 5:12], mask)

    def test_nothing_is_nothing_on_any_plane(self) -> None:
        assert not NOTHING.on_plane((5, 5)).any()
        assert NOTHING.equals(NOTHING)
        assert not NOTHING.equals(None)


class TestGate:
    def test_a_step_waits_for_a_prompt_and_then_goes_on(self) -> None:
        gate, passed = Gate(linger=0.01, longest=WAIT), threading.Event()
        with gate.closed():
            walker = threading.Thread(target=lambda: (gate.wait(), passed.set()))
            walker.start()
            assert not passed.wait(0.05)
        assert passed.wait(WAIT)
        walker.join()

    def test_an_open_gate_holds_nobody_up(self) -> None:
        began = time.monotonic()
        Gate(linger=WAIT, longest=WAIT).wait()
        assert time.monotonic() - began < WAIT / 2

    def test_nobody_waits_for_ever(self) -> None:
        gate = Gate(linger=WAIT, longest=0.01)
        with gate.closed():
            gate.wait()
        gate.wait()


def endless(engine: Engine, model: str, progress: Callable[[float], None]) -> Job:
    """A segmentation that has no end until it is cancelled, however quick the machine is."""
    image = MedicalImage(np.zeros((300, 300), np.uint8), "YX")
    return engine.submit("predictor", "tasks:segment_for_ever", image, model, tile=64, progress=progress)


def _predictor(engine: Engine) -> int:
    pids = engine._client.run(os.getpid)
    roles = engine._client.run_on_scheduler(
        lambda dask_scheduler: {w.address: w.name for w in dask_scheduler.workers.values()}
    )
    return next(pid for address, pid in pids.items() if roles[address] == "predictor")
