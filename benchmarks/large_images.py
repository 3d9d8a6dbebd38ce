"""Large images: throughput, memory and agreement, beside MONAI's sliding window with the same network.

    python benchmarks/large_images.py [--side 8192] [--depth 200] [--plane 512] [--tile 512] [--overlap 0.25]
        [--threads 2] [--network nuclei] [--only slide,volume] [--methods medseg,monai] [--device cpu] [--json FILE]

A slide of `side` x `side` RGB pixels and a volume of `depth` slices of `plane` x `plane` grey ones, both made here, are
segmented by MedSeg, which streams to a mask on disk, and by MONAI's `sliding_window_inference` (for the volume, slice
by slice through its `SliceInferer`): same weights, tiles and overlap, no tile skipped, blending by MONAI's Gaussian
and by our raised cosine.

Each run is a process of its own. The image lies in a file that is mapped into memory; the mapped pages are not counted.
Memory is the most that the process had (sampled every 5 ms: private pages, RSS less file-backed pages) less what it had
when the network had answered once for one tile of 64 x 64 pixels and the image was open. MONAI gets the image as
float32, as it wants it, and that copy is not counted as its own: it counts as the input.

Wall time is what the targets are about; CPU time (of all threads) is given beside it, since it bears a machine that is
busy with other things. The agreement is the share of pixels with the same label, and Dice of the foreground.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import machine
from watching import Watched

from napari_medseg.models import MedicalImage, load_model, predict
from napari_medseg.models.allocation import keep_freed
from napari_medseg.models.intensity import intensity_limits, match_channels, normalise
from napari_medseg.models.label_store import LabelStore

METHODS = ("medseg", "monai")
CASES = ("slide", "volume")


def main() -> None:
    options = arguments()
    if options.run:
        print(json.dumps(measured(*options.run, options)))
        return
    found: dict[str, Any] = {"machine": machine(torch.device(options.device)), "options": said(options)}
    with tempfile.TemporaryDirectory() as folder:
        for case in options.only.split(","):
            image = Path(folder) / f"{case}.npy"
            make(case, image, options)
            runs = {method: in_own_process(case, method, folder) for method in options.methods.split(",")}
            found[case] = runs | (compared(case, folder, runs) if len(runs) > 1 else {})
            print(table(case, found[case]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=8192, help="of the slide, in pixels")
    parser.add_argument("--depth", type=int, default=200, help="slices of the volume")
    parser.add_argument("--plane", type=int, default=512, help="side of a slice of the volume, in pixels")
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--overlap", type=float, default=0.25)
    parser.add_argument("--batch", type=int, default=1, help="tiles at once, for both")
    parser.add_argument("--threads", type=int, default=2, help="of the processor")
    parser.add_argument("--network", default="nuclei", help="a U-Net: name of a model, or a weights file")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default=",".join(CASES), help="some of the two, with commas")
    parser.add_argument("--methods", default=",".join(METHODS), help="some of the two, with commas")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--run", nargs=3, metavar=("CASE", "METHOD", "FOLDER"), help=argparse.SUPPRESS)
    return parser.parse_args()


def said(options: argparse.Namespace) -> dict[str, Any]:
    """What was asked for."""
    return {name: value for name, value in vars(options).items() if name not in ("run", "json")}


def make(case: str, file: Path, options: argparse.Namespace) -> None:
    """Discs of all sizes on a noisy ground, row by row: uint8, (side, side, 3) or (depth, plane, plane)."""
    random = np.random.default_rng(0)
    shape = (options.side,) * 2 + (3,) if case == "slide" else (options.depth, options.plane, options.plane)
    pixels = np.lib.format.open_memmap(file, "w+", np.uint8, shape)
    for start in range(0, shape[0], 256 if case == "slide" else 1):
        part = pixels[start : start + 256] if case == "slide" else pixels[start]
        high, wide = part.shape[:2]
        grey = random.normal(30, 6, (high, wide)).astype(np.float32)
        for _ in range(high * wide // 1500):
            r, c, radius = random.integers(high), random.integers(wide), random.integers(4, 14)
            box = slice(max(0, r - radius), r + radius), slice(max(0, c - radius), c + radius)
            rows, columns = np.ogrid[box[0].start : min(box[0].stop, high), box[1].start : min(box[1].stop, wide)]
            grey[box][(rows - r) ** 2 + (columns - c) ** 2 < radius**2] += 90
        grey = grey.clip(0, 255)
        part[:] = grey[..., None] * np.array([0.8, 0.9, 1.0]) if case == "slide" else grey
    pixels.flush()


def in_own_process(case: str, method: str, folder: str) -> dict[str, Any]:
    """The figures of one run."""
    command = [sys.executable, __file__, *sys.argv[1:], "--run", case, method, folder]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{method} failed on the {case}:\n{ran.stderr}")
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def measured(case: str, method: str, folder: str, options: argparse.Namespace) -> dict[str, Any]:
    """Segment the image of a case; the mask is left in the folder."""
    torch.set_num_threads(options.threads)
    network = load_model(options.network).eval().to(options.device)
    pixels = np.load(Path(folder) / f"{case}.npy", mmap_mode="r")
    channels = network.card.in_channels
    data = pixels if case == "slide" else pixels[..., None]
    given = as_float(data, channels) if method == "monai" else data
    mask = Path(folder) / f"{case}-{method}"
    small = argparse.Namespace(**vars(options) | {"tile": 64})
    if method == "medseg":  # libraries and kernels; predicting also lays out the weights, which MONAI does not
        keep_freed()  # as in MedSeg's own processes
        warm = mask.with_suffix(".warm.ome.zarr")
        predict(network, np.zeros((64, 64), np.uint8), device=options.device, tile=64, out=warm)
    else:
        by_monai(network, given[..., :64, :64], case, small)
    with Watched() as watched:
        if method == "medseg":
            image = MedicalImage(pixels, "YXC" if case == "slide" else "ZYX")
            settings = {"tile": options.tile, "overlap": options.overlap, "batch": options.batch}
            predict(network, image, device=options.device, out=mask.with_suffix(".ome.zarr"), **settings)
        else:
            np.save(mask.with_suffix(".npy"), by_monai(network, given, case, options))
    count = int(np.prod(data.shape[:-1]))
    figures = {"mpx_per_s": count / 1e6 / watched.seconds, "mpx_per_cpu_s": count / 1e6 / watched.cpu_seconds}
    return figures | {"seconds": watched.seconds, "cpu_seconds": watched.cpu_seconds, "extra_mb": watched.extra / 1e6}


def as_float(data: Any, channels: int) -> torch.Tensor:
    """What MONAI is given, scaled as we do: (1, C, Y, X) for the slide, (1, C, Z, Y, X) for the volume."""
    limits = intensity_limits(data)
    planes = data[None] if data.ndim == 3 else data
    scaled = torch.empty((len(planes), channels, *planes.shape[1:3]))
    for number, plane in enumerate(planes):
        for top in range(0, plane.shape[0], 512):
            rows = normalise(np.asarray(plane[top : top + 512]), limits)
            scaled[number, :, top : top + 512] = torch.from_numpy(np.ascontiguousarray(rows))
    if match_channels(data[:1, :1], channels).shape[-1] != channels:
        raise SystemExit("The network reads another number of channels.")
    return scaled if data.ndim == 3 else scaled.movedim(0, 1)[None]


@torch.inference_mode()
def by_monai(network: torch.nn.Module, image: torch.Tensor, case: str, options: argparse.Namespace) -> Any:
    """The mask by MONAI's sliding window: (Y, X) or (Z, Y, X) uint8."""
    from monai.inferers import SliceInferer, SlidingWindowInferer

    settings = {"sw_batch_size": options.batch, "overlap": options.overlap, "mode": "gaussian"}
    tile = (options.tile, options.tile)

    def probability(tiles: torch.Tensor) -> torch.Tensor:
        logits = network(tiles)
        return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)

    kind = SlidingWindowInferer if case == "slide" else SliceInferer
    extra = {} if case == "slide" else {"spatial_dim": 0}
    answer = kind(roi_size=tile, sw_device=options.device, device="cpu", **settings, **extra)(image, probability)
    labels = answer[:, 0] > 0.5 if answer.shape[1] == 1 else answer.argmax(1)
    return labels[0].to(torch.uint8).numpy()


def compared(case: str, folder: str, runs: dict[str, Any]) -> dict[str, Any]:
    """How much faster and smaller MedSeg is, and how far both agree."""
    store = LabelStore.open(Path(folder) / f"{case}-medseg.ome.zarr")
    other = np.load(Path(folder) / f"{case}-monai.npy", mmap_mode="r")
    same = both = either = 0
    for start in range(0, other.shape[0], 256):
        mine, theirs = store.read((slice(start, start + 256),)), np.asarray(other[start : start + 256])
        same += int(np.count_nonzero(mine == theirs))
        both += int(np.count_nonzero((mine > 0) & (theirs > 0)))
        either += int(np.count_nonzero(mine)) + int(np.count_nonzero(theirs))
    ours, monai = runs["medseg"], runs["monai"]
    return {
        "faster": ours["mpx_per_s"] / monai["mpx_per_s"],
        "faster_by_cpu_time": ours["mpx_per_cpu_s"] / monai["mpx_per_cpu_s"],
        "memory": ours["extra_mb"] / monai["extra_mb"],
        "agreement": same / other.size,
        "dice": 2 * both / max(1, either),
    }


def table(case: str, found: dict[str, Any]) -> str:
    lines = [f"\n{case}", "| | Mpx/s | Mpx per CPU second | seconds | MB above the input |", "|---|---|---|---|---|"]
    for method in METHODS:
        if method in found:
            run = found[method]
            figures = run["mpx_per_s"], run["mpx_per_cpu_s"], run["seconds"], run["extra_mb"]
            lines.append(f"| {method} | " + " | ".join(f"{value:.3g}" for value in figures) + " |")
    if "faster" in found:
        lines.append(
            f"{found['faster']:.2f} times as fast ({found['faster_by_cpu_time']:.2f} by CPU time), "
            f"{found['memory']:.3f} of the memory, same label {found['agreement']:.5f}, Dice {found['dice']:.5f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
