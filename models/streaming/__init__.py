"""Segmentation of images that do not fit in memory."""
