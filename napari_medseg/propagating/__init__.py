"""Carrying an object on to the next slices or frames, in the window."""

from .propagating import BACKWARD, BOTH, FORWARD, Propagating

__all__ = ["BACKWARD", "BOTH", "FORWARD", "Propagating"]
