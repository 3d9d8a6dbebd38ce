"""One undo history over everything that changes a mask, and the journal that keeps it through a crash.

Nothing here imports napari before it is used, so a command may look at drafts.
"""

from typing import TYPE_CHECKING, Any

import lazy_loader

if TYPE_CHECKING:
    from .all_drafts import AllDrafts as AllDrafts
    from .editing import Editing as Editing
    from .elsewhere import Elsewhere as Elsewhere
    from .recovery import Recovery as Recovery
    from .rejoining import Rejoining as Rejoining

_attach: Any = lazy_loader.attach(
    __name__,
    submod_attrs={
        "all_drafts": ["AllDrafts"],
        "editing": ["Editing"],
        "elsewhere": ["Elsewhere"],
        "recovery": ["Recovery"],
        "rejoining": ["Rejoining"],
    },
)
__getattr__, __dir__, __all__ = _attach
