import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.models.errors import PromptError
from napari_medseg.models.prompts import Box, Lasso, Point, Prompts, Scribble

positions = st.tuples(st.floats(-10, 600), st.floats(-10, 600))
prompts = st.one_of(
    st.builds(Point, positions, st.booleans()),
    st.builds(Scribble, st.lists(positions, min_size=1, max_size=5).map(tuple), st.booleans()),
    st.builds(Box, positions, positions),
    st.builds(Lasso, st.lists(positions, min_size=3, max_size=6).map(tuple)),
)


def test_each_prompt_gives_new_prompts_and_leaves_the_old_ones() -> None:
    first = Prompts().click((40, 52))
    second = first.click((44, 80), positive=False).scribble([(1, 2), (3, 4)]).box((0, 0), (9, 9))
    assert [type(prompt).__name__ for prompt in second] == ["Point", "Point", "Scribble", "Box"]
    assert len(first) == 1
    assert not second.items[1].positive


@given(st.lists(prompts, min_size=1, max_size=6), st.data())
def test_one_prompt_can_be_taken_back_alone(items: list[Point], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(items) - 1))
    left = Prompts(tuple(items)).without(number)
    assert left.items == (*items[:number], *items[number + 1 :])


@given(st.lists(prompts, max_size=6))
def test_equal_prompts_are_equal_and_can_be_sent(items: list[Point]) -> None:
    made = Prompts(tuple(items))
    assert pickle.loads(pickle.dumps(made)) == made
    assert hash(Prompts(tuple(items))) == hash(made)


def test_prompts_know_their_planes() -> None:
    made = Prompts().click((1, 1), plane=(3,)).click((2, 2), plane=(7,)).click((3, 3), plane=(3,))
    assert made.plane == (3,)
    assert len(made.on((3,))) == 2
    assert Prompts().plane == ()


def test_taking_back_what_is_not_there_says_how_many_there_are() -> None:
    with pytest.raises(PromptError, match=r"no prompt 1; there are 1"):
        Prompts().click((1, 1)).without(1)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Prompts().click((float("nan"), 1)),
        lambda: Prompts().box((0, 0), (float("inf"), 1)),
        lambda: Prompts().scribble([]),
        lambda: Prompts().scribble([(1, 1)], width=0),
        lambda: Prompts().lasso([(0, 0), (1, 1)]),
    ],
)
def test_prompts_that_mean_nothing_are_refused(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PromptError):
        wrong()


def test_prompts_need_no_torch() -> None:
    code = "import sys; from napari_medseg.models.prompts import Prompts, Proposal; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
