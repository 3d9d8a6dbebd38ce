"""How large the labels of a mask are, and how bright their image is: per label, and per label in each plane."""

from .label_measures import LabelMeasures
from .measuring import measure, measure_planes
from .table import Column, columns, csv_file, csv_of_cases, csv_text, shown

__all__ = [
    "Column",
    "LabelMeasures",
    "columns",
    "csv_file",
    "csv_of_cases",
    "csv_text",
    "measure",
    "measure_planes",
    "shown",
]
