"""Measurements of the mask, in the panel."""

from .measuring import Measuring

__all__ = ["Measuring"]
