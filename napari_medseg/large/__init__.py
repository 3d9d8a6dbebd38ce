"""Masks of images that are too large to be painted whole."""
