"""Napari's own sign that something runs."""

from __future__ import annotations

from typing import Any

from qtpy.QtGui import QMovie
from qtpy.QtWidgets import QLabel


def test_it_moves_while_something_runs_but_so_slowly_that_it_takes_no_part_of_a_core(
    open_panel: Any, until: Any
) -> None:
    panel = open_panel()
    (movie,) = (label.movie() for label in panel.window().statusBar().findChildren(QLabel) if label.movie())

    panel.state.segmenting = 0.0

    assert movie.state() == QMovie.MovieState.Running
    assert movie.nextFrameDelay() >= 250, "milliseconds"

    panel.state.segmenting = None

    until(lambda: movie.state() == QMovie.MovieState.NotRunning)
