"""`medseg models`: the networks that come along, and what a project has made of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from napari_medseg.models.cards import ModelCard, list_models
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.records import ModelVersion

from .answering import AsJson, answer, clear_errors
from .naming import Pixels, existing_project


@clear_errors
def models(
    project: Annotated[
        str | None, typer.Option(help="List the versions of this project, too: its folder, or the URL of its database.")
    ] = None,
    pixels: Pixels = None,
    as_json: AsJson = False,
) -> None:
    """List the models: what they were trained on, how large and how good they are."""
    cards = list_models()
    found: dict[str, Any] = {"models": [asdict(card) | {"weights": card.has_weights} for card in cards]}
    versions, active = [], ""
    if project is not None:
        with Ledger.open(existing_project(project, pixels)) as ledger:
            versions, active = ledger.models(), ledger.active()
        found |= {"versions": [_version(version) for version in versions], "active": active}
    answer(found, as_json=as_json)
    if as_json:
        return
    console = Console()
    console.print(_cards_table(cards))
    for card in cards:
        told = f"[bold]{card.name}[/] ({', '.join(card.modalities)}): {card.good_at} {card.weights_from}"
        console.print(told.strip())
    if project is not None:
        console.print(_versions_table(versions))
        console.print(f"Active: {active}")


def _version(version: ModelVersion) -> dict[str, Any]:
    result = version.metrics.get("result", {})
    return {
        "name": version.name,
        "base": version.base,
        "created": version.created.isoformat(),
        "active": version.active,
        "dice_before": result.get("dice_before"),
        "dice_after": result.get("dice_after"),
        "reason": version.reason,
    }


def _cards_table(cards: list[ModelCard]) -> Table:
    columns = ("Name", "Title", "Parameters", "GMACs", "Weights", "Median Dice")
    table = Table(*columns, title="Models", title_justify="left")
    for card in cards:
        median = card.metrics.get("dice_median")
        table.add_row(
            card.name,
            card.title,
            f"{card.parameters / 1e6:.2f} M",
            "" if card.gmacs is None else f"{card.gmacs:.1f}",
            "yes" if card.has_weights else "no",
            "" if median is None else f"{median:.3f}",
        )
    return table


def _versions_table(versions: list[ModelVersion]) -> Table:
    table = Table("Version", "Made from", "On", "Active", "Why", title="Versions", title_justify="left")
    for version in versions:
        table.add_row(
            version.name,
            version.base,
            f"{version.created:%Y-%m-%d %H:%M}",
            "yes" if version.active else "",
            version.reason,
        )
    return table
