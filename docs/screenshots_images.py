"""Takes the screenshots of `opening.md` in the real window."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
from screenshots import clear, in_own_window, place, settle, shoot, unfold_only, until

SIDE = 16_384
"""Pixels of the slide along its rows and columns."""


def take(viewer, panel, folder: Path) -> None:
    unfold_only(panel, "Image", "Folder", "Segment", "Correct")
    settle(1)
    _series(panel)
    _volume(viewer, panel, folder)
    _large(viewer, panel, folder)
    _large_mask(viewer, panel, folder)
    _folder(viewer, panel, folder)


def _series(panel) -> None:
    """The medium with several series that pydicom brings along for its own tests."""
    from pydicom.data import get_testdata_file

    medium = Path(get_testdata_file("DICOMDIR"))
    panel.controller.open_images([medium])
    until(lambda: panel.sections["Image"].dialog is not None)
    dialog = panel.sections["Image"].dialog
    settle(1)
    dialog.grab().save(str(place("opening-series")))
    dialog.reject()


def _volume(viewer, panel, folder: Path) -> None:
    """The CT phantom, standing oblique in the patient."""
    import nibabel

    from napari_medseg.phantom import ct_phantom

    phantom = ct_phantom()
    deep, high, wide = phantom.spacing
    tilt = np.deg2rad(12)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-wide, -high, deep])
    affine[:3, 3] = 90, 80, -40
    header = nibabel.Nifti1Header()
    header["cal_min"], header["cal_max"] = -160, 240
    nibabel.save(nibabel.Nifti1Image(phantom.data.T, affine, header), folder / "abdomen.nii.gz")
    panel.controller.open_images([folder / "abdomen.nii.gz"])
    until(lambda: len(viewer.layers) and not panel.state.opening)
    shoot(viewer, "opening")
    clear(viewer)


def _large(viewer, panel, folder: Path) -> None:
    from napari_medseg.samples import samples

    sample = samples("fluorescence")[0]
    slide = _slide(folder / "slide.ome.zarr", sample.image().data)
    panel.controller.open_images([slide])
    until(lambda: len(viewer.layers) and not panel.state.opening)
    viewer.camera.center = (0, SIDE / 4, SIDE / 4)
    viewer.camera.zoom = 4
    settle(1)
    panel.controller.large.edit_here()
    until(lambda: panel.state.in_part)
    _put(panel, sample.mask())
    viewer.camera.zoom = 1.5
    shoot(viewer, "large-part")
    panel.controller.large.done()
    until(lambda: not panel.state.in_part)
    clear(viewer)


def _large_mask(viewer, panel, folder: Path) -> None:
    """Another slide, whose mask is a tiled TIFF of another program."""
    from napari_medseg.samples import samples

    sample = samples("fluorescence")[1]
    panel.controller.open_images([_slide(folder / "tissue.ome.zarr", sample.image().data)])
    until(lambda: panel.state.large and not panel.state.opening)
    panel.controller.mask_file.open(_tiled_mask(folder / "tissue nuclei.tif", sample.mask()))
    until(lambda: "is the mask" in panel.state.notice)
    viewer.camera.center = (0, SIDE / 4, SIDE / 4)
    viewer.camera.zoom = 1.5
    shoot(viewer, "large-mask")
    clear(viewer)


def _folder(viewer, panel, folder: Path) -> None:
    """Some samples with their masks in a folder; the second is open."""
    from napari_medseg.models.writing import write_mask
    from napari_medseg.samples import samples

    images, masks = folder / "ward 7", folder / "ward 7 masks"
    images.mkdir()
    masks.mkdir()
    for number, sample in enumerate(samples("brightfield") + samples("fluorescence"), 1):
        image = sample.image()
        iio.imwrite(images / f"cells {number}.png", image.data)
        if number < 6:
            write_mask(masks / f"cells {number}.png", sample.mask(), image)
    panel.controller.queue.choose(images)
    until(lambda: panel.state.queue)
    panel.controller.queue.open(1)
    until(lambda: panel.state.queue_at == 1)
    shoot(viewer, "folder")


def _slide(path: Path, tile: np.ndarray) -> Path:
    """A sample, over and over, as an OME-Zarr pyramid of 0.5 um a pixel."""
    from napari_medseg.models.label_store import LabelStore

    made = LabelStore.create(path, (SIDE, SIDE), "YX", (0.5, 0.5), "um", dtype=np.uint8)
    for level, array in enumerate(made.levels):
        small = tile[:: 2**level, :: 2**level]
        height, width = array.shape
        row = np.tile(small, (1, -(-width // small.shape[1])))[:, :width]
        band = np.tile(row, (-(-512 // row.shape[0]), 1))
        for top in range(0, height, 512):
            first = top % row.shape[0]
            rows = np.take(band, range(first, first + min(512, height - top)), axis=0, mode="wrap")
            array[top : top + len(rows)] = rows
    return path


def _tiled_mask(path: Path, mask: np.ndarray) -> Path:
    """The mask of a sample over and over, with a number for each object, in tiles."""
    import tifffile

    def tiles():
        for at in np.ndindex(SIDE // 512, SIDE // 512):
            rows, columns = (np.arange(512) + 512 * first for first in at)
            high, wide = mask.shape
            repeated = (rows // high * (SIDE // wide + 1))[:, None] + columns // wide
            here = mask[np.ix_(rows % high, columns % wide)].astype(np.uint32)
            yield np.where(here, here + repeated.astype(np.uint32) * int(mask.max()), 0)

    settings = {"tile": (512, 512), "compression": "zlib", "photometric": "minisblack"}
    tifffile.imwrite(path, tiles(), shape=(SIDE, SIDE), dtype=np.uint32, **settings)
    return path


def _put(panel, mask: np.ndarray) -> None:
    """The true mask of the samples under the part, without some objects, as a stroke would put it there."""
    current = panel.controller.masks.current()
    (first, _), (left, _) = current.image.metadata["medseg"]["part_of"]
    height, width = current.layer.data.shape
    rows, columns = (np.arange(height) + first) % mask.shape[0], (np.arange(width) + left) % mask.shape[1]
    labels = mask[np.ix_(rows, columns)].astype(np.uint16)
    panel.controller.editing.change(current, (slice(0, height), slice(0, width)), labels, "Draw")


if __name__ == "__main__":
    in_own_window(take)
