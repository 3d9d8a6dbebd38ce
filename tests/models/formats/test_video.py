import contextlib
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import OpenedImage, open_image, parts
from napari_medseg.models.formats.video_frames import VideoFrames
from napari_medseg.models.formats.video_index import video_index
from napari_medseg.models.reading import read_image, read_mask

KINDS = {
    "h264.mp4": ("libx264", "yuv420p", {}),
    "reordered.mp4": ("libx264", "yuv420p", {"max_b_frames": 3}),
    "mpeg4.mov": ("mpeg4", "yuv420p", {"max_b_frames": 2}),
    "h264.mkv": ("libx264", "yuv420p", {}),
    "vp8.webm": ("libvpx", "yuv420p", {}),
    "mpeg4.avi": ("mpeg4", "yuv420p", {"max_b_frames": 2}),
    "h264.avi": ("libx264", "yuv420p", {"max_b_frames": 2}),
    "mjpeg.avi": ("mjpeg", "yuvj420p", {}),
    "raw.avi": ("rawvideo", "gray", {}),
    "grey.mkv": ("ffv1", "gray16le", {}),
}
"""Containers, codecs and pixel formats; those with frames that are stored in another order than shown."""


def write(
    path: Path,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    *,
    frames: int = 40,
    container: dict[str, str] | None = None,
    times: list[int] | None = None,
    rotation: int = 0,
    **options: Any,
) -> Path:
    """A film of noise, 64 wide and 48 high, with a key frame every 12 frames."""
    noise = np.random.default_rng(0).integers(0, 255, (frames, 48, 64, 3), dtype=np.uint8)
    with av.open(str(path), "w", options=container or {}) as film:
        stream: Any = film.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        stream.codec_context.gop_size = 12
        stream.time_base = stream.codec_context.time_base = Fraction(1, 25)
        for name, value in options.items():
            setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        for number, picture in enumerate(noise):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = (times or range(frames))[number], Fraction(1, 25)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return path


def in_order(path: Path) -> list[np.ndarray]:
    """All frames, as one decoder gives them from the beginning to the end."""
    with av.open(str(path)) as film:
        grey = film.streams.video[0].codec_context.pix_fmt.startswith("gray")
        return [frame.to_ndarray() if grey else frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A good film of each of `KINDS`."""
    home, made = tmp_path_factory.mktemp("films"), {}

    def film(name: str) -> Path:
        if name not in made:
            codec, pixels, options = KINDS[name]
            made[name] = write(home / name, codec, pixels, **options)
        return made[name]

    return film


@pytest.mark.parametrize("name", KINDS)
def test_frame_n_is_the_one_that_a_player_shows_at_n_whatever_was_looked_at_before(
    films: Callable[[str], Path], name: str
) -> None:
    path = films(name)
    truth = in_order(path)
    opened = open_image(path)
    assert opened.image.lazy
    assert opened.image.axes == ("TYX" if truth[0].ndim == 2 else "TYXC")
    assert opened.image.data.dtype == truth[0].dtype
    assert opened.coloured == (truth[0].ndim == 3)
    assert opened.image.frame_seconds == pytest.approx(0.04)
    order = [39, 0, 1, 2, 20, 19, 18, 12, 11, 13, 38, *np.random.default_rng(1).permutation(40)]
    for number in order:
        np.testing.assert_array_equal(np.asarray(opened.image.data[number]), truth[number])
    np.testing.assert_array_equal(read_image(path).data, truth)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.integers(0, 39), min_size=1, max_size=12), name=st.sampled_from(["reordered.mp4", "h264.avi"]))
def test_any_order_of_looking_gives_the_same_frames(films: Callable[[str], Path], order: list[int], name: str) -> None:
    truth, frames = in_order(films(name)), VideoFrames(films(name), video_index(films(name)))
    frames.check()
    for number in order:
        np.testing.assert_array_equal(frames.frame(number), truth[number])


def test_neighbours_are_not_decoded_anew(films: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    frames = VideoFrames(films("h264.mp4"), video_index(films("h264.mp4")))
    frames.check()
    decoded = 0
    given_before = VideoFrames._decoded

    def counted(self: VideoFrames) -> Iterator[Any]:
        nonlocal decoded
        for frame in given_before(self):
            decoded += 1
            yield frame

    monkeypatch.setattr(VideoFrames, "_decoded", counted)
    for number in (*range(20, 30), *range(29, 19, -1)):
        frames.frame(number)
    assert decoded <= 24  # from the key frame before 20 on to 29, once


def test_a_part_of_a_frame_and_several_frames_can_be_had(films: Callable[[str], Path]) -> None:
    truth = np.stack(in_order(films("mjpeg.avi")))
    data = open_image(films("mjpeg.avi")).image.data
    np.testing.assert_array_equal(np.asarray(data[3:30:7, 5:9, 10:, 1]), truth[3:30:7, 5:9, 10:, 1])


def test_frames_can_be_had_from_several_threads_at_once(films: Callable[[str], Path]) -> None:
    data = open_image(films("reordered.mp4")).image.data
    np.testing.assert_array_equal(data.compute(scheduler="threads", num_workers=4), in_order(films("reordered.mp4")))


def test_a_film_that_was_taken_upright_comes_upright_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", rotation=90)
    opened = open_image(path)
    assert opened.image.data.shape == (40, 64, 48, 3)
    np.testing.assert_array_equal(np.asarray(opened.image.data[3]), np.rot90(in_order(path)[3]))
    assert "turned upright" in opened.notices[0]


def test_pixels_that_are_not_square_have_a_spacing_that_says_so(tmp_path: Path) -> None:
    opened = open_image(write(tmp_path / "a.mp4", sample_aspect_ratio=Fraction(4, 3)))
    assert (opened.image.spacing, opened.image.unit) == (pytest.approx((1.0, 4 / 3)), "pixel")
    assert "1.33 times as wide" in opened.notices[0]


def test_times_that_vary_are_told_and_the_mean_is_taken(tmp_path: Path) -> None:
    times = [int(at**1.2) + at for at in range(40)]
    opened = open_image(write(tmp_path / "a.mkv", times=times))
    assert opened.image.frame_seconds == pytest.approx((times[-1] - times[0]) / 39 / 25, rel=1e-2)
    assert "varies" in opened.notices[0]


def test_a_gap_in_the_times_is_told(tmp_path: Path) -> None:
    opened = open_image(write(tmp_path / "a.mkv", times=[at + 30 * (at >= 17) for at in range(40)]))
    assert opened.image.frame_seconds == pytest.approx(0.04)
    assert "missing after frame 17" in opened.notices[0]


# damage


@pytest.mark.parametrize("name", ["h264.mp4", "h264.mkv", "vp8.webm", "mpeg4.avi", "h264.avi", "mjpeg.avi", "raw.avi"])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_film_that_breaks_off_comes_up_to_there_and_says_so(tmp_path: Path, name: str, share: float) -> None:
    codec, pixels, options = KINDS[name]
    # a table of contents in front, as players on the net want it; without it nothing of a cut MP4 can be read
    whole = write(tmp_path / f"whole{name}", codec, pixels, container={"movflags": "faststart"}, **options)
    truth = in_order(whole)
    (tmp_path / name).write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    opened = open_image(tmp_path / name)
    count = len(opened.image.data)
    assert 4 < count < 40
    assert "breaks off" in opened.notices[0]
    np.testing.assert_array_equal(read_image(tmp_path / name).data, truth[:count])


@pytest.mark.parametrize("less", [0.1, 0.3, 0.5])
def test_a_film_without_the_end_of_its_table_of_contents_is_not_taken_for_sound(tmp_path: Path, less: float) -> None:
    content = write(tmp_path / "a.mp4", frames=4).read_bytes()
    table = content.rindex(b"moov")
    (tmp_path / "a.mp4").write_bytes(content[: int(table + less * (len(content) - table))])
    with pytest.raises(ImageError, match="table of contents is missing or damaged"):
        open_image(tmp_path / "a.mp4")


def damaged(path: Path, first: float, length: int = 3000) -> Path:
    """Zeros in a film, from a share of its bytes on."""
    content = bytearray(path.read_bytes())
    start = int(first * len(content))
    content[start : start + length] = bytes(length)
    path.write_bytes(content)
    return path


def one_frame_damaged(path: Path, number: int) -> Path:
    """A film of which the inside of the packet in this place of the file is zeros."""
    with av.open(str(path)) as film:
        packet = [packet for packet in film.demux(video=0) if packet.size][number]
        assert packet.pos is not None
        begin, end = packet.pos + 1, packet.pos + packet.size
    content = bytearray(path.read_bytes())
    content[begin:end] = bytes(end - begin)
    path.write_bytes(content)
    return path


def told(opened: OpenedImage) -> set[int]:
    """Numbers of the frames that are said to be damaged, counted from 0."""
    runs = (
        re.findall(r"(\d+)(?: to (\d+))?[,a-z ]*", opened.found()[0].partition(" cannot")[0]) if opened.found() else ()
    )
    return {number - 1 for first, last in runs for number in range(int(first), int(last or first) + 1)}


@pytest.mark.parametrize("name", ["h264.mp4", "reordered.mp4", "mpeg4.mov", "mpeg4.avi", "h264.avi", "mjpeg.avi"])
@pytest.mark.parametrize("number", [0, 17, 30])
def test_a_damaged_frame_is_black_and_told_and_all_others_are_at_their_times(
    tmp_path: Path, name: str, number: int
) -> None:
    codec, pixels, options = KINDS[name]
    path = write(tmp_path / name, codec, pixels, **options)
    truth, seconds = in_order(path), open_image(path).image.frame_seconds
    if (name, number) == ("h264.avi", 0):
        pytest.skip("an AVI's first packet says how to decode all others")
    one_frame_damaged(path, number)
    opened = open_image(path)
    assert (len(opened.image.data), opened.image.frame_seconds) == (40, pytest.approx(seconds))
    frames = [np.asarray(opened.image.data[at]) for at in np.random.default_rng(2).permutation(40)]
    order = np.random.default_rng(2).permutation(40)
    black = {int(at) for at, frame in zip(order, frames, strict=True) if not frame.any()}
    assert black == told(opened)
    assert 0 < len(black) <= 12  # up to the next key frame, at most
    for at, frame in zip(order, frames, strict=True):
        if at not in black:
            np.testing.assert_array_equal(frame, truth[at])
    whole = open_image(path).loaded()  # a small film, which is read at once, says the same
    np.testing.assert_array_equal(np.asarray(whole.image.data)[order], frames)
    assert whole.notices[-1:] == opened.found()
    assert not whole.found()


def test_frames_that_the_search_for_the_next_good_one_skips_in_an_avi_keep_their_place(tmp_path: Path) -> None:
    for name in ("mpeg4.avi", "h264.avi", "mjpeg.avi"):
        codec, pixels, options = KINDS[name]
        path = write(tmp_path / name, codec, pixels, **options)
        truth = in_order(path)
        opened = open_image(damaged(path, 0.6))
        assert not opened.notices
        data = np.asarray(opened.image.data)
        wrong = {at for at in range(40) if not np.array_equal(data[at], truth[at])}
        assert told(opened) <= wrong
        assert len(wrong - told(opened)) <= 2  # of whose end alone is missing: decoders mend that, without a word
        assert 0 < len(wrong) <= 12


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.05, 0.9), length=st.integers(50, 6000), order=st.lists(st.integers(0, 39), max_size=8))
def test_what_is_black_does_not_depend_on_the_order_of_looking(
    films: Callable[[str], Path], tmp_path: Path, share: float, length: int, order: list[int]
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(films("h264.mp4").read_bytes())
    damaged(path, share * 0.9, length)
    with contextlib.suppress(ImageError):
        looked_at, whole = open_image(path).image.data, read_image(path).data
        for number in order:
            np.testing.assert_array_equal(np.asarray(looked_at[number % len(whole)]), whole[number % len(whole)])


def test_damage_is_looked_for_near_the_frame_and_not_in_all_of_a_long_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.mp4", frames=200)
    opened = open_image(one_frame_damaged(path, 150))
    decoded, before = 0, VideoFrames._picture

    def counted(self: VideoFrames, frame: Any) -> Any:
        nonlocal decoded
        decoded += 1
        return before(self, frame)

    monkeypatch.setattr(VideoFrames, "_picture", counted)
    for number in range(148, 156):
        np.asarray(opened.image.data[number])
    assert told(opened) & set(range(148, 156))
    assert decoded < 60


def test_a_film_that_is_gone_is_not_taken_for_a_damaged_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", container={"movflags": "faststart"})
    opened = open_image(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(ImageError, match="cannot be read any more, or was changed"):
        np.asarray(opened.image.data)
    assert not opened.found()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.mp4", b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(500), "table of contents is missing"),
        ("a.avi", b"RIFF\xff\xff\0\0AVI LIST" + bytes(500), "table of contents is missing|no frames"),
        ("a.mkv", b"\x1a\x45\xdf\xa3" + bytes(500), "table of contents is missing|no frames"),
    ],
)
def test_a_film_without_frames_is_said_in_one_sentence(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=said) as caught:
        read_image(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_sound_alone_is_no_film(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as film:
        stream: Any = film.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="flt", layout="mono")
        frame.sample_rate = 44100
        film.mux(stream.encode(frame))
        film.mux(stream.encode())
    with pytest.raises(ImageError, match="holds no pictures"):
        read_image(tmp_path / "a.mp4")


def test_a_number_of_frames_that_is_a_lie_is_not_believed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", "mjpeg", "yuvj420p")
    content = bytearray(path.read_bytes())
    for tag, at in ((b"avih", 24), (b"strh", 40)):
        start = content.index(tag) + at
        assert int.from_bytes(content[start : start + 4], "little") == 40
        content[start : start + 4] = (10**9).to_bytes(4, "little")
    path.write_bytes(content)
    opened = open_image(path)
    assert len(opened.image.data) == 40
    assert "40 of 1000000000 frames" in opened.notices[0]


def test_a_film_is_no_mask(films: Callable[[str], Path]) -> None:
    with pytest.raises(ImageError, match="video"):
        read_mask(films("mjpeg.avi"))


def test_names_with_spaces_and_other_letters_are_opened(tmp_path: Path) -> None:
    path = write(tmp_path / "Kolonoskopie Nº 3 肠.mp4", frames=3)
    assert parts(path)[0].title == "Kolonoskopie Nº 3 肠"
    assert read_image(path).data.shape == (3, 48, 64, 3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["h264.mp4", "vp8.webm", "mpeg4.avi"]),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_a_damaged_film_is_read_or_refused_and_nothing_else_happens(
    films: Callable[[str], Path], tmp_path: Path, name: str, damage: list[tuple[float, int]]
) -> None:
    content = bytearray(films(name).read_bytes())
    for share, value in damage:
        content[int(share**3 * len(content))] = value  # headers stand in front
    (tmp_path / name).write_bytes(content)
    with contextlib.suppress(ImageError):
        assert read_image(tmp_path / name).data.size < 1e7
