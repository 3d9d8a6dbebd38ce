"""Batches in the order of the steps, prepared by other processes if a GPU would wait for this one."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from napari_medseg.models.adstnet.targets import class_targets

from .samples import Batches

Batch = tuple[Tensor, ...]
"""Images (B, C, Y, X), labels (B, 1, Y, X) and, with AdSTNet's head, its targets (B, 3 K, Y, X)."""


class _Steps(Dataset[Batch]):
    """The batch of each step."""

    def __init__(self, batches: Batches, targets: int | None) -> None:
        self.batches, self.targets = batches, targets

    def __getitem__(self, step: int) -> Batch:
        images, labels = self.batches[step]
        return (images, labels) if self.targets is None else (images, labels, class_targets(labels, self.targets))


def batches_from(
    batches: Batches, first: int, end: int, *, targets: int | None = None, workers: int = 0
) -> Iterator[Batch]:
    """The batches of the steps `first` to `end` - 1.

    Args:
        batches: what each step learns from.
        first: number of the first step.
        end: number of the step after the last.
        targets: make AdSTNet's targets, too, for a network of so many classes.
        workers: processes that prepare batches; 0: this one, each when it is asked for.
    """
    steps = _Steps(batches, targets)
    if workers == 0:
        return map(steps.__getitem__, range(first, end))
    return iter(
        DataLoader(
            steps, batch_size=None, sampler=range(first, end), num_workers=workers, pin_memory=torch.cuda.is_available()
        )
    )
