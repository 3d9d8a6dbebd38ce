"""Masks and measurements in the formats of other programs."""

from .exporting import export_mask
from .kinds import EXPORTS, Export, export_of, fitting

__all__ = ["EXPORTS", "Export", "export_mask", "export_of", "fitting"]
