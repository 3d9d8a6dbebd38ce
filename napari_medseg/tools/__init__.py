"""Mask tools in the window: what they work on, how they are run, and where they are told to by clicks."""

from .mask_tools import MaskTools

__all__ = ["MaskTools"]
