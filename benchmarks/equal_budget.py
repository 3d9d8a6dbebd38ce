"""What each network learns in the same time: `medseg train` and `medseg evaluate`, a cell of the table each time.

Every cell trains from fresh weights for the same minutes of wall-clock time, validation included, on the same images;
the U-Net without a head is the rival. A data set is a folder with images/, masks/ and splits.json: its "val" is only
tested on, and a seeded part of its "train" validates, so that the best checkpoint is not chosen by the test.

    python benchmarks/equal_budget.py --data nuclei=FOLDER --data polyps=FOLDER@160 -o OUT [--large polyps]
        [--crop 128] [--budget 10] [--seeds 0 1] [--at-once 2] [--share 0.5] [--markdown docs/equal-budget.md]

`@160` first brings each image to 160 px on its longer side, so that a network sees enough of it in little time.
Cells that are done are not done again, so a run that was stopped goes on. With `--at-once 2` two cells train beside
each other on different halves of the cores (Linux). `--share 0.3` gives each training 0.3 of a core and never more
(Linux, as root), so that cells stay equal on a machine that does other work, too.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from core_share import core_share
from equal_budget_table import Cell, page
from PIL import Image

SMALL = ("unet", "ascseg", "sosegformer")
LARGE = ("hastnet", "msa2net")
"""Networks that reach a few epochs at most in the time of a cell without a GPU."""

HELD = 0.15
"""Share of the training images that validates."""

EVALUATE = """
import json, sys
from napari_medseg.trainer import evaluate
print(json.dumps(evaluate(sys.argv[1], sys.argv[2]).to_json()))
"""
"""What `medseg evaluate` does, without an engine."""


@dataclass(frozen=True)
class Place:
    """Where a cell trains: on some of the cores, perhaps with a share of one."""

    number: int
    cores: frozenset[int]
    share: float | None

    def enter(self) -> Callable[[], None]:
        """What a new process calls to be here."""
        join = core_share(f"cell-{self.number}", self.share) if self.share else None

        def begin() -> None:
            if self.cores:
                os.sched_setaffinity(0, self.cores)
            if join:
                join()

        return begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, metavar="NAME=FOLDER[@SIDE]")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for weights and figures")
    parser.add_argument("--large", nargs="*", default=[], help="data sets that the large networks train on, too")
    parser.add_argument("--crop", type=int, default=128, help="side of what a network sees of an image, in pixels")
    parser.add_argument("--budget", type=float, default=10.0, help="minutes a cell")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--at-once", type=int, default=1, help="cells beside each other")
    parser.add_argument("--share", type=float, help="of a core for each training, e.g. 0.3; all it gets by default")
    parser.add_argument("--markdown", type=Path, help="write the table here")
    options = parser.parse_args()
    folders = {}
    for text in options.data:
        name, _, source = text.partition("=")
        source, _, side = source.partition("@")
        folders[name] = prepared(Path(source).absolute(), options.out / "data" / name, int(side or 0))
    cells = plan(list(folders), options.large, options.seeds)
    places: SimpleQueue[Place] = SimpleQueue()
    for number in range(options.at_once):
        places.put(Place(number, cores_of(number, options.at_once), options.share))
    with ThreadPoolExecutor(options.at_once) as threads:
        for job in [threads.submit(run, cell, folders[cell.data], options, places) for cell in cells]:
            job.result()
    done = {cell: found for cell in cells if (found := figures(options.out / cell.name))}
    text = page(done, options.budget, options.at_once, options.share, len(cells))
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    summary = [asdict(cell) | found for cell, found in done.items()]
    (options.out / "cells.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")


def plan(data: list[str], large: list[str], seeds: list[int]) -> list[Cell]:
    """All cells, those of the first seed first."""
    pairs = [(name, network) for name in data for network in SMALL + (LARGE if name in large else ())]
    return [Cell(name, net, head, seed) for seed, (name, net), head in itertools.product(seeds, pairs, (False, True))]


def prepared(source: Path, folder: Path, side: int) -> Path:
    """A folder with the source's images and masks, brought to `side` px unless that is 0, and splits of three parts."""
    for part, way in (("images", Image.Resampling.LANCZOS), ("masks", Image.Resampling.NEAREST)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for file in sorted((source / part).glob("*.png")):
            with Image.open(file) as picture:
                factor = side / max(picture.size) if side else 1.0
                size = tuple(round(factor * pixels) for pixels in picture.size)
                (picture.resize(size, way) if side else picture).save(folder / part / file.name)
    splits = json.loads((source / "splits.json").read_text("utf-8"))
    train = sorted(splits["train"])
    random.Random(0).shuffle(train)
    held = round(HELD * len(train))
    parts = {"train": sorted(train[held:]), "val": sorted(train[:held]), "test": sorted(splits["val"])}
    (folder / "splits.json").write_text(json.dumps(parts, indent=1), encoding="utf-8")
    return folder


def cores_of(number: int, of: int) -> frozenset[int]:
    """The cores of one of so many places, one at least, which others may use, too; none where none can be chosen."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return frozenset(cores[number::of] or cores[number % len(cores) :][:1] if cores else [])


def run(cell: Cell, folder: Path, options: argparse.Namespace, places: SimpleQueue[Place]) -> None:
    """Train and test one cell, unless that was done before; one that fails leaves its log, and the others go on."""
    out = options.out / cell.name
    if figures(out):
        return
    out.mkdir(parents=True, exist_ok=True)
    train = ["train", folder, "--model", cell.network, "--recipe", "quick", "--budget", options.budget]
    train += ["--crop", options.crop]
    train += ["--seed", cell.seed, "-o", out / "training", *(["--adstnet"] if cell.adstnet else [])]
    place = places.get()
    try:
        medseg = [sys.executable, "-m", "napari_medseg.cli", *map(str, train), "--json"]
        trained = answer(medseg, out, place.enter())
    finally:
        places.put(place)
    tested = trained and answer([sys.executable, "-c", EVALUATE, str(folder), trained["weights"]], out)
    if not trained or not tested:
        print(f"{cell.name} failed; see {out / 'log.txt'}", file=sys.stderr)
        return
    (out / "cell.json").write_text(json.dumps({"training": trained, "test": tested}, indent=1), encoding="utf-8")
    shutil.rmtree(out / "training")  # the large networks' weights would fill the disk
    print(f"{cell.name}: Dice {tested['dice']:.3f} after {trained['epochs']:.1f} epochs", file=sys.stderr)


def answer(command: list[str], out: Path, begin: Callable[[], None] | None = None) -> dict[str, Any] | None:
    """The JSON in a command's last line, or None if it failed; what it says goes to `out`/log.txt."""
    with (out / "log.txt").open("a", encoding="utf-8") as log:
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=begin)
        log.write(done.stdout)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def figures(out: Path) -> dict[str, Any]:
    """What a cell that is done has found; {} for one that is not."""
    file = out / "cell.json"
    return json.loads(file.read_text("utf-8")) if file.exists() else {}


if __name__ == "__main__":
    main()
