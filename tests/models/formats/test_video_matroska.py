"""Frames that are missing in MKV and WebM leave a black frame at their place, where the rate tells it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from napari_medseg.models.formats import OpenedImage, open_image

from .test_video import KINDS, in_order, told, write

FILMS = ["h264.mkv", "mpeg4.mkv", "vp8.webm", "vp9.webm", "mjpeg.mkv"]
CODECS = KINDS | {
    "mpeg4.mkv": ("mpeg4", "yuv420p", {"max_b_frames": 2}),
    "vp9.webm": ("libvpx-vp9", "yuv420p", {}),
    "mjpeg.mkv": ("mjpeg", "yuvj420p", {}),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, list[np.ndarray]]]:
    """A good film and all of its frames."""
    home, made = tmp_path_factory.mktemp("films"), {}

    def film(name: str) -> tuple[Path, list[np.ndarray]]:
        if name not in made:
            codec, pixels, options = CODECS[name]
            path = write(home / name, codec, pixels, **options)
            made[name] = path, in_order(path)
        return made[name]

    return film


def packets(path: Path) -> list[Any]:
    with av.open(str(path)) as film:
        return [packet for packet in film.demux(video=0) if packet.size]


def copied(source: Path, path: Path, lost: set[int], frames: int = 1000) -> Path:
    """A film without some of its packets, as a copy that somebody has made of a damaged one."""
    with av.open(str(source)) as film, av.open(str(path), "w") as copy:
        stream = copy.add_stream_from_template(film.streams.video[0])
        for number, packet in enumerate(packet for packet in film.demux(video=0) if packet.size):
            if number not in lost and number < frames:
                packet.stream = stream
                copy.mux(packet)
    return path


def zeroed(source: Path, path: Path, first: int, end: int) -> Path:
    content = bytearray(source.read_bytes())
    content[first:end] = bytes(end - first)
    path.write_bytes(content)
    return path


def check_all_at_their_times(path: Path, truth: list[np.ndarray], *, smeared: int = 0) -> OpenedImage:
    """Each frame is black or the one that belongs there, in any order of looking; which are black is told."""
    opened = open_image(path)
    assert opened.image.data.shape[0] == len(truth)
    assert opened.image.frame_seconds == pytest.approx(0.04)
    black, wrong = set(), 0
    for number in np.random.default_rng(3).permutation(len(truth)):
        frame = np.asarray(opened.image.data[number])
        if not frame.any():
            black.add(int(number))
        else:
            wrong += not np.array_equal(frame, truth[number])
    assert wrong <= smeared
    missing = [notice for notice in opened.notices if "not in the file" in notice]
    assert len(missing) == 1
    assert black == told(opened) | told_missing(missing[0])
    assert not told(opened) & told_missing(missing[0])
    return opened


def told_missing(notice: str) -> set[int]:
    numbers: set[int] = set()
    for run in notice.partition(" are not")[0].partition(" is not")[0].split(" ", 1)[1].split(", "):
        first, _, last = run.partition(" to ")
        numbers |= set(range(int(first) - 1, int(last or first)))
    return numbers


@pytest.mark.parametrize("name", FILMS)
def test_a_packet_whose_head_is_damaged_and_all_that_is_passed_over_leave_black_frames(
    films: Callable[[str], tuple[Path, list[np.ndarray]]], tmp_path: Path, name: str
) -> None:
    source, truth = films(name)
    packet = packets(source)[17]
    # of the packet before, some bytes are gone, too: decoders mend that, without a word
    path = zeroed(source, tmp_path / name, packet.pos - 7, packet.pos + 20)
    opened = check_all_at_their_times(path, truth, smeared=1)
    assert "damaged" in opened.notices[0]


@pytest.mark.parametrize("name", FILMS)
def test_a_packet_whose_time_is_damaged_leaves_a_black_frame(
    films: Callable[[str], tuple[Path, list[np.ndarray]]], tmp_path: Path, name: str
) -> None:
    source, truth = films(name)
    packet = packets(source)[17]
    path = zeroed(source, tmp_path / name, packet.pos + 1, packet.pos + packet.size)
    opened = check_all_at_their_times(path, truth)
    assert "damaged" in opened.notices[0]


@pytest.mark.parametrize(("name", "smeared"), [("h264.mkv", 0), ("mpeg4.mkv", 0), ("vp8.webm", 10), ("mjpeg.mkv", 0)])
def test_a_packet_that_was_lost_in_a_copy_leaves_a_black_frame(
    films: Callable[[str], tuple[Path, list[np.ndarray]]], tmp_path: Path, name: str, smeared: int
) -> None:
    source, truth = films(name)
    opened = check_all_at_their_times(copied(source, tmp_path / name, {17}), truth, smeared=smeared)
    assert "left out by the recording" in opened.notices[0]


def test_a_rate_that_is_rounded_to_milliseconds_is_constant(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream("mjpeg", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
        for _ in range(200):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 99, "u1"), format="rgb24")))
        film.mux(stream.encode())
    assert not open_image(path).notices
    opened = open_image(copied(path, tmp_path / "b.mkv", {30, 150, 151}))
    assert opened.image.data.shape[0] == 200
    assert opened.notices[0].startswith("Frames 31, 151 to 152 are not in the file")
    assert opened.image.frame_seconds == pytest.approx(1001 / 30000, rel=1e-3)


@pytest.mark.parametrize(("codec", "name"), [("mpeg4", "a.mkv"), ("libvpx", "a.webm")])
def test_what_follows_a_frame_that_was_left_out_near_the_end_is_read(tmp_path: Path, codec: str, name: str) -> None:
    with av.open(str(tmp_path / name), "w") as film:
        stream: Any = film.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 32, 32, "yuv420p", 100
        for number in (number for number in range(60) if number != 54):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 4 * number, "u1"), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    opened = open_image(tmp_path / name)
    assert len(opened.notices) == 1
    assert opened.notices[0].startswith("Frame 55 is not in the file")
    means = np.asarray(opened.image.data).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(means, [4 * number * (number != 54) for number in range(60)], atol=12)


def test_sound_beside_the_film_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
        sound: Any = film.add_stream("pcm_s16le", rate=8000)
        for number in range(40):
            if number not in (9, 10, 11, 12, 13):  # more than can be missing without a trace
                frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 99, "u1"), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                film.mux(stream.encode(frame))
            said = av.AudioFrame.from_ndarray(np.zeros((1, 320), "i2"), format="s16", layout="mono")
            said.sample_rate, said.pts = 8000, number * 320
            film.mux(sound.encode(said))
        film.mux(stream.encode())
    opened = open_image(path)
    assert opened.image.data.shape[0] == 35
    assert "Frames are missing after frame 9" in opened.notices[0]
    assert "Later frames have moved up" in opened.notices[0]


@pytest.mark.parametrize("jitter", [3, 7])
def test_frames_of_a_rate_that_varies_stay_as_they_are(tmp_path: Path, jitter: int) -> None:
    times = np.arange(60) * 40 + np.random.default_rng(0).integers(-jitter, jitter + 1, 60)
    path = varying(tmp_path / "a.mkv", times + jitter)
    opened = open_image(path)
    assert opened.image.data.shape[0] == 60
    assert not any("missing" in notice or "not in the file" in notice for notice in opened.notices)


def test_damage_in_a_film_whose_rate_varies_is_told_and_nothing_is_placed(tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(0).integers(20, 60, 60))
    path = varying(tmp_path / "whole.mkv", times)
    packet = packets(path)[20]
    opened = open_image(zeroed(path, tmp_path / "a.mkv", packet.pos - 7, packet.pos + 20))
    assert opened.image.data.shape[0] < 60
    assert "where they were cannot be told: later frames have moved up" in opened.notices[0]


def varying(path: Path, times: np.ndarray) -> Path:
    """A film whose frames have these times in ms."""
    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), number, "u1"), format="rgb24")
            frame.pts, frame.time_base = int(time), Fraction(1, 1000)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return path
