"""`medseg demo`: the window on a sample, or the whole loop without one."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .answering import AsJson, answer, clear_errors, note
from .display import has_display
from .finetune import config_for
from .open import show_window
from .waiting import bars, engine, show_share, show_training, wait_for

if TYPE_CHECKING:
    from napari_medseg.demo import DemoOutcome
    from napari_medseg.report import Report


@clear_errors
def demo(
    headless: Annotated[bool, typer.Option("--headless", help="Run the loop without a window.")] = False,
    report: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Where the page goes; by default beside the project.")
    ] = None,
    project: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder for the project; by default a new temporary one.")
    ] = None,
    budget: Annotated[float, typer.Option(min=0.01, help="Minutes to learn for, at most.")] = 2.0,
    steps: Annotated[int | None, typer.Option(min=1, hidden=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Show the loop on sample images: in a window, or by itself with `--headless` (or without a display).

    By itself, a simulated user corrects six images of stained tissue, which the nuclei model segments badly; the model
    learns from them, and is judged on images that nobody corrected. In the JSON, `cases` is the number of those
    images, and `dice_before` and `dice_after` are means over them.
    """
    if not headless and has_display():
        show_window([], sample="histology", project=project)
        return
    if not headless:
        note("There is no display, so the loop runs without a window.")
    from napari_medseg.demo import run_loop
    from napari_medseg.report import write_report

    folder = project.expanduser().absolute() if project else Path(tempfile.mkdtemp(prefix="medseg-demo-")) / "project"
    page = report.expanduser().absolute() if report else folder.with_name(f"{folder.name}-report.html")
    with engine() as connection, bars(trainer=True) as progress:
        outcome = run_loop(
            connection,
            folder,
            config_for(budget, steps),
            wait=wait_for,
            show=functools.partial(show_share, progress),
            show_learning=functools.partial(show_training, progress),
        )
    write_report(page, _report(outcome))
    answer(_as_value(outcome, page, folder), as_json=as_json, text=_as_text(outcome, page))


def _as_value(outcome: DemoOutcome, page: Path, project: Path) -> dict[str, Any]:
    return {
        "cases": len(outcome.cases),
        "dice_before": outcome.dice_before,
        "dice_after": outcome.dice_after,
        "promoted": outcome.learned["promoted"],
        "seconds": round(outcome.seconds, 1),
        "report": str(page),
        "project": str(project),
        "corrections": outcome.corrections,
        "finetuning": outcome.learned,
        "images": [
            {
                "image": case.sample.file,
                "kind": case.sample.kind,
                "dice_before": case.dice_before,
                "dice_after": case.dice_after,
            }
            for case in outcome.cases
        ],
    }


def _as_text(outcome: DemoOutcome, page: Path) -> str:
    return (
        f"Mean Dice on {len(outcome.cases)} images that were never seen: {outcome.dice_before:.3f} before, "
        f"{outcome.dice_after:.3f} after learning from {outcome.corrections} corrected images "
        f"({outcome.seconds:.0f} s). {outcome.learned['reason']}\nThe report with pictures: {page}"
    )


def _report(outcome: DemoOutcome) -> Report:
    from napari_medseg.report import Report, ReportCase

    learned, card = outcome.learned, outcome.card
    facts = (
        ("Started from", f"{card.title} ({card.name}), {card.parameters / 1e6:.2f} million weights, {card.date}"),
        ("Corrected", f"{outcome.corrections} images; {outcome.edits} wrong regions put right by a simulated user"),
        (
            "Learned from",
            f"{learned['trained_on']} of them; the other {learned['held_out']} were kept to judge what it learned",
        ),
        ("Learning took", f"{learned['seconds']:.0f} s for {learned['steps']} steps"),
        ("All took", f"{outcome.seconds:.0f} s"),
        ("Segments now", f"{outcome.active}. {learned['reason']}"),
    )
    return Report(
        title="The loop on sample images",
        summary=(
            "The shipped model has learned nuclei in fluorescence. Here it met stained tissue and cells in "
            "brightfield: it segmented them, a simulated user corrected some of its masks to the truth, and it "
            "learned from those corrections. Below are the images that nobody corrected, as it segmented them before "
            "and after."
        ),
        facts=facts,
        cases=tuple(
            ReportCase(
                title=case.sample.title,
                note=f"{case.sample.kind}, {case.sample.licence}",
                image=case.sample.image(),
                before=case.before,
                after=case.after,
                truth=case.sample.mask(),
                dice_before=case.dice_before,
                dice_after=case.dice_after,
            )
            for case in outcome.cases
        ),
        dice_before=outcome.dice_before,
        dice_after=outcome.dice_after,
        credits=(
            "Images: 2018 Data Science Bowl, stage 1 (Broad Bioimage Benchmark Collection, BBBC038), CC0 1.0; "
            "Caicedo et al., Nature Methods 16 (2019), doi:10.1038/s41592-019-0612-7."
        ),
    )
