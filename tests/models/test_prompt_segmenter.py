import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_medseg.models.errors import ImageError, ModelError, PromptError
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.prompts import Prompts, PromptSegmenter
from napari_medseg.models.prompts.answering import GLANCE, Answering
from napari_medseg.models.prompts.network import PROMPT_CHANNELS, PromptNetwork
from napari_medseg.models.prompts.plane import Plane
from napari_medseg.models.prompts.refinement import refined
from napari_medseg.models.prompts.shipped import SHIPPED, load_network
from napari_medseg.models.prompts.tries import CHOSEN
from napari_medseg.models.prompts.window import SIDE, Window
from napari_medseg.phantom import ORGANS, ct_phantom, ct_phantom_organs

Array = npt.NDArray[np.generic]


@pytest.fixture(scope="module")
def segmenter() -> PromptSegmenter:
    torch.set_num_threads(1)
    return PromptSegmenter.load(device="cpu")


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> npt.NDArray[np.bool_]:
    rows, columns = np.indices(shape)
    return np.hypot(rows - centre[0], columns - centre[1]) < radius


def picture(mask: npt.NDArray[np.bool_], seed: int = 0) -> npt.NDArray[np.uint8]:
    """Bright where the mask is, on a darker, noisy ground."""
    noise = np.random.default_rng(seed).normal(0, 8, mask.shape)
    return (70 + 90 * mask + noise).clip(0, 255).astype(np.uint8)


def iou(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))


@pytest.mark.parametrize(("size", "radius"), [(128, 12), (256, 40), (512, 150)])
def test_three_clicks_find_an_object_of_any_size(segmenter: PromptSegmenter, size: int, radius: int) -> None:
    middle = (size * 0.45, size * 0.55)
    truth = disc((size, size), middle, radius)
    segmenter.start(picture(truth))
    prompts = Prompts().click(middle).click((middle[0] - 1.4 * radius, middle[1]), positive=False)
    assert iou(segmenter.update(prompts.click((middle[0], middle[1] + 0.5 * radius))), truth) > 0.8


def test_a_nucleus_of_30_pixels_is_found_in_4096(segmenter: PromptSegmenter) -> None:
    truth = np.zeros((4096, 4096), bool)
    truth[1985:2016, 2985:3016] = disc((31, 31), (15, 15), 15)
    image = np.full(truth.shape, 40, np.uint8)
    image[1900:2100, 2900:3100] = picture(truth[1900:2100, 2900:3100])
    segmenter.start(image)
    assert iou(segmenter.update(Prompts().click((2000, 3000)).click((2004, 3004))), truth) > 0.6


def test_at_a_first_click_all_windows_are_glanced_at_and_the_best_few_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segmenter = PromptSegmenter.load(device="cpu", threads=1)
    network = segmenter._answering._sight._network
    seen: list[tuple[int, int]] = []
    features = network.features
    monkeypatch.setattr(network, "features", lambda image: (seen.append(image.shape[::3]), features(image))[1])
    truth = disc((512, 512), (256, 256), 30)
    segmenter.start(picture(truth))

    mask = segmenter.update(Prompts().click((256.0, 256.0)))

    assert iou(mask, truth) > 0.8
    assert sum(count for count, side in seen if side == GLANCE) == 5  # 32, 64, ... pixels, and the whole image
    assert sum(count for count, side in seen if side == SIDE) <= CHOSEN + 1


def test_fewer_digits_change_single_pixels_of_the_border_only() -> None:
    truth = disc((256, 256), (120, 130), 45)
    networks = {precision: load_network().fold() for precision in (torch.float32, torch.bfloat16)}
    masks = []
    for precision, network in networks.items():
        segmenter = PromptSegmenter(Answering(network, torch.device("cpu"), precision))
        segmenter.start(picture(truth))
        masks.append(segmenter.update(Prompts().click((120, 130)).click((120, 180), positive=False)))
    assert iou(masks[0], masks[1]) > 0.98
    assert iou(masks[1], truth) > 0.8


def test_a_box_finds_what_is_in_it(segmenter: PromptSegmenter) -> None:
    truth = disc((200, 200), (100, 80), 30)
    segmenter.start(picture(truth))
    assert iou(segmenter.update(Prompts().box((68, 48), (132, 112))), truth) > 0.8


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 95), st.integers(0, 119), st.booleans()), min_size=1, max_size=4), st.data())
def test_clicks_are_obeyed_even_in_noise(clicks: list[tuple[int, int, bool]], data: st.DataObject) -> None:
    segmenter = PromptSegmenter.load(device="cpu")
    segmenter.start(np.random.default_rng(data.draw(st.integers(0, 9))).integers(0, 255, (96, 120), np.uint8))
    prompts, said = Prompts(), {}
    for row, column, positive in clicks:
        prompts = prompts.click((row, column), positive=positive)
        said[row // 4, column // 4] = (row, column, positive)  # of clicks on nearly the same pixel the newest is right
        mask = segmenter.update(prompts)
        assert mask.shape == (96, 120)
        assert mask[row, column] == positive
    alone = len(said) == len(clicks)
    assert not alone or all(mask[row, column] == positive for row, column, positive in said.values())


def test_a_click_taken_back_leaves_no_trace(segmenter: PromptSegmenter) -> None:
    image = picture(disc((160, 160), (80, 80), 35))
    first = Prompts().click((80, 80))
    segmenter.start(image)
    once = segmenter.update(first)
    segmenter.update(first.click((40, 40)))
    assert np.array_equal(segmenter.update(first), once)


def test_the_answer_does_not_depend_on_what_was_asked_before(segmenter: PromptSegmenter) -> None:
    image = picture(disc((160, 160), (80, 80), 35))
    prompts = Prompts().click((80, 80)).click((20, 20), positive=False).scribble([(70, 60), (90, 100)])
    segmenter.start(image)
    at_once = segmenter.update(prompts)
    segmenter.start(image)
    for count in range(1, 4):
        step_by_step = segmenter.update(Prompts(prompts.items[:count]))
    assert np.array_equal(at_once, step_by_step)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.float32])
def test_the_scale_of_intensities_does_not_matter(segmenter: PromptSegmenter, kind: type[np.generic]) -> None:
    truth = disc((160, 160), (80, 80), 35)
    image = picture(truth).astype(np.float64)
    factor, shift = {np.uint8: (1, 0), np.uint16: (257, 0), np.int16: (8, -1024), np.float32: (0.01, -1)}[kind]  # type: ignore[index]
    segmenter.start((image * factor + shift).astype(kind))
    segmenter.update(Prompts().click((80, 80)))
    assert iou(segmenter.update(Prompts().click((80, 80)).click((90, 95))), truth) > 0.7


def test_a_correction_leaves_alone_what_is_far_from_the_click(segmenter: PromptSegmenter) -> None:
    truth = disc((200, 200), (60, 60), 30) | disc((200, 200), (150, 150), 25)
    begun = truth.copy()
    begun[60:95, 25:95] = False
    segmenter.start(picture(truth), begun)
    after = segmenter.update(Prompts().click((75, 60)))
    assert after[75, 60]
    assert np.array_equal(after[110:, 110:], begun[110:, 110:])


@pytest.fixture(scope="module")
def lungs() -> npt.NDArray[np.bool_]:
    """Both, on a slice of the phantom, where they do not touch."""
    return ct_phantom_organs()[18] == ORGANS["lungs"]


def right_and_left(lungs: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    numbers, count = ndimage.label(lungs)
    assert count == 2
    return numbers == 1, numbers == 2


class TestPieces:
    """An object that lies in several places, as both lungs do on a slice."""

    def test_a_click_each_finds_both(self, segmenter: PromptSegmenter, lungs: npt.NDArray[np.bool_]) -> None:
        right, left = right_and_left(lungs)
        segmenter.start(ct_phantom().data[18])
        one = Prompts().click(middle_of(right))

        before, after = segmenter.update(one), segmenter.update(one.click(middle_of(left)))

        assert iou(after, lungs) > 0.95
        assert np.array_equal(after & before, before), "the first one changed"

    def test_a_correction_of_one_leaves_the_other_as_it_is(
        self, segmenter: PromptSegmenter, lungs: npt.NDArray[np.bool_]
    ) -> None:
        right, left = right_and_left(lungs)
        segmenter.start(ct_phantom().data[18])
        both = Prompts().click(middle_of(right)).click(middle_of(left))
        at = tuple(int(number) for number in np.argwhere(left).min(0) + np.array([6, 8]))

        before, after = (segmenter.update(prompts) for prompts in (both, both.click(at, positive=False)))

        assert not after[at]
        assert np.array_equal(after[:, :64], before[:, :64])
        assert (after & left).any()

    def test_they_are_known_by_their_prompts(self, segmenter: PromptSegmenter, lungs: npt.NDArray[np.bool_]) -> None:
        right, left = right_and_left(lungs)
        segmenter.start(ct_phantom().data[18])
        first, second = Prompts().click(middle_of(right)), Prompts().click(middle_of(left))

        answer = segmenter.propose(Prompts((*first, *second)))

        assert [piece.prompts for piece in answer.pieces] == [first, second]
        assert not segmenter.propose(first).pieces

    def test_they_are_known_again_after_a_brush(self, segmenter: PromptSegmenter, lungs: npt.NDArray[np.bool_]) -> None:
        right, left = right_and_left(lungs)
        segmenter.start(ct_phantom().data[18])
        first, second = Prompts().click(middle_of(right)), Prompts().click(middle_of(left))
        painted = segmenter.update(Prompts((*first, *second)))
        top, column = np.argwhere(left).min(0) + np.array([6, 8])
        painted[top - 2 : top + 3, column - 2 : column + 3] = False
        painted[1, 1] = True  # a crumb, which nobody clicked on
        third = Prompts().click((float(top), float(column)))

        answer = segmenter.propose(Prompts((*first, *second, *third)), painted)

        assert [piece.prompts for piece in answer.pieces] == [first, Prompts((*second, *third))]
        assert answer.full(painted.shape)[top, column]
        assert np.array_equal(answer.full(painted.shape)[:, :64], painted[:, :64])

    def test_a_box_is_about_all_of_them(self, segmenter: PromptSegmenter, lungs: npt.NDArray[np.bool_]) -> None:
        right, left = right_and_left(lungs)
        segmenter.start(ct_phantom().data[18])
        both = Prompts().click(middle_of(right)).click(middle_of(left))

        assert not segmenter.propose(both.box((20, 5), (100, 120))).pieces


def middle_of(mask: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """The pixel that is farthest from the border."""
    row, column = np.unravel_index(ndimage.distance_transform_edt(mask).argmax(), mask.shape)
    return float(row), float(column)


def test_a_click_on_another_of_the_same_size_adds_it_whole_and_no_disc_of_the_first_ones_size(
    segmenter: PromptSegmenter,
) -> None:
    first, second = disc((200, 260), (100, 70), 18), disc((200, 260), (100, 190), 18)
    segmenter.start(picture(first | second))
    once = segmenter.update(Prompts().click((100.0, 70.0)))
    twice = segmenter.update(Prompts().click((100.0, 70.0)).click((100.0, 190.0)))

    assert iou(once, first) > 0.8
    assert iou(twice, first | second) > 0.8


def test_without_prompts_the_mask_is_what_it_began_with(segmenter: PromptSegmenter) -> None:
    begun = disc((100, 90), (50, 40), 20)
    segmenter.start(picture(begun), begun.astype(np.uint16) * 7)
    assert np.array_equal(segmenter.update(Prompts()), begun)
    segmenter.start(picture(begun))
    assert not segmenter.update(Prompts()).any()


def test_a_mask_changed_by_hand_is_what_the_next_click_corrects(segmenter: PromptSegmenter) -> None:
    truth = disc((160, 160), (80, 80), 35)
    segmenter.start(picture(truth))
    prompts = Prompts().click((80, 80))
    painted = segmenter.update(prompts)
    painted[5:15, 5:15] = True
    proposal = segmenter.propose(prompts.click((20, 140), positive=False), painted)
    assert proposal.full(painted.shape)[10, 10]


def test_prompts_act_on_their_own_plane(segmenter: PromptSegmenter) -> None:
    truth = np.zeros((3, 96, 96), bool)
    truth[2] = disc((96, 96), (50, 50), 20)
    volume = MedicalImage(np.stack([picture(plane, seed) for seed, plane in enumerate(truth)]), "ZYX", (5, 1, 1), "mm")
    segmenter.start(volume)
    prompts = Prompts().click((10, 10), plane=(0,)).click((50, 50), plane=(2,)).click((55, 58), plane=(2,))
    proposal = segmenter.propose(prompts)
    assert proposal.plane == (2,)
    assert proposal.mask.shape == proposal.confidence.shape
    assert iou(proposal.full((96, 96)), truth[2]) > 0.7


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_of_one_to_four_channels_are_answered(segmenter: PromptSegmenter, channels: int) -> None:
    truth = disc((96, 96), (50, 50), 20)
    data = np.stack([picture(truth, seed) for seed in range(channels)], -1)
    segmenter.start(MedicalImage(data, "YXC"))
    assert segmenter.update(Prompts().click((50, 50)))[50, 50]


def test_a_few_pixels_that_are_no_numbers_do_not_blind_a_wide_window() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0.5, 1, (1024, 1024, 1)).astype(np.float32)
    pixels[rng.random(pixels.shape) < 0.002] = np.nan
    seen, inside = Plane(pixels, np.array([[0.0, 1.0]])).look(Window(0, 0, 1024))
    assert float((seen[0][inside[0] > 0] > 0.3).float().mean()) > 0.99


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (7, 5), (33, 1000)])
def test_images_of_any_shape_are_answered(segmenter: PromptSegmenter, shape: tuple[int, int]) -> None:
    segmenter.start(np.zeros(shape, np.uint8))
    mask = segmenter.update(Prompts().click((shape[0] - 1, shape[1] - 1)))
    assert mask.shape == shape
    assert mask[-1, -1]


def test_an_image_of_one_colour_and_one_without_numbers_are_answered(segmenter: PromptSegmenter) -> None:
    for image in (np.full((64, 64), 7, np.uint8), np.full((64, 64), np.nan, np.float32)):
        segmenter.start(image)
        assert segmenter.update(Prompts().click((30, 30)))[30, 30]


@pytest.mark.parametrize("at", [(-1, 5), (5, 64), (200, 200)])
def test_a_click_outside_the_image_is_refused_and_changes_nothing(
    segmenter: PromptSegmenter, at: tuple[int, int]
) -> None:
    segmenter.start(picture(disc((64, 64), (30, 30), 10)))
    inside = Prompts().click((30, 30))
    before = segmenter.update(inside)
    with pytest.raises(PromptError, match="outside the image, which has 64 rows and 64 columns"):
        segmenter.update(inside.click(at))
    assert np.array_equal(segmenter.update(inside), before)


def test_prompts_on_planes_that_are_not_there_are_refused(segmenter: PromptSegmenter) -> None:
    segmenter.start(np.zeros((3, 20, 20), np.uint8))
    with pytest.raises(PromptError, match="planes up to"):
        segmenter.update(Prompts().click((5, 5), plane=(3,)))
    segmenter.start(np.zeros((20, 20), np.uint8))
    with pytest.raises(PromptError, match="no planes beside its own"):
        segmenter.update(Prompts().click((5, 5), plane=(0,)))


def test_what_cannot_be_started_says_why(segmenter: PromptSegmenter) -> None:
    with pytest.raises(PromptError, match="No image was started"):
        PromptSegmenter.load(device="cpu").update(Prompts().click((1, 1)))
    with pytest.raises(ImageError, match="needs its axes named"):
        segmenter.start(np.zeros((2, 3, 4, 5, 6), np.uint8))
    with pytest.raises(ImageError, match="The mask has shape"):
        segmenter.start(np.zeros((20, 30), np.uint8), np.zeros((30, 20), bool))


def test_the_image_branch_does_not_see_the_prompts() -> None:
    network = load_network()
    image, prompts = torch.rand(2, 3, 64, 64), torch.rand(2, PROMPT_CHANNELS, 64, 64)
    with torch.inference_mode():
        whole = network(image, prompts).logits
        apart = network.answer(network.features(image), prompts).logits
    assert torch.equal(whole, apart)


def test_folding_changes_no_answer() -> None:
    network, folded = load_network(), load_network().fold()
    image, prompts = torch.rand(2, 3, 64, 64), torch.rand(2, PROMPT_CHANNELS, 64, 64)
    assert not [module for module in folded.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.inference_mode():
        assert torch.allclose(network(image, prompts).logits, folded(image, prompts).logits, atol=1e-3)


def test_a_click_that_is_contradicted_is_adapted_to() -> None:
    network = load_network()
    with torch.inference_mode():
        answer = network(torch.rand(1, 3, 64, 64), torch.zeros(1, PROMPT_CHANNELS, 64, 64))
        wanted = torch.zeros(1, 1, 64, 64)
        wanted[..., 20, 20], wanted[..., 50, 50] = -answer.logits[..., 20, 20].sign(), answer.logits[..., 50, 50].sign()
        better = refined(network.head, answer.last, answer.logits, wanted)
        assert torch.equal(refined(network.head, answer.last, better, better.sign() * (wanted != 0)), better)
    wrong = (1 - answer.logits * wanted)[wanted != 0].clamp_min(0).mean()
    assert float((1 - better * wanted)[wanted != 0].clamp_min(0).mean()) < float(wrong)


def test_the_weights_are_small_enough_to_ship() -> None:
    assert SHIPPED.stat().st_size <= 12e6


def test_the_card_is_that_of_the_weights() -> None:
    card = json.loads(SHIPPED.with_name("card.json").read_text("utf-8"))
    assert card["sha256"] == hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    assert card["parameters"] == sum(weight.numel() for weight in load_network().parameters())
    assert card["licence"]


def test_files_that_are_no_weights_of_this_network_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    (tmp_path / "text.safetensors").write_text("no weights", "utf-8")
    save_file({"some.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    state = PromptNetwork((8, 8, 8, 8)).state_dict()
    save_file({k: v for k, v in state.items() if v.is_floating_point()}, tmp_path / "narrow.safetensors")
    for name in ("text", "other", "narrow", "missing"):
        with pytest.raises(ModelError, match=f"{name}.safetensors"):
            PromptSegmenter.load(tmp_path / f"{name}.safetensors")
