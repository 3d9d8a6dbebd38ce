"""How many clicks an object takes, by the standard protocol: the prompt network beside two methods without training.

    OMP_NUM_THREADS=1 python benchmarks/clicks.py --folder nuclei=FOLDER:instance --folder polyps=FOLDER -o OUT
        [--split val] [--methods medseg,grabcut,random-walker] [--at-most 12] [--an-image 3] [--seed 0] [--threads 1]
        [--weights FILE] [--device cpu] [--no-user] [--in-turn] [--json FILE] [--markdown FILE]

A folder has images/ and masks/ with equal names. With `:instance` each label of a mask is an object; otherwise each is
a class, and its largest component is the object. PNG, JPEG, TIFF, and NIfTI with nibabel installed; volumes are taken
plane by plane. GrabCut needs `pip install opencv-python-headless`. Objects of fewer than 30 pixels are left out.

What is done is kept in OUT, object by object, and not done again with the same settings and weights, so a run that
was stopped goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from clicks_cases import SMALLEST, Case, Folder, find_cases
from clicks_methods import METHODS, MedSeg, method
from clicks_protocol import MOST, Method, play
from clicks_table import OURS, page, row, summary
from clicks_user import with_brush, with_clicks
from scipy import ndimage

from napari_medseg.models.errors import ImageError
from napari_medseg.models.prompts.prompts import Sizes

LAST = 8
"""Objects of a kind whose sizes the panel remembers."""


def main() -> None:
    options = arguments()
    warnings.filterwarnings("ignore", message="The probability range")  # of the random walker's coarse solution
    logging.basicConfig(level=logging.ERROR)
    rows: dict[str, dict[str, Any]] = {}
    notes = [
        f"Objects of images of '{options.split}', {options.an_image} an image at most, drawn with seed {options.seed}. "
        f"An IoU that is never reached counts as {MOST} clicks.",
    ]
    for folder in options.folder:
        draw = {"an_image": options.an_image, "at_most": options.at_most, "seed": options.seed}
        try:
            cases, small = find_cases(folder, options.split, **draw)
        except ImageError as error:
            notes.append(f"- {folder.name}: left out. {error}")
            continue
        whole = "each label is an object" if folder.instances else "the largest component of each label is an object"
        notes.append(f"- {folder.name}: {whole}; {small} below {SMALLEST} pixels left out.")
        for name in options.methods.split(","):
            file = options.out / f"{folder.name}.{name}.jsonl"
            if games := play_all(name, cases, file, options):
                rows.setdefault(folder.name, {})[name] = row(games)
                show(rows, notes, options)
    print(page(rows, notes))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", action="append", required=True, type=folder_of, metavar="NAME=PATH[:instance]")
    parser.add_argument("--split", default="val", help="of splits.json, or all")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder in which what is done is kept")
    parser.add_argument("--methods", default=",".join(METHODS), help="some of the three, with commas")
    parser.add_argument("--at-most", type=int, help="objects a folder, drawn at random")
    parser.add_argument("--an-image", type=int, default=3, help="objects an image at most, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn, and of the simulated user")
    parser.add_argument("--threads", type=int, default=1, help="of the processor")
    parser.add_argument("--weights", type=Path, help="of the prompt network; by default those of the package")
    parser.add_argument("--device", default="auto", help="of the prompt network: cpu, cuda, auto")
    parser.add_argument(
        "--in-turn",
        action="store_true",
        help="tell the prompt network how large the objects before were, as the panel does",
    )
    parser.add_argument(
        "--no-user", action="store_true", help="leave out the simulated user, who tries the prompt network"
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--markdown", type=Path, help="write the table here")
    options = parser.parse_args()
    if unknown := set(options.methods.split(",")) - set(METHODS):
        parser.error(f"there is no method {sorted(unknown)[0]!r}; there are {', '.join(METHODS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def folder_of(text: str) -> Folder:
    """`Folder.of` for argparse."""
    try:
        return Folder.of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def play_all(name: str, cases: list[Case], file: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Games of one method; those in `file` that were played with the same settings are not played again."""
    ready = method(name, weights=options.weights, device=options.device, threads=options.threads)
    settings = f"{ready.settings}; seed {options.seed}" + "; in turn" * options.in_turn
    with_user = name == OURS and not options.no_user
    games = [game for game in kept(file) if game["settings"] == settings and ("user" in game or not with_user)]
    done = {game["case"]: game for game in games}
    with file.open("a", encoding="utf-8") as lines:
        for number, case in enumerate(cases, start=1):
            if case.name in done:
                continue
            if options.in_turn and isinstance(ready, MedSeg):
                ready.sizes = sizes_of([one for one in cases[: number - 1] if one.is_like(case)][-LAST:])
            done[case.name] = {"case": case.name, "settings": settings} | game_of(case, ready)
            if with_user:
                done[case.name]["user"] = sessions(case, ready, options.seed)
            lines.write("\n" + json.dumps(done[case.name]))  # a line of its own, also after one that was cut off
            lines.flush()
            print(f"{file.stem} {number}/{len(cases)}: {case.name}", file=sys.stderr, flush=True)
    return [done[case.name] for case in cases]


def sizes_of(cases: list[Case]) -> Sizes | None:
    """The smallest and the largest longer side of objects, in pixels; None if there are none."""
    boxes = [ndimage.find_objects(case.load()[1].astype(np.uint8))[0] for case in cases]
    sides = [max(side.stop - side.start for side in box) for box in boxes]
    return (min(sides), max(sides)) if sides else None


def kept(file: Path) -> list[dict[str, Any]]:
    """Games of earlier runs; a line that was cut off is none."""
    games = []
    for line in file.read_text("utf-8").splitlines() if file.exists() else []:
        with contextlib.suppress(ValueError):
            games.append(json.loads(line))
    return games


def game_of(case: Case, ready: Method) -> dict[str, Any]:
    """What happened to one object."""
    image, truth = case.load()
    return {"pixels": int(truth.sum())} | asdict(play(ready, image, truth))


def sessions(case: Case, ready: Method, seed: int) -> dict[str, Any]:
    """What the simulated user did with clicks and the brush, and with the brush alone."""
    image, truth = case.load()
    return {"clicks": asdict(with_clicks(ready, image, truth, seed)), "brush": asdict(with_brush(truth, seed))}


def show(rows: dict[str, dict[str, Any]], notes: list[str], options: argparse.Namespace) -> None:
    """Write what is known so far."""
    if options.json:
        found = {"notes": notes, "folders": rows, "summary": summary(rows)}
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(page(rows, notes), encoding="utf-8")


if __name__ == "__main__":
    main()
