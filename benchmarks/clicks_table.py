"""The figures of `clicks.py`: one row a kind of images and method, from the games that were played."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from clicks_protocol import AFTER, THRESHOLDS, clicks_to, iou_after
from clicks_user import TARGET

OURS = "medseg"
CLASSICAL = ("grabcut", "random-walker")
WANTED = 0.85
"""IoU that the methods are compared at."""


def row(games: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of one folder and one method.

    Returns:
        objects: how many; clicks: mean number to each IoU, `MOST` for those that never got there; reached: share that
        did within `MOST`; iou: mean after so many clicks; ms and cpu_ms: median and 95th percentile of an answer,
        wall-clock and processor time; seconds, by_brush: mean of the simulated user, with this method and by the brush
        alone, over the objects that both finished, whose number is finished.
    """
    ious = [game["iou"] for game in games]
    figures: dict[str, Any] = {
        "objects": len(games),
        "clicks": {f"{wanted:.2f}": _mean(clicks_to(each, wanted) for each in ious) for wanted in THRESHOLDS},
        "reached": {f"{wanted:.2f}": _mean(max(each) >= wanted for each in ious) for wanted in THRESHOLDS},
        "iou": {str(clicks): _mean(iou_after(each, clicks) for each in ious) for clicks in AFTER},
    }
    for clock in ("ms", "cpu_ms"):
        answers = np.concatenate([game[clock] for game in games])
        figures[clock] = {"median": float(np.median(answers)), "p95": float(np.percentile(answers, 95))}
    if users := [game["user"] for game in games if game.get("user")]:
        both = [user for user in users if min(user["clicks"]["dice"], user["brush"]["dice"]) >= TARGET]
        figures["user"] = {
            "finished": len(both),
            "seconds": _mean(user["clicks"]["seconds"] for user in both) if both else None,
            "by_brush": _mean(user["brush"]["seconds"] for user in both) if both else None,
            "clicks": _mean(user["clicks"]["clicks"] for user in both) if both else None,
        }
    return figures


def summary(rows: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Clicks to `WANTED`, each folder counting alike, over the folders that all methods were run on.

    Args:
        rows: of `row`, by folder and method.
    """
    methods = list(dict.fromkeys(method for found in rows.values() for method in found))
    shared = [found for found in rows.values() if set(methods) <= set(found)]
    means = {
        method: _mean(found[method]["clicks"][f"{WANTED:.2f}"] for found in shared) for method in methods if shared
    }
    rivals = [means[method] for method in CLASSICAL if method in means]
    ratio = means[OURS] / min(rivals) if OURS in means and rivals else None
    return {"folders": len(shared), "clicks": means, "of_the_better_classical": ratio}


def page(rows: dict[str, dict[str, dict[str, Any]]], notes: Iterable[str]) -> str:
    """All of it in Markdown."""
    to = "".join(f" to {wanted:.2f} |" for wanted in THRESHOLDS)
    after = "".join(f" after {clicks} |" for clicks in AFTER)
    head = f"| images | method | objects |{to} reached {WANTED:.2f} |{after} ms a click | s with clicks | s by brush |"
    lines = [*notes, "", head, "|" + "---|" * (head.count("|") - 1)]
    lines += [_line(folder, method, found) for folder, methods in rows.items() for method, found in methods.items()]
    over = summary(rows)
    for method, clicks in over["clicks"].items():
        lines.append(f"| **mean of {over['folders']}** | {method} | | | {clicks:.1f} |" + " |" * (head.count("|") - 6))
    if over["of_the_better_classical"] is not None:
        share = over["of_the_better_classical"]
        lines += ["", f"Clicks to IoU {WANTED:.2f}: {share:.2f} of those of the better classical method."]
    return "\n".join(lines) + "\n"


def _line(folder: str, method: str, found: dict[str, Any]) -> str:
    clicks = [f"{value:.1f}" for value in found["clicks"].values()]
    ious = [f"{value:.3f}" for value in found["iou"].values()]
    user = found.get("user") or {}
    seconds = [f"{user[key]:.1f}" if user.get(key) is not None else "" for key in ("seconds", "by_brush")]
    ms = f"{found['ms']['median']:.0f} (p95 {found['ms']['p95']:.0f})"
    reached = f"{100 * found['reached'][f'{WANTED:.2f}']:.0f} %"
    return "| " + " | ".join([folder, method, str(found["objects"]), *clicks, reached, *ious, ms, *seconds]) + " |"


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
