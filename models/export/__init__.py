"""Masks and measurements in the formats of other programs."""

from .coco import CocoDataSet
from .exporting import export_mask
from .image_files import image_format, write_image
from .kinds import EXPORTS, Export, export_of, fitting, usual
from .replacing import check_not_the_image

__all__ = [
    "EXPORTS",
    "CocoDataSet",
    "Export",
    "check_not_the_image",
    "export_mask",
    "export_of",
    "fitting",
    "image_format",
    "usual",
    "write_image",
]
