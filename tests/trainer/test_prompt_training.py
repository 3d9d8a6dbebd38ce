import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.io import imsave

from napari_medseg.models.prompts.channels import BOX, LASSO, NEGATIVE, POSITIVE
from napari_medseg.models.prompts.network import PROMPT_CHANNELS, PromptNetwork
from napari_medseg.models.prompts.shipped import load_network, save_network
from napari_medseg.models.prompts.window import SIDE
from napari_medseg.trainer.prompt_training import simulation
from napari_medseg.trainer.prompt_training.averaging import main as average
from napari_medseg.trainer.prompt_training.cases import Cases
from napari_medseg.trainer.prompt_training.training import (
    PromptConfig,
    averaged_network,
    beginning,
    iou,
    learn,
    loss,
    rate,
    settle,
    train,
)

CONFIG = PromptConfig(minutes=0.02, batch=2, rounds=2, drawn=4)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images: one with three squares, each an object, and one without any."""
    folder = tmp_path_factory.mktemp("pack")
    for part in ("images", "masks"):
        (folder / part).mkdir()
    labels = np.zeros((120, 90), np.uint8)
    labels[10:30, 10:40], labels[50:90, 20:50], labels[100:118, 60:88] = 1, 2, 3
    image = np.random.default_rng(0).integers(0, 60, labels.shape).astype(np.uint8) + labels * 50
    for stem, mask in (("squares", labels), ("empty", np.zeros_like(labels))):
        imsave(folder / "images" / f"{stem}.png", image, check_contrast=False)
        imsave(folder / "masks" / f"{stem}.png", mask, check_contrast=False)
    (folder / "splits.json").write_text(json.dumps({"train": ["squares", "empty"], "val": []}), "utf-8")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def square(top: int = 40, left: int = 40, side: int = 40) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def channels() -> np.ndarray:
    return np.zeros((PROMPT_CHANNELS, SIDE, SIDE), np.float32)


def test_a_training_may_begin_with_the_weights_of_a_file(pack: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    save_network(PromptNetwork(), tmp_path / "begin.safetensors")
    config = replace(CONFIG, lr=0.0, begin=str(tmp_path / "begin.safetensors"))
    for _ in train(Cases([pack], drawn=2, share=0.5, seed=0), config, tmp_path / "checkpoint.pt"):
        pass
    expected = load_network(tmp_path / "begin.safetensors").state_dict()
    for name, values in averaged_network(tmp_path / "checkpoint.pt").named_parameters():
        torch.testing.assert_close(values, expected[name])


def test_a_case_is_a_window_with_one_object(pack: Path) -> None:
    cases = Cases([pack], drawn=1, share=0.0, seed=0)
    for _ in range(30):
        case = cases.next()
        assert case.image.shape == (3, SIDE, SIDE)
        assert float(case.image.min()) >= 0
        assert float(case.image.max()) <= 255
        assert case.truth.sum() >= 12
        assert not (case.truth & case.others).any()
        assert case.cells >= case.truth.sum() - 1
        assert float((case.image * (1 - case.inside)).abs().max()) == 0


def test_cases_are_the_same_for_the_same_seed(pack: Path) -> None:
    first, second = (Cases([pack], drawn=2, share=0.5, seed=3) for _ in range(2))
    for _ in range(4):
        one, other = first.next(), second.next()
        assert torch.equal(one.image, other.image)
        assert np.array_equal(one.truth, other.truth)


def test_the_next_prompt_goes_into_the_larger_error(rng: np.random.Generator) -> None:
    for truth, mask, channel in (
        (square(), square(side=15), POSITIVE),
        (square(side=15), square(side=45), NEGATIVE),
    ):
        drawn = channels()
        simulation.correct(drawn, truth, mask, rng)
        wrong = truth ^ mask
        rows, columns = np.nonzero(drawn[channel])
        assert drawn[1 - channel].max() == 0
        assert wrong[round(rows.mean()), round(columns.mean())]


def test_nothing_is_drawn_where_nothing_is_wrong(rng: np.random.Generator) -> None:
    drawn = channels()
    simulation.correct(drawn, square(), square(), rng)
    assert drawn.max() == 0


def test_a_box_holds_nearly_all_of_the_object_and_a_lasso_all(rng: np.random.Generator) -> None:
    truth = square() & (np.indices((SIDE, SIDE)).sum(0) % 37 > 5)
    for _ in range(20):
        drawn = channels()
        simulation.box(drawn, truth, rng)
        simulation.lasso(drawn, truth, rng)
        assert (drawn[BOX] * truth).sum() > 0.85 * truth.sum()
        assert (drawn[LASSO] * truth).sum() == truth.sum()
        assert drawn[LASSO].mean() < 0.9


def test_a_scribble_stays_where_it_belongs(rng: np.random.Generator) -> None:
    region = square() & ~square(50, 50, 20)
    for _ in range(20):
        drawn = channels()
        simulation.scribble(drawn[POSITIVE], simulation.depth(region), rng)
        assert drawn[POSITIVE].max() == 1
        assert not (drawn[POSITIVE] > 0)[~region].any()


def test_flawed_masks_differ_from_the_truth(rng: np.random.Generator) -> None:
    truth, others = square(), square(5, 5, 20)
    flawed = [simulation.flawed(truth, others, rng) for _ in range(30)]
    assert sum(bool((mask ^ truth).any()) for mask in flawed) >= 28


def test_a_window_without_errors_left_costs_nothing_more(rng: np.random.Generator) -> None:
    network = fresh_network()
    truth = torch.from_numpy(square())[None, None].float()
    answer = network(torch.zeros(1, 3, SIDE, SIDE), torch.zeros(1, PROMPT_CHANNELS, SIDE, SIDE))
    inside, cells = torch.ones(1, 1, SIDE, SIDE), truth.sum((1, 2, 3))
    right = type(answer)((truth * 2 - 1) * 20, torch.full((1,), 20.0), answer.last)
    assert float(loss(right, truth, inside, cells)) < 1e-3 < float(loss(answer, truth, inside, cells))


def test_all_weights_learn(pack: Path) -> None:
    cases = Cases([pack], drawn=2, share=0.5, seed=0)
    network = fresh_network().train()
    losses, scores = learn(network, [cases.next() for _ in range(4)], 2, cases.rng)
    losses.mean().backward()
    assert len(scores) == 2
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


def test_a_training_goes_on_where_it_was_stopped(pack: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    first = list(train(Cases([pack], 2, 0.5, 0), CONFIG, checkpoint))
    assert first[-1].share < 1
    assert list(train(Cases([pack], 2, 0.5, 0), CONFIG, checkpoint)) == []
    longer = PromptConfig(minutes=1, batch=2, rounds=2, drawn=4)
    (more,) = islice(train(Cases([pack], 2, 0.5, 0), longer, checkpoint), 1)
    assert more.step == first[-1].step + 1
    save_network(averaged_network(checkpoint), tmp_path / "prompts.safetensors")
    kept, read = averaged_network(checkpoint), load_network(tmp_path / "prompts.safetensors")
    for name, weight in kept.named_parameters():
        assert torch.allclose(weight, read.get_parameter(name), atol=2e-3, rtol=2e-3)


def test_settling_changes_statistics_and_no_weights(pack: Path) -> None:
    network = fresh_network()
    weights = {name: weight.clone() for name, weight in network.named_parameters()}
    means = {name: values.clone() for name, values in network.named_buffers() if name.endswith("running_mean")}
    settle(network, Cases([pack], drawn=2, share=0.5, seed=0), CONFIG, batches=2)
    assert all(torch.equal(weight, weights[name]) for name, weight in network.named_parameters())
    assert not any(torch.equal(network.get_buffer(name), mean) for name, mean in means.items())
    assert not network.training


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [rate(share, 0.1) for share in (0, 0.05, 0.1, 0.5, 0.999)]
    assert rates[0] == 0
    assert rates[2] == pytest.approx(1)
    assert rates[1] < rates[2] > rates[3] > rates[4] > 0


@pytest.mark.parametrize("seed", range(3))
def test_every_beginning_says_something(pack: Path, seed: int) -> None:
    cases = Cases([pack], drawn=2, share=0.5, seed=seed)
    for _ in range(20):
        case = cases.next()
        assert beginning(case, cases.rng).max() == 1


def test_iou_of_empty_masks_is_one() -> None:
    nothing = np.zeros((1, 4, 4), bool)
    assert iou(nothing, nothing)[0] == 1
    assert iou(nothing, ~nothing)[0] == 0


def fresh_network() -> PromptNetwork:

    torch.manual_seed(0)
    return PromptNetwork()


def test_the_mean_of_weights_lies_between_them_and_has_its_own_batch_statistics(pack: Path, tmp_path: Path) -> None:
    parts = []
    for seed in range(2):
        torch.manual_seed(seed)
        save_network(PromptNetwork(), tmp_path / f"{seed}.safetensors")
        parts.append(PromptNetwork.state_dict(load_network(tmp_path / f"{seed}.safetensors")))
    files = [str(tmp_path / f"{seed}.safetensors") for seed in range(2)]
    torch.manual_seed(9)

    average([*files, "--data", str(pack), "-o", str(tmp_path / "mean"), "--drawn", "2", "--batches", "1"])

    mean = load_network(tmp_path / "mean").state_dict()
    torch.testing.assert_close(
        mean["prompt_stem.weight"], sum(part["prompt_stem.weight"] for part in parts) / 2, rtol=0, atol=1e-3
    )
    measured = mean["image_stem.1.running_mean"]
    assert measured.abs().max() > 0
    assert not torch.equal(measured, parts[0]["image_stem.1.running_mean"])
