"""What a training on a folder will be: who learns, who validates, and all numbers.

Everything that can be wrong with a request is found here, before torch is imported (but for weights to begin from) and
before anything but OUT is made.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from napari_medseg.models.cards import ModelCard, find_card
from napari_medseg.models.durable import WriteError, make_folder
from napari_medseg.models.errors import ImageError, ModelError

from .config import TrainingConfig
from .folder_config import FolderConfig, FolderRequest, data_hash
from .folders import Pair, find_pairs, split_pairs, splits_of
from .recipe import Recipe, find_recipe
from .survey import Survey, survey

UNLIMITED = 10**9
"""Steps of a training that ends by time."""

EMPTY = 0.2
"""Share of the crops of volumes that "quick" takes of slices without an object; papers take slices as they come."""

LOOKS = 20
"""At the validation images, at most; at least an epoch lies between two of them."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderPlan:
    """A training on a folder, ready to begin: where, from what, on what and how.

    Attributes:
        request: as it was asked for.
        training: pairs to learn from.
        validation: pairs that choose the best weights.
        planes: of each pair to learn from: 1 of a picture, the slices of a volume, the frames of a series.
        card: what is known of the network before it learns.
        config: all that decides what comes out.
    """

    request: FolderRequest
    training: list[Pair]
    validation: list[Pair]
    planes: list[int]
    card: ModelCard
    config: FolderConfig


def plan_training(
    request: FolderRequest,
    *,
    progress: Callable[[float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> FolderPlan:
    """Find out everything about a training but its result.

    Args:
        request: as somebody asks for it.
        progress: called with the share of the images that were looked at.
        cancel: asked between images.

    Raises:
        ImageError: pairs that cannot be used, or too few.
        ModelError: no such network or recipe; weights of another network; a different training in OUT.
        WriteError: OUT cannot be written.
        CancelledError: `cancel` answered True.
    """
    recipe = find_recipe(request.network, request.recipe)
    base = _base(request)
    open_folder(request.out)
    training, validation = sides(request.folder)
    found = survey([*training, *validation], request.classes, request.ignore, progress=progress, cancel=cancel)
    card = _card(request, recipe, found, base)
    planes = found.planes[: len(training)]
    training_config = _training_config(request, recipe, card, planes)
    epochs = training_config.steps * training_config.batch / sum(planes)
    config = FolderConfig(
        network=request.network,
        recipe=request.recipe,
        in_channels=card.in_channels,
        classes=card.classes,
        labels=card.labels,
        options=card.config,
        scale=card.scale,
        begins=_begins(request, base),
        data=data_hash(training, validation),
        training=training_config,
        looks=min(LOOKS, max(1, int(epochs))),
        context=card.context,
    )
    check_same(config, request.out)
    return FolderPlan(request, training, validation, planes, card, config)


def sides(folder: Path) -> tuple[list[Pair], list[Pair]]:
    """The pairs to learn from and those to validate on: the folder's own train and val, or a split by groups.

    Raises:
        ImageError: no pairs, or too few to split.
    """
    splits = splits_of(folder)
    if "train" not in splits:
        if splits and not (folder / "images").is_dir():
            raise ImageError(f"'{folder}' has {' and '.join(splits)}, but no train to learn from.")
        return split_pairs(find_pairs(folder))
    training = find_pairs(folder, "train")
    if "val" not in splits:
        return split_pairs(training)
    validation = find_pairs(folder, "val")
    if shared := {pair.group for pair in training} & {pair.group for pair in validation}:
        _log.warning(
            "%d groups of groups.csv are in both train and val, so the validation flatters the network: %s.",
            *(len(shared), ", ".join(sorted(shared)[:5])),
        )
    return training, validation


def open_folder(out: Path) -> None:
    """Make OUT, if need be.

    Raises:
        WriteError: it cannot be made or written.
    """
    make_folder(out)
    if not os.access(out, os.W_OK):
        raise WriteError(f"You may not write in '{out}'. Nothing was trained; choose another folder for the weights.")


def check_same(config: FolderConfig, out: Path) -> None:
    """Whether what is in OUT, if anything, is this very training.

    Raises:
        ModelError: it is another one, or something else.
    """
    file = out / "config.json"
    if not file.is_file():
        if (out / "best.safetensors").exists():
            raise ModelError(f"'{out}' holds weights of something else. Choose another folder; nothing was changed.")
        return
    try:
        there = FolderConfig.from_json(file.read_text("utf-8"))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"'{file}' is not of a training that this version of MedSeg can go on with ({error}). "
            "Choose another folder; nothing was changed."
        ) from error
    if differences := there.differences(config):
        raise ModelError(
            f"'{out}' holds another training; you asked for {'; '.join(differences)}. To go on with it, ask as you did "
            "then; to begin anew, choose another folder. Nothing was changed."
        )


def _base(request: FolderRequest) -> ModelCard | None:
    """The card of the weights to begin from.

    Raises:
        ModelError: no such weights, or weights of something else than what was asked for.
    """
    if request.weights is None:
        return None
    from napari_medseg.models.checkpoints import resolve_model

    _, base = resolve_model(request.weights)
    if not base.has_weights:
        raise ModelError(f"'{request.weights}' has no weights to begin from; leave it out to begin with fresh ones.")
    if base.network != request.network:
        raise ModelError(
            f"'{request.weights}' has weights of '{base.network}', not of '{request.network}'. "
            "Choose that network, or other weights."
        )
    if base.classes != request.classes:
        raise ModelError(
            f"'{request.weights}' knows {base.classes} class{'es' * (base.classes > 1)}, not {request.classes}. "
            "Train with as many, or begin from fresh weights."
        )
    if request.context not in (0, base.context):
        raise ModelError(
            f"'{request.weights}' reads {base.context} slices on each side, not {request.context}. Leave it out."
        )
    if request.options:
        raise ModelError(f"The options of '{request.weights}' are its own: {json.dumps(base.config)}. Give none.")
    return base


def _card(request: FolderRequest, recipe: Recipe, found: Survey, base: ModelCard | None) -> ModelCard:
    """The card of the network, whose scale and pieces fit the images and the recipe."""
    labels = dict(enumerate(request.labels or _names(request.classes), start=1))
    if base:
        return dataclasses.replace(base, labels=labels if request.labels else base.labels)
    known = _shipped(request.network)
    crop, config = request.crop or known.tile or recipe.training.crop, {**recipe.options, **request.options}
    fit = crop / median(found.longer_sides) if recipe.framing == "fit" else 1.0
    return dataclasses.replace(
        known,
        in_channels=_channels(found, request.context),
        context=request.context,
        classes=request.classes,
        config=config,
        gmacs=known.gmacs if config == known.config else None,
        scale=round(min(max(fit, 1 / 64), 64), 6),
        labels=labels,
        answers=("instances", "mask") if request.classes == 1 and found.instances else ("mask",),
    )


def _channels(found: Survey, context: int) -> int:
    """Of the network; with a context a grey slice is one channel, so that three are what an encoder for RGB reads."""
    a_slice = 1 if context and set(found.channels) == {1} else found.in_channels
    return a_slice * (2 * context + 1)


def _shipped(network: str) -> ModelCard:
    try:
        return find_card(network)
    except ModelError:
        return ModelCard(name=network, title=network, network=network)


def _names(classes: int) -> list[str]:
    return ["object"] if classes == 1 else [f"class {number}" for number in range(1, classes)]


def _training_config(request: FolderRequest, recipe: Recipe, card: ModelCard, planes: list[int]) -> TrainingConfig:
    batch = request.batch or recipe.training.batch
    epochs = recipe.epochs * math.ceil(sum(planes) / batch)
    empty = EMPTY if request.empty is None and recipe.name == "quick" else request.empty
    return dataclasses.replace(
        recipe.training,
        steps=request.steps or (UNLIMITED if request.minutes else epochs),
        seconds=60 * request.minutes if request.minutes else None,
        batch=batch,
        crop=request.crop or card.tile or recipe.training.crop,
        lr=request.lr or recipe.training.lr,
        seed=request.seed,
        adstnet=request.adstnet,
        ignore=request.ignore,
        empty=empty if max(planes) > 1 else None,
        frozen=recipe.training.frozen if request.encoder_weights or request.pretrained else 0.0,
    )


def _begins(request: FolderRequest, base: ModelCard | None) -> str:
    if base:
        return f"weights {base.sha256}"
    if request.encoder_weights:
        try:
            with request.encoder_weights.open("rb") as file:
                return f"encoder {hashlib.file_digest(file, 'sha256').hexdigest()}"
        except OSError as error:
            raise ModelError(f"'{request.encoder_weights}' cannot be read: {error.strerror}.") from error
    return "published encoder" if request.pretrained else "fresh weights"
