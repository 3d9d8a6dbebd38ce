import pytest
import torch
import torch.nn.functional as F

from napari_medseg.models.sosegformer import SoSegFormer
from napari_medseg.models.sosegformer.head import SoSegFormerHead, resize, sum_branches
from napari_medseg.models.sosegformer.instruction import CrossScaleInstruction
from napari_medseg.models.sosegformer.stageformer import fold, unfold

from ..parity import fill_parameters, noise_input

CHANNELS, WIDTHS = (8, 16, 24, 32, 48), (8, 16, 16, 24, 32)


def small(in_channels: int = 3, classes: int = 1, **options) -> SoSegFormer:
    torch.manual_seed(0)
    options = {"encoder": "test_resnet", "widths": (8, 8, 16, 16, 16), "drop_path": 0.0} | options
    return SoSegFormer(in_channels, classes, **options)


def features(height: int = 64, width: int = 96) -> list[torch.Tensor]:
    return [noise_input(1, c, height >> s, width >> s, phase=s) for s, c in enumerate(CHANNELS, 1)]


def filled_head() -> SoSegFormerHead:
    return fill_parameters(SoSegFormerHead(CHANNELS, WIDTHS, 3), gain=0.5).eval()


@pytest.mark.parametrize("patch", [1, 2, 3])
def test_folding_undoes_unfolding(patch: int) -> None:
    x = noise_input(2, 5, 6, 12)
    assert torch.equal(fold(unfold(x, patch), patch, 6, 12), x)


def test_tokens_of_one_place_come_from_all_patches() -> None:
    tokens = unfold(torch.arange(16.0).reshape(1, 1, 4, 4), 2)
    assert tokens[0, 0].tolist() == [[0, 2, 8, 10], [1, 3, 9, 11], [4, 6, 12, 14], [5, 7, 13, 15]]


@torch.inference_mode()
def test_the_finest_map_instructs_the_coarsest() -> None:
    head, maps = filled_head(), features()
    told, _ = head.instruct(maps)
    untold, _ = head.instruct([torch.zeros_like(maps[0]), *maps[1:]])
    assert all(not torch.allclose(a, b, rtol=1e-3) for a, b in zip(told, untold, strict=True))
    assert torch.equal(told[0], head.instruct([maps[0], *(torch.zeros_like(x) for x in maps[1:])])[0][0])


@torch.inference_mode()
def test_instructors_are_instructed_themselves() -> None:
    instruction = fill_parameters(CrossScaleInstruction((4, 6, 8))).eval()
    maps = [noise_input(1, c, 16 >> s, 16 >> s) for s, c in enumerate((4, 6, 8))]
    first, second, third = instruction(maps)
    assert torch.equal(first, maps[0])
    assert torch.allclose(second, maps[1] + instruction.paths[1][0](first))
    assert torch.allclose(third, maps[2] + instruction.paths[2][0](first) + instruction.paths[2][1](second))


def test_drop_path_grows_with_the_source() -> None:
    rates = [drop.drop_prob for drop in SoSegFormerHead(CHANNELS, WIDTHS, 1).instruction.drop]
    assert rates == pytest.approx([0.0, 0.05, 0.1])


@torch.inference_mode()
def test_the_sum_of_branches_is_one_convolution_of_all_maps_together() -> None:
    head, maps = filled_head(), features()
    decoded = head.decode(*head.instruct(maps))
    together = torch.cat([resize(x, decoded[0].shape[-2:]) for x in decoded], dim=1)
    weight = torch.cat([classify.weight for classify in head.classifiers], dim=1)
    expected = F.conv2d(together, weight, head.classifiers[0].bias)
    assert abs(sum_branches(head(maps)) - expected).max() <= 1e-5 * abs(expected).max()
    assert [classify.bias is None for classify in head.classifiers] == [False, True, True, True, True]


def test_padding_keeps_the_image_where_it_was() -> None:
    image = noise_input(1, 3, 32, 65)
    padded, (top, left) = small()._pad(image)
    assert padded.shape == (1, 3, 64, 96)
    assert torch.equal(padded[..., top : top + 32, left : left + 65], image)


def test_deep_supervision_adds_the_branches_in_training_only_and_costs_no_parameters() -> None:
    network, image = small(classes=2, deep_supervision=True), noise_input(2, 3, 70, 64)
    assert [tuple(x.shape) for x in network.train()(image)] == [(2, 2, 70, 64)] * 4
    assert network.eval()(image).shape == (2, 2, 70, 64)
    assert network.state_dict().keys() == small(classes=2).state_dict().keys()


def test_an_encoder_that_starts_at_stride_4_leaves_out_the_first_stage() -> None:
    network = small(encoder="test_convnext", deep_supervision=True)
    assert len(network.head.laterals) == 4
    assert network.eval()(noise_input(1, 3, 50, 70)).shape == (1, 1, 50, 70)
    assert len(network.train()(noise_input(1, 3, 64, 64))) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "test_vit"}, r"maps halve; those of 'test_vit' have strides \[16, 16, 16\]"),
        ({"encoder": "test_mambaout"}, "channels first"),
        ({"widths": (8, 16, 32), "depths": (2, 2)}, "at least 5 widths"),
        ({"depths": (2, 2)}, "not 5 and 2"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)
