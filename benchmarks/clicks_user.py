"""Seconds that a simulated user needs for one object: with clicks and then a brush, or with the brush alone.

After RootPainter's simulated annotator (github.com/Abe404/root_painter, trainer/tests/sim_benchmark/method.md), whose
hand trembles the more the faster it paints, and who therefore paints as fast as the margin allows; its times of travel
are replaced by Fitts' law, and clicks tremble, too. Constants say where they are from; "ours" are guesses that
favour the brush where in doubt.

Lengths are pixels of the image, speeds those of the screen: the user zooms until the image fills the screen, or further
until the object is large enough to be painted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from clicks_brush import PRESS, SEARCH, best_stroke, border
from clicks_protocol import Mask, Method, depth, dice, next_click, timed
from scipy.ndimage import distance_transform_edt, gaussian_filter

from napari_medseg.models.image import MedicalImage
from napari_medseg.models.prompts import Prompts

TARGET = 0.95
"""Dice at which the user is content."""

SCREEN = 1000.0
"""Side of the canvas; ours."""

OBJECT = 200.0
"""Longer side of an object below which the user zooms in; ours."""

THROUGHPUT = 4.3
"""bit/s of pointing with a mouse by Fitts' law, MT = log2(D / W + 1) / throughput; the middle of the 3.7 to 4.9 that
Soukoreff and MacKenzie (2004) found in studies after ISO 9241-9."""

SPREAD = 4.133
"""Width of a target over the standard deviation of where people hit, by the same; 4 % miss it."""

KEY = 0.28
"""s for a key, to change the brush or its size; Card, Moran and Newell (1980), an average typist."""

TREMOR = 0.04
"""s; standard deviation of the brush's path over its speed; RootPainter."""

SLOWEST, FASTEST = 30.0, 200.0
"""Speed of the brush, screen pixels a second; RootPainter."""

SIGMAS = 2.0
"""Of the tremor that are to fit into the margin; RootPainter has 3, which is slower."""

PATIENCE = 2
"""Clicks in succession that add less than `GAIN` to the Dice before the user takes the brush; ours."""

GAIN = 0.01
CLICKS = 20
STROKES = 60
"""After which the user gives up."""


@dataclass
class Session:
    """What the user did.

    Attributes:
        seconds: in all.
        waited: of them, for answers.
        clicks: given.
        strokes: painted.
        dice: in the end; below `TARGET` if the user gave up.
        at: where the mouse is, row and column.
    """

    seconds: float = 0.0
    waited: float = 0.0
    clicks: int = 0
    strokes: int = 0
    dice: float = 0.0
    at: tuple[float, float] | None = None


def with_clicks(method: Method, image: MedicalImage, truth: Mask, seed: int) -> Session:
    """Click until the mask is good or clicks no longer help, then paint the rest."""
    rng, zoom, session = np.random.default_rng(seed), zoom_of(truth), Session()
    mask, prompts, useless = np.zeros_like(truth), Prompts(), 0
    best = mask
    method.start(image)
    while session.clicks < CLICKS and useless < PATIENCE and dice(mask, truth) < TARGET:
        click = next_click(mask, truth, [])
        if click is None:
            break
        width = max(2 * zoom * float(depth(truth & ~mask if click[2] else mask & ~truth)[click[:2]]), 2.0)
        _point(session, click[:2], width, zoom)
        session.seconds += PRESS
        place = np.clip(np.array(click[:2]) + rng.normal(0, width / SPREAD / zoom, 2), 0, np.array(truth.shape) - 1)
        prompts = prompts.click((float(place[0]), float(place[1])), positive=click[2])
        better, wall, processor = timed(lambda clicks=prompts: method.answer(clicks))
        session.waited += min(wall, processor) / 1000  # the lower is what a machine without other work needs
        session.clicks += 1
        useless = useless + 1 if dice(better, truth) < dice(mask, truth) + GAIN else 0
        mask = better
        best = max(best, mask, key=lambda seen: dice(seen, truth))
    session.seconds += session.waited + KEY * useless  # clicks that did harm are taken back
    if (best ^ truth).sum() > truth.sum():  # nothing would be nearer
        best, session.seconds = np.zeros_like(truth), session.seconds + KEY
    return _paint(session, best, truth, zoom, rng)


def with_brush(truth: Mask, seed: int) -> Session:
    """Paint the object from nothing."""
    return _paint(Session(), np.zeros_like(truth), truth, zoom_of(truth), np.random.default_rng(seed))


def zoom_of(truth: Mask) -> float:
    """Screen pixels for a pixel of the image."""
    rows, columns = np.nonzero(truth)
    return max(SCREEN / max(truth.shape), OBJECT / (1 + int(max(np.ptp(rows), np.ptp(columns)))))


def _paint(session: Session, mask: Mask, truth: Mask, zoom: float, rng: np.random.Generator) -> Session:
    """Correct a mask with the brush, the stroke that gains most a second first, until it is good."""
    margin = 2 * (1 - TARGET) * int(truth.sum()) / max(1, border(truth))  # mean error allowed
    speed = float(np.clip(margin * zoom / (SIGMAS * TREMOR), SLOWEST, FASTEST))
    mask, brush = mask.copy(), (0.0, True)
    while dice(mask, truth) < TARGET and session.strokes < STROKES:
        stroke = best_stroke(mask, truth, speed / zoom, session.at)
        keys = (stroke.adds != brush[1]) + (not 0.8 < stroke.radius / max(brush[0], 0.1) < 1.25)
        brush = stroke.radius, stroke.adds
        _point(session, stroke.start, 2 * stroke.radius * zoom, zoom)
        session.seconds += PRESS * stroke.pieces + KEY * int(keys) + stroke.length * zoom / speed
        trembling = gaussian_filter(rng.normal(size=mask.shape), max(1.0, stroke.radius))
        trembling *= TREMOR * speed / zoom / max(float(trembling.std()), 1e-6)
        mask[distance_transform_edt(~stroke.centres) <= stroke.radius + trembling] = stroke.adds
        session.strokes += 1
    session.dice = dice(mask, truth)
    return session


def _point(session: Session, place: tuple[float, float], width: float, zoom: float) -> None:
    """Look for what is wrong and move the mouse there; the first way is half of the screen."""
    way = SCREEN / 2 if session.at is None else zoom * math.dist(place, session.at)
    session.seconds += SEARCH + math.log2(way / width + 1) / THROUGHPUT
    session.at = (float(place[0]), float(place[1]))
