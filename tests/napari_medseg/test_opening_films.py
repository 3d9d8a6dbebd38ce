"""Films with damage in them, opened in the panel: they open, and say what is missing when it is known."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

SAID = "Frame 6 cannot be decoded: the file is damaged there. It is black; all others are at their times."


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Ten pictures of noise, of which the sixth is damaged."""
    path = tmp_path / "gastro scopy é.avi"
    with av.open(str(path), "w") as made:
        stream: Any = made.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number, picture in enumerate(np.random.default_rng(0).integers(9, 255, (10, 48, 64, 3), dtype=np.uint8)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            made.mux(stream.encode(frame))
        made.mux(stream.encode())
    with av.open(str(path)) as written:
        packet = [packet for packet in written.demux(video=0) if packet.size][5]
        assert packet.pos is not None
        begin, end = packet.pos, packet.pos + packet.size
    content = bytearray(path.read_bytes())
    content[begin:end] = bytes(end - begin)
    path.write_bytes(content)
    return path


def opened(panel: Any, until: Any, path: Path) -> Any:
    panel.controller.open_images((path,))
    until(lambda: not panel.state.opening)
    assert panel.state.problem == ""
    return panel.state.image


def test_a_film_with_a_damaged_frame_opens_and_says_which(open_panel: Any, until: Any, film: Path) -> None:
    panel = open_panel()
    image = opened(panel, until, film)
    assert image.data.shape == (10, 48, 64, 3)
    assert [frame.any() for frame in image.data] == [number != 5 for number in range(10)]
    assert panel.sections["Image"].notices.text() == f"Note: {SAID}"
    assert "frames 0.04 s apart" in panel.sections["Image"].about.text()


def test_a_large_film_says_it_when_the_frame_is_looked_at(
    open_panel: Any, until: Any, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_medseg.opening.layers.LARGE", 0)  # read as it is looked at
    panel = open_panel()
    viewer = panel.controller.viewer
    image = opened(panel, until, film)
    assert not isinstance(image.data, np.ndarray)
    viewer.dims.set_current_step(0, 4)
    assert not panel.sections["Image"].notices.isVisible()
    viewer.dims.set_current_step(0, 5)
    assert panel.sections["Image"].notices.text() == f"Note: {SAID}"
    viewer.dims.set_current_step(0, 6)
    assert panel.sections["Image"].notices.isVisible()
