"""The ledger of corrections, and the network's learning from it: fine-tuning, evaluation, promotion.

Importing this room does not import torch; training and evaluating do.
"""

from typing import TYPE_CHECKING, Any

import lazy_loader

if TYPE_CHECKING:
    from .evaluation import evaluate as evaluate
    from .finetuning import finetune as finetune
    from .ledger import Ledger as Ledger
    from .outcome import FineTuneResult as FineTuneResult

_attach: Any = lazy_loader.attach(
    __name__,
    submod_attrs={
        "evaluation": ["evaluate"],
        "finetuning": ["finetune"],
        "ledger": ["Ledger"],
        "outcome": ["FineTuneResult"],
    },
)
__getattr__, __dir__, __all__ = _attach
