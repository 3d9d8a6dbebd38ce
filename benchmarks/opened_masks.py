"""Masks of large images that other programs made: how long they take to open, and to export again, and how much memory.

    python benchmarks/opened_masks.py [--side 8192] [--json FILE]

A mask with an object every 100 pixels is written as a tiled TIFF and as OME-Zarr (NGFF 0.4, labels of 64 bits, one
size). Each is copied into a store of its image's own, as *Open mask* does it, and the last copy is exported as an
OME-TIFF. Each run is a process of its own; memory is the most private memory of it less that at its beginning.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from watching import Watched

from napari_medseg.models.export.pyramid_tiff import write_pyramid
from napari_medseg.models.formats.opened import OpenedImage
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.label_store import LabelStore
from napari_medseg.models.mask_copy import copy_mask
from napari_medseg.models.reading import lazy_mask_on

NAMES = ("tiles.tif", "labels.ome.zarr")
EXPORT = "export.ome.tif"
ROWS = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=8192, help="of the mask, in pixels; a multiple of 512")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--run", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(measured(options.run[0], Path(options.run[1]), options.side)))
        return
    found: dict[str, Any] = {"side": options.side}
    print("| mask | seconds | CPU seconds | MB |", "|---|---|---|---|", sep="\n")
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), options.side)
        for name in (*NAMES, EXPORT):
            found[name] = in_own_process(name, folder)
            print(f"| {name} | " + " | ".join(f"{value:.3g}" for value in found[name].values()) + " |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


def rows_of(side: int, top: int) -> Any:
    """Discs, each with a number of its own: (ROWS, side) uint32."""
    rows, columns = np.arange(top, top + ROWS)[:, None], np.arange(side)
    inside = (rows % 100 - 50) ** 2 + (columns % 100 - 50) ** 2 < 30**2
    return (inside * (rows // 100 * (side // 100 + 1) + columns // 100 + 1)).astype(np.uint32)


def write(folder: Path, side: int) -> None:
    """The mask in each format, some rows at a time."""

    def tiles() -> Iterator[Any]:
        for top in range(0, side, ROWS):
            yield from np.moveaxis(rows_of(side, top).reshape(ROWS, -1, ROWS), 1, 0)

    settings: dict[str, Any] = {"shape": (side, side), "dtype": np.uint32, "compression": "zlib"}
    tifffile.imwrite(folder / "tiles.tif", tiles(), tile=(ROWS, ROWS), **settings)
    axes = [{"name": axis, "type": "space"} for axis in "yx"]
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}]
    attributes = {"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}], "image-label": {}}
    group = zarr.open_group(folder / "labels.ome.zarr", mode="w", zarr_format=2, attributes=attributes)
    array = group.create_array("0", shape=(side, side), chunks=(1024, 1024), dtype=np.int64)
    for top in range(0, side, ROWS):
        array[top : top + ROWS] = rows_of(side, top)


def in_own_process(name: str, folder: str) -> dict[str, float]:
    """The figures of one run."""
    command = [sys.executable, __file__, *sys.argv[1:], "--run", name, folder]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{name} failed:\n{ran.stderr}")
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def measured(name: str, folder: Path, side: int) -> dict[str, float]:
    """Open the mask, or export the one that was opened last."""
    image = MedicalImage(np.broadcast_to(np.uint8(0), (side, side)), "YX")
    with Watched() as watched:
        if name == EXPORT:
            write_pyramid(folder / name, LabelStore.open(folder / f"{NAMES[-1]} copy"), image)
        else:
            values = lazy_mask_on(folder / name, OpenedImage(image, ""))
            copy_mask(values, folder / f"{name} copy", image, called=name)
    return {"seconds": watched.seconds, "cpu_seconds": watched.cpu_seconds, "mb": watched.extra / 1e6}


if __name__ == "__main__":
    main()
