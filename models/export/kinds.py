"""What a mask can be written as, and which of it fits where its image came from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..formats.kinds import Kind
from ..image import MedicalImage


@dataclass(frozen=True)
class Export:
    """A format.

    Attributes:
        key: its name on the command line.
        title: for people.
        ending: of its files.
        about: what it is good for, and what the user has to know; a sentence.
    """

    key: str
    title: str
    ending: str
    about: str


EXPORTS = {
    export.key: export
    for export in (
        Export(
            "dicom-seg",
            "DICOM SEG",
            ".dcm",
            "For the archive and for viewers of DICOM. It holds the patient's name, ID and birth date, since the "
            "standard wants it; no other format here does.",
        ),
        Export("nifti", "NIfTI", ".nii.gz", "Lies on the image in the patient, as most research programs read it."),
        Export("nrrd", "NRRD", ".nrrd", "Lies on the image in the patient; for 3D Slicer and ITK."),
        Export("metaimage", "MetaImage", ".mha", "Lies on the image in the patient; for ITK, elastix and MeVisLab."),
        Export("ome-tiff", "OME-TIFF", ".ome.tif", "Keeps axes, spacing and unit; for Fiji, QuPath and OMERO."),
        Export("tiff", "TIFF", ".tif", "Keeps axes and spacing; opens everywhere."),
        Export("ome-zarr", "OME-Zarr labels", ".ome.zarr", "A folder with a pyramid, for masks of any size."),
        Export("png", "PNG", ".png", "One number a pixel: the label. Holds no spacing."),
        Export("coco", "COCO", ".coco.json", "Outlines, boxes and areas of objects, for training detectors."),
        Export("geojson", "GeoJSON", ".geojson", "Outlines of objects that QuPath opens as annotations."),
        Export("csv", "Measurements", ".csv", "A line of figures for each label, for spreadsheets and statistics."),
        Export("csv-slices", "Measurements by slice", ".slices.csv", "A line for each label in each slice or frame."),
    )
}
"""All formats, by key."""

_ENDINGS = {".nii": "nifti", ".tiff": "tiff", ".ome.tiff": "ome-tiff", ".zarr": "ome-zarr", ".json": "coco"}

_OUTLINES = ("coco", "geojson")
_FIGURES = ("csv", "csv-slices")
_PLACED = ("nifti", "nrrd", "metaimage")
_FITTING: dict[Kind | None, tuple[str, ...]] = {
    "dicom": ("dicom-seg", *_PLACED, "ome-tiff"),
    "nifti": (*_PLACED, "ome-tiff"),
    "nrrd": ("nrrd", "nifti", "metaimage", "ome-tiff"),
    "metaimage": ("metaimage", "nifti", "nrrd", "ome-tiff"),
    "tiff": ("ome-tiff", "tiff", "png", "ome-zarr"),
    "ome-zarr": ("ome-zarr", "ome-tiff"),
    "video": ("ome-tiff", "tiff", "ome-zarr"),
    "png": ("png", "tiff"),
    "jpeg": ("png", "tiff"),
    None: ("ome-tiff", "tiff", "png", "nifti", "ome-zarr"),
}


def fitting(kind: Kind | None, axes: str, *, large: bool = False) -> tuple[Export, ...]:
    """The formats that fit an image, the usual one first.

    Args:
        kind: what the image's file is; None if it has none.
        axes: of the image.
        large: whether it stays on the disk; its mask then does, too.
    """
    flat = axes.replace("C", "") == "YX"
    if large:
        keys: tuple[str, ...] = ("ome-zarr", "ome-tiff", *_OUTLINES, *_FIGURES)
    else:
        keys = (*_FITTING[kind], *_OUTLINES, *_FIGURES)
    left_out = ({"csv-slices"} if flat else {"png"}) | ({"dicom-seg"} if "T" in axes else set())
    return tuple(EXPORTS[key] for key in keys if key not in left_out)


def usual(image: MedicalImage, largest: int = 0) -> Export:
    """The format that fits a mask of which nobody knows the file of its image, so that nothing known is lost.

    NIfTI for what lies in the patient and for volumes in mm, PNG for planes that know no length, OME-TIFF for all
    others.

    Args:
        image: that it is a mask of; its pixels are not looked at.
        largest: label in the mask.
    """
    if image.geometry is not None or ("Z" in image.axes and "C" not in image.axes and image.unit == "mm"):
        return EXPORTS["nifti"]
    bare = image.unit == "pixel" and set(image.spacing) == {1.0} and not image.origin
    return EXPORTS["png" if image.axes in ("YX", "YXC") and bare and largest < 2**16 else "ome-tiff"]


def export_of(path: str | os.PathLike[str]) -> Export | None:
    """The format that the ending of a file means; None for an ending that is none of them."""
    name = Path(path).name.lower()
    endings = {export.ending: key for key, export in EXPORTS.items()} | _ENDINGS
    fits = [ending for ending in endings if name.endswith(ending)]
    return EXPORTS[endings[max(fits, key=len)]] if fits else None
