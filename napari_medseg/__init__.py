"""A napari panel that segments medical images, is corrected by hand, and learns from the corrections."""
