import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medseg.models import durable
from napari_medseg.models.durable import WriteError, make_folder, write
from napari_medseg.models.errors import MedSegError

from ..full_disk import no_file_may_be_larger_than


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Path]:
    """A file with old contents, which must have the old or the new ones when the test ends, and nothing beside it."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    yield path
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=2000))
def test_what_is_written_is_what_is_read(tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "a" / "b" / "file", content)
    assert (tmp_path / "a" / "b" / "file").read_bytes() == content
    assert len(list((tmp_path / "a" / "b").iterdir())) == 1


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(min_size=1, max_size=300), step=st.integers(1, 7))
def test_a_system_that_writes_less_than_it_is_given_is_given_the_rest(
    tmp_path: Path, content: bytes, step: int
) -> None:
    real = os.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable.os, "write", lambda fd, data: real(fd, bytes(data[:step])))
        write(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == content


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fills_up_half_way_leaves_the_old_file(
    old: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    real, calls = os.write, []

    def fills_up(descriptor: int, data: memoryview) -> int:
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(code, os.strerror(code))
        return real(descriptor, bytes(data[:10]))

    monkeypatch.setattr(durable.os, "write", fills_up)
    with pytest.raises(WriteError, match="Nothing was lost") as caught:
        write(old, b"n" * 100)
    assert calls == [100, 90]
    assert old.read_bytes() == b"old"
    assert caught.value.__cause__.errno == code


def test_a_disk_that_cannot_promise_is_an_error_and_leaves_the_old_file(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(durable.os, "fsync", refuse)
    with pytest.raises(WriteError, match="input/output error"):
        write(old, b"new")
    assert old.read_bytes() == b"old"


def test_a_limit_of_the_account_leaves_the_old_file(old: Path) -> None:
    said = "larger than this disk or account allows"
    with no_file_may_be_larger_than(1000), pytest.raises(WriteError, match=said):
        write(old, b"n" * 5000)
    assert old.read_bytes() == b"old"


def test_contents_are_on_the_disk_before_they_take_the_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def seen_fsync(descriptor: int) -> None:
        order.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "contents")  # noqa: PTH112
        fsync(descriptor)

    def seen_replace(self: Path, target: Path) -> Path:
        order.append("name")
        return replace(self, target)

    monkeypatch.setattr(durable.os, "fsync", seen_fsync)
    monkeypatch.setattr(Path, "replace", seen_replace)
    write(tmp_path / "file", b"new")
    assert order == ["contents", "name", "folder"]


def test_a_file_where_a_folder_is_needed_is_an_error_for_people(old: Path) -> None:
    with pytest.raises(WriteError, match="could not be written") as caught:
        write(old / "below" / "file", b"new")
    assert isinstance(caught.value, MedSegError)
    assert old.read_bytes() == b"old"


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / "file").touch()
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "file").exists()


def a_folder(path: Path, content: str) -> Path:
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "file").write_text(content)
    return path


@pytest.mark.parametrize("older", [True, False])
def test_a_folder_takes_the_name_of_another_and_nothing_is_left_behind(tmp_path: Path, older: bool) -> None:
    if older:
        a_folder(tmp_path / "target", "old")
    durable.exchange(a_folder(tmp_path / "new", "new"), tmp_path / "target")
    assert (tmp_path / "target" / "deep" / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_folder_that_cannot_take_the_name_leaves_the_one_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, target = a_folder(tmp_path / "new", "new"), a_folder(tmp_path / "target", "old")
    real = Path.rename

    def refused(self: Path, to: Path) -> Path:
        if self == new:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(self, to)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(WriteError, match="you may not write there"):
        durable.exchange(new, target)
    assert (target / "deep" / "file").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "target"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_what_a_link_leads_to_stays_when_a_folder_takes_the_name_of_the_link(tmp_path: Path) -> None:
    (tmp_path / "target").symlink_to(a_folder(tmp_path / "elsewhere", "theirs"))
    durable.exchange(a_folder(tmp_path / "new", "new"), tmp_path / "target")
    assert (tmp_path / "target" / "deep" / "file").read_text() == "new"
    assert (tmp_path / "elsewhere" / "deep" / "file").read_text() == "theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "target"]
