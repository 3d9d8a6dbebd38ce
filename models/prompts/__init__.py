"""Prompts, and the small network that turns them into a mask while the mouse still moves.

`Prompts` is torch-free, so the window may use it; `PromptSegmenter` runs in the engine's predictor.
"""

from typing import TYPE_CHECKING, Any

import lazy_loader

if TYPE_CHECKING:
    from .prompts import Box as Box
    from .prompts import Lasso as Lasso
    from .prompts import Point as Point
    from .prompts import Prompts as Prompts
    from .prompts import Scribble as Scribble
    from .propagation import Followed as Followed
    from .proposal import Proposal as Proposal
    from .segmenter import PromptSegmenter as PromptSegmenter

_attach: Any = lazy_loader.attach(
    __name__,
    submod_attrs={
        "prompts": ["Box", "Lasso", "Point", "Prompts", "Scribble"],
        "propagation": ["Followed"],
        "proposal": ["Proposal"],
        "segmenter": ["PromptSegmenter"],
    },
)
__getattr__, __dir__, __all__ = _attach
