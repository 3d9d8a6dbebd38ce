"""One undo history over everything that changes a mask, and the journal that keeps it through a crash."""

from .editing import Editing
from .recovery import Recovery

__all__ = ["Editing", "Recovery"]
