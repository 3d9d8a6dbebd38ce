"""The rows of ASC-Seg for `parity.build`."""

from __future__ import annotations

from .parity import ROWS as ALL

ROWS = {row: make for row, make in ALL.items() if row.startswith("ascseg/")}
