"""How much of an object the image shows by its brightness: the best IoU of a threshold that is chosen knowing the mask.

Around each object the image is blurred by several widths, cut off at many brightnesses from below or from above, and
of the pieces the one is taken that holds most of the object, with and without its holes filled. Where even the best of
all these is far from the mask, the mask does not follow borders that the image shows, and clicks have to trace it.

    python benchmarks/threshold_ceiling.py --folder vessels=FOLDER [--split all] [--at-most 12] [--seed 0] [--json FILE]

Folders, and which of their objects are drawn, are those of `clicks.py`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from clicks_cases import Case, Folder, find_cases
from clicks_protocol import Mask, iou
from scipy import ndimage

BLURS = (0.5, 1.0, 1.5, 2.5)
"""Standard deviations, in pixels."""

SHARES = (1, 2, 5, 10, 15, 20, 30, 40)
"""Per cent of the object that a threshold leaves out."""

AROUND = 8
"""Pixels that are looked at around an object, beside half its size."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", action="append", required=True, type=Folder.of, metavar="NAME=PATH[:instance]")
    parser.add_argument("--split", default="all")
    parser.add_argument("--at-most", type=int, default=12)
    parser.add_argument("--an-image", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, list[float]] = {}
    for folder in options.folder:
        draw = {"an_image": options.an_image, "at_most": options.at_most, "seed": options.seed}
        found[folder.name] = sorted(best(case) for case in find_cases(folder, options.split, **draw)[0])
        shown = " ".join(f"{value:.2f}" for value in found[folder.name])
        print(f"{folder.name}: median {np.median(found[folder.name]):.2f}; {shown}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


def best(case: Case) -> float:
    """The best IoU of any threshold with an object."""
    image, truth = case.load()
    grey = np.asarray(image.data, np.float64)
    grey = grey[..., :3].mean(-1) if grey.ndim == 3 else grey
    box = around(truth)
    return max(iou(piece, truth[box]) for piece in pieces(grey[box], truth[box]))


def around(truth: Mask) -> tuple[slice, slice]:
    """The box around an object and what is near."""
    rows, columns = (np.flatnonzero(truth.any(axis)) for axis in (1, 0))
    room = (max(np.ptp(rows), np.ptp(columns)) + 1) // 2 + AROUND
    top, left = max(0, rows[0] - room), max(0, columns[0] - room)
    return slice(top, rows[-1] + room + 1), slice(left, columns[-1] + room + 1)


def pieces(grey: npt.NDArray[np.float64], truth: Mask) -> Iterator[Mask]:
    """For each blur and threshold, what hangs together and holds most of the object."""
    for blur in BLURS:
        for bright in (1, -1):
            levels = bright * ndimage.gaussian_filter(grey, blur)
            for least in np.percentile(levels[truth], SHARES):
                regions, _ = ndimage.label(levels >= least)
                largest = np.bincount(regions[truth & (regions > 0)]).argmax()
                yield regions == largest
                yield ndimage.binary_fill_holes(regions == largest)


if __name__ == "__main__":
    main()
