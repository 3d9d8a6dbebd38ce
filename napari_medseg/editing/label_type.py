"""The type of whole numbers that holds the labels of several masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def label_type(*dtypes: npt.DTypeLike) -> np.dtype[Any]:
    """The narrowest type of whole numbers that holds all labels of these types.

    NumPy's rules make float64 of uint64 and a signed type, and a mask of such numbers is none; here it is int64, which
    holds every label that anyone counts to.
    """
    common = np.result_type(*dtypes)
    return common if common.kind in "iub" else np.dtype(np.int64)
