"""Masks and measurements in the formats of other programs."""

from .exporting import export_mask
from .kinds import EXPORTS, Export, export_of, fitting
from .replacing import check_not_the_image

__all__ = ["EXPORTS", "Export", "check_not_the_image", "export_mask", "export_of", "fitting"]
