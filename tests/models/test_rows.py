import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from napari_medseg.models import create_model
from napari_medseg.models.rows import in_rows


@given(st.integers(1, 40), st.integers(1, 12), st.booleans())
@torch.inference_mode()
def test_some_rows_at_a_time_give_what_all_give_at_once(halves: int, rows: int, last: bool) -> None:
    """Two maps, the second half as large: it is raised, added, and both go through two convolutions."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 2, 3, padding=1))
    layout = torch.channels_last if last else torch.contiguous_format
    fine = torch.rand(2, 3, 2 * halves, 8).to(memory_format=layout)
    coarse = torch.rand(2, 3, halves, 4)

    def function(fine: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        return layers(fine + F.interpolate(coarse, scale_factor=2.0))

    found = in_rows(function, 2 * rows, 4, fine, coarse)

    torch.testing.assert_close(found, function(fine, coarse), atol=1e-5, rtol=1e-5)
    assert found.is_contiguous(memory_format=layout)


@given(st.integers(1, 40), st.integers(1, 12), st.sampled_from([2, 4, 14]))
@torch.inference_mode()
def test_the_answer_may_be_written_over_the_map(halves: int, rows: int, reach: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 3, (2 * reach + 1, 3), padding=(reach, 1))
    image = torch.rand(2, 3, 2 * halves, 8)
    expected = layer(image)
    found = in_rows(layer, 2 * rows, reach, image, over=True)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    if 2 * rows < 2 * halves:
        assert found is image


@given(st.integers(1, 40), st.integers(1, 12))
@torch.inference_mode()
def test_the_answer_may_be_smaller_than_the_map(halves: int, rows: int) -> None:
    torch.manual_seed(0)
    layer, image = nn.Conv2d(3, 5, 3, padding=1), torch.rand(2, 3, 2 * halves, 8)

    def function(image: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(layer(image), 2)

    torch.testing.assert_close(in_rows(function, 2 * rows, 2, image), function(image), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 3, 160, 64), (2, 3, 150, 70), (1, 3, 40, 300)])
@torch.inference_mode()
def test_a_u_net_answers_the_same_whatever_rows_it_takes_at_once(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network, image = create_model("unet", base=4).eval(), torch.rand(shape)
    expected = network(image)
    for rows in (8, 32):
        network.rows_at_once = rows
        torch.testing.assert_close(network(image), expected, atol=1e-5, rtol=1e-4)


def test_a_u_net_that_learns_takes_all_rows_since_its_normalisation_does() -> None:
    torch.manual_seed(0)
    network, image = create_model("unet", base=4), torch.rand(1, 3, 160, 64)
    (expected,) = network(image)
    network.rows_at_once = 8
    (found,) = network(image)
    assert torch.equal(found, expected)
