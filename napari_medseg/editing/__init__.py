"""One undo history over everything that changes a mask, and the journal that keeps it through a crash."""

from .all_drafts import AllDrafts
from .editing import Editing
from .recovery import Recovery
from .rejoining import Rejoining

__all__ = ["AllDrafts", "Editing", "Recovery", "Rejoining"]
