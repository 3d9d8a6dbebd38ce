"""The networks and how they are run: cards, checkpoints, tiled prediction, and the engine that runs them elsewhere.

Nothing here imports torch before a network is made or run, so a window may import what it needs to talk.
"""

from typing import TYPE_CHECKING, Any

import lazy_loader

if TYPE_CHECKING:
    from .cards import ModelCard as ModelCard
    from .cards import list_models as list_models
    from .checkpoints import load_model as load_model
    from .checkpoints import save_model as save_model
    from .image import MedicalImage as MedicalImage
    from .inference import predict as predict
    from .prediction import Prediction as Prediction
    from .registry import create_model as create_model

_attach: Any = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cards": ["ModelCard", "list_models"],
        "checkpoints": ["load_model", "save_model"],
        "image": ["MedicalImage"],
        "inference": ["predict"],
        "prediction": ["Prediction"],
        "registry": ["create_model"],
    },
)
__getattr__, __dir__, __all__ = _attach
