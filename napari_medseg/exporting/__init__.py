"""Masks handed to other programs, from the panel."""

from .exporting import Exporting

__all__ = ["Exporting"]
