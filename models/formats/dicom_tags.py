"""Numbers and words out of a DICOM data set whose elements may be missing, empty or nonsense."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag


def value_of(dataset: Dataset, keyword: str) -> Any:
    """The value of an element; None where it is missing or empty. `Dataset.get` is slow where it is missing."""
    tag = _tag(keyword)
    value = dataset[tag].value if tag in dataset else None
    return None if isinstance(value, str | bytes) and not value else value


@functools.cache
def _tag(keyword: str) -> BaseTag:
    return Tag(keyword)


def numbers(dataset: Dataset, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """The numbers of an element; None where it is missing or empty, has another count, or is not all finite numbers."""
    try:
        value = value_of(dataset, keyword)
        if value is None:
            return None
        several = value if hasattr(value, "__iter__") and not isinstance(value, str | bytes) else [value]
        values = tuple(float(v) for v in several)
    except (TypeError, ValueError, OverflowError):
        return None
    if not values or not all(map(math.isfinite, values)) or (count is not None and len(values) != count):
        return None
    return values


def number(dataset: Dataset, keyword: str) -> float | None:
    """The first number of an element, or None as `numbers` gives it."""
    values = numbers(dataset, keyword)
    return values[0] if values else None


def positive(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """As `numbers`, and None unless all are above zero."""
    values = numbers(dataset, keyword, count)
    return values if values and min(values) > 0 else None


def words(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """The strings of an element, in capitals and without blanks around them; () where there are none."""
    try:
        value = value_of(dataset, keyword)
    except (TypeError, ValueError):
        return ()
    if value is None:
        return ()
    several = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    return tuple(str(word).strip().upper() for word in several)


def word(dataset: Dataset, keyword: str) -> str:
    """The first string of an element; "" where there is none."""
    found = words(dataset, keyword)
    return found[0] if found else ""


def items(dataset: Dataset, keyword: str) -> Iterator[Dataset]:
    """The items of a sequence; none where it is missing or is no sequence."""
    value = value_of(dataset, keyword)
    for item in value if hasattr(value, "__iter__") and not isinstance(value, str | bytes) else ():
        if isinstance(item, Dataset):
            yield item


def first_item(dataset: Dataset, keyword: str) -> Dataset:
    """The first item of a sequence; an empty data set where there is none."""
    return next(items(dataset, keyword), Dataset())
