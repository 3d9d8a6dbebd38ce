"""Files that do not keep to the standard are read as they are, and pydicom says nothing of it anywhere.

What it says of a value that it finds wrong has the value in it, which may be the patient's, and goes to the log, to
standard error and, in the window, into a message. What matters of it this project says in its own words.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import config


@contextmanager
def as_it_is() -> Iterator[None]:
    """Take any value as it stands in the file.

    pydicom stays silent from then on: `warnings.catch_warnings` would mix up what several threads ignore.
    """
    logging.getLogger("pydicom").addFilter(_nothing)
    warnings.filterwarnings("ignore", module=r"(pydicom|highdicom)\.")
    with config.disable_value_validation():
        yield


def _nothing(record: logging.LogRecord) -> bool:
    return False
