import numpy as np
import pytest
import torch

from napari_medseg.models.prompts.network import PROMPT_CHANNELS, PromptNetwork
from napari_medseg.models.prompts.plane import Plane
from napari_medseg.models.prompts.sight import KEPT, Sight
from napari_medseg.models.prompts.window import SIDE, Window

CPU = torch.device("cpu")
LIMITS = np.array([[0.0, 255.0]])
WINDOWS = [Window(10, 20, 32), Window(0, 0, 64), Window(-20, -10, 150), Window(40, 40, 48), Window(5, 5, 90)]


@pytest.fixture(scope="module")
def network() -> PromptNetwork:
    torch.manual_seed(0)
    return PromptNetwork(widths=(8, 16, 16, 24)).eval()


@pytest.fixture(scope="module")
def plane() -> Plane:
    return Plane(np.random.default_rng(0).integers(0, 255, (120, 130, 1), np.uint8), LIMITS)


def channels(count: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(1).random((count, PROMPT_CHANNELS, side, side)).astype(np.float32)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_windows_looked_through_at_the_same_time_say_what_they_say_one_by_one(
    network: PromptNetwork, plane: Plane, threads: int
) -> None:
    given = channels(len(WINDOWS))
    alone = [Sight(network, CPU).answer(plane, [window], given[n : n + 1]) for n, window in enumerate(WINDOWS)]

    together = Sight(network, CPU, threads=threads).answer(plane, WINDOWS, given)

    for part in ("logits", "quality", "last"):
        expected = torch.cat([getattr(answer, part) for answer in alone])
        torch.testing.assert_close(getattr(together, part), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_expected_of_windows_is_the_quality_of_what_is_seen_in_them(
    network: PromptNetwork, plane: Plane, threads: int
) -> None:
    sight, given = Sight(network, CPU, threads=threads), channels(len(WINDOWS))

    expected = sight.expected(plane, WINDOWS, given)

    torch.testing.assert_close(expected, sight.answer(plane, WINDOWS, given).quality)
    assert expected.unique().numel() == len(WINDOWS)


def test_what_is_known_of_a_window_is_not_made_again_until_it_is_forgotten(
    network: PromptNetwork, plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    features = network.features
    monkeypatch.setattr(network, "features", lambda image: (made.append(len(image)), features(image))[1])
    sight = Sight(network, CPU)

    for windows in (WINDOWS[:2], WINDOWS[1:3], WINDOWS[:3]):
        sight.answer(plane, windows, channels(len(windows)))
    assert sum(made) == 3
    sight.forget()
    sight.answer(plane, WINDOWS[:1], channels(1))
    assert sum(made) == 4


def test_a_window_seen_with_fewer_cells_is_not_taken_for_the_same_with_more(
    network: PromptNetwork, plane: Plane
) -> None:
    sight = Sight(network, CPU)
    for side in (SIDE // 2, SIDE, SIDE // 2):
        answer = sight.answer(plane, WINDOWS[:1], channels(1, side))
        alone = Sight(network, CPU).answer(plane, WINDOWS[:1], channels(1, side))

        assert answer.logits.shape == (1, 1, side, side)
        torch.testing.assert_close(answer.logits, alone.logits)


def test_only_the_windows_used_last_are_kept(network: PromptNetwork, plane: Plane) -> None:
    sight = Sight(network, CPU)
    for number in range(KEPT + 3):
        sight.answer(plane, [Window(number, 0, 32)], channels(1))
    assert len(sight._features) == KEPT
