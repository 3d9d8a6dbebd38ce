from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.trainer.split import group_of_file, held_out_groups

GROUPS = st.lists(st.integers(0, 30).map(str))


@given(GROUPS)
def test_a_group_is_on_one_side(groups: list[str]) -> None:
    held_out = held_out_groups(groups)
    training = [g for g in groups if g not in held_out]
    assert held_out <= set(groups)
    assert not held_out & set(training)


@given(GROUPS, GROUPS)
def test_no_group_changes_sides_when_corrections_are_added(before: list[str], added: list[str]) -> None:
    assert held_out_groups(before + added) & set(before) == held_out_groups(before)


@given(GROUPS)
def test_about_a_quarter_of_the_groups_is_held_out(groups: list[str]) -> None:
    n = len(set(groups))
    assert abs(len(held_out_groups(groups)) - n / 4) <= 0.5


@given(GROUPS)
def test_training_is_never_left_with_nothing(groups: list[str]) -> None:
    assert not groups or set(groups) - held_out_groups(groups)


def test_one_group_alone_is_for_training() -> None:
    assert held_out_groups(["a", "a", "a"]) == frozenset()


def test_two_groups_are_enough_to_hold_one_out() -> None:
    assert held_out_groups(["a", "b"]) == {"b"}


def test_the_second_and_every_fourth_after_it_are_held_out() -> None:
    assert held_out_groups("abacdefghij") == {"b", "f", "j"}


def test_files_of_one_name_in_two_folders_are_two_groups_and_one_file_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert group_of_file(tmp_path / "p1" / "img.png") != group_of_file(tmp_path / "p2" / "img.png")
    assert group_of_file(Path("p1/../p2/img.png")) == group_of_file(tmp_path / "p2" / "img.png")
