import copy
import io
import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.fabric import Fabric

from napari_medseg.models import create_model
from napari_medseg.models.losses import segmentation_loss
from napari_medseg.trainer import training
from napari_medseg.trainer.config import FineTuneConfig, TrainingConfig
from napari_medseg.trainer.samples import Batches, Plane
from napari_medseg.trainer.training import Step, TrainingState, learning_rate, one_device, train

SHORT = TrainingConfig(steps=30, batch=2, crop=64, lr=1e-2)


def disc(seed: int, classes: int = 1) -> Plane:
    """A bright disc on noise, brighter the higher its class."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[:72, :80]
    inside = (rows - draw.integers(24, 48)) ** 2 + (columns - draw.integers(24, 56)) ** 2 < 16**2
    label = 1 + seed % max(1, classes - 1)
    image = draw.normal(0, 0.1, inside.shape) + inside * label / max(1, classes - 1)
    return Plane(np.repeat(image[None], 3, 0).astype(np.float32), (inside[None] * label).astype(np.uint8))


def batches(config: TrainingConfig, classes: int = 1) -> Batches:
    planes = [[disc(seed, classes)] for seed in range(4)]
    return Batches(planes.__getitem__, len(planes), crop=config.crop, batch=config.batch, seed=config.seed)


def fresh(config: TrainingConfig, classes: int = 1, seed: int = 0) -> tuple[Fabric, TrainingState]:
    torch.manual_seed(seed)
    fabric = Fabric(accelerator="cpu")
    network = create_model("unet", base=4, classes=classes)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    averaged = copy.deepcopy(network)
    return fabric, TrainingState(*_set_up(fabric, network, averaged, optimiser))


def _set_up(fabric: Fabric, network: torch.nn.Module, averaged: torch.nn.Module, optimiser: object) -> tuple:
    network, optimiser = fabric.setup(network, optimiser)
    return network, averaged, optimiser


def run(config: TrainingConfig, classes: int = 1) -> tuple[TrainingState, list[Step]]:
    fabric, state = fresh(config, classes)
    return state, list(train(fabric, state, batches(config, classes), config, classes))


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


class TestLearning:
    @pytest.mark.parametrize("classes", [1, 3])
    def test_the_loss_falls(self, classes: int) -> None:
        _, steps = run(SHORT, classes)
        first, last = (np.mean([s.loss for s in part]) for part in (steps[:5], steps[-5:]))
        assert last < 0.7 * first
        assert all(math.isfinite(s.loss) for s in steps)

    def test_the_averaged_network_learns_too(self) -> None:
        state, _ = run(SHORT)
        before = fresh(SHORT)[1].averaged.eval()
        images, labels = batches(SHORT)[10**6]
        loss = segmentation_loss(1)
        with torch.inference_mode():
            after = loss([state.averaged.eval()(images)], labels)
            assert after < 0.8 * loss([before(images)], labels)

    def test_the_seed_fixes_the_outcome(self) -> None:
        config = replace(SHORT, steps=5)
        (one, steps), (other, again) = run(config), run(config)
        assert steps == again
        assert same(one.averaged, other.averaged)
        assert not same(one.averaged, run(replace(config, seed=1))[0].averaged)


class TestGoingOn:
    @pytest.mark.parametrize("interrupted", [1, 4, 7])
    def test_a_training_that_was_killed_ends_with_the_very_weights_it_would_have_had(self, interrupted: int) -> None:
        config = replace(SHORT, steps=8)
        whole, steps = run(config)

        fabric, killed = fresh(config)
        begun = list(itertools.islice(train(fabric, killed, batches(config), config, 1), interrupted))
        file = io.BytesIO()
        torch.save(killed.to_checkpoint(), file)
        file.seek(0)

        fabric, resumed = fresh(config, seed=99)
        resumed.restore(torch.load(file, weights_only=True))
        rest = list(train(fabric, resumed, batches(config), config, 1))
        assert begun + rest == steps
        assert same(resumed.network, whole.network)
        assert same(resumed.averaged, whole.averaged)

    def test_a_training_that_had_ended_makes_no_further_step(self) -> None:
        config = replace(SHORT, steps=3)
        state, _ = run(config)
        fabric, _ = fresh(config)
        assert list(train(fabric, state, batches(config), config, 1)) == []

    def test_a_checkpoint_of_another_network_is_refused(self) -> None:
        state = fresh(SHORT)[1]
        with pytest.raises(RuntimeError, match="size mismatch"):
            state.restore(fresh(SHORT, classes=3)[1].to_checkpoint())


class TestLength:
    def test_it_ends_after_its_steps(self) -> None:
        _, steps = run(replace(SHORT, steps=6))
        assert [s.number for s in steps] == [1, 2, 3, 4, 5, 6]
        assert [s.share for s in steps] == pytest.approx([k / 6 for k in range(1, 7)])

    def test_it_ends_after_its_seconds_if_those_are_over_first(self) -> None:
        state, steps = run(replace(SHORT, steps=100_000, seconds=0.5))
        assert 1 <= len(steps) < 100_000
        assert steps[-1].share == 1
        assert state.elapsed >= 0.5
        assert state.elapsed - 0.5 < max(0.5, 3 * state.elapsed / len(steps))

    def test_time_spent_before_a_kill_counts(self) -> None:
        config = replace(SHORT, steps=100_000, seconds=10.0)
        fabric, state = fresh(config)
        state.elapsed = 9.999
        assert len(list(itertools.islice(train(fabric, state, batches(config), config, 1), 3))) == 1

    def test_the_training_mode_is_used_and_the_state_is_up_to_date_at_each_step(self) -> None:
        config = replace(SHORT, steps=3)
        fabric, state = fresh(config)
        for step in train(fabric, state, batches(config), config, 1):
            assert state.step == step.number
            assert state.network.training


class TestLearningRate:
    @given(st.floats(0, 3), st.floats(1e-6, 1), st.floats(0.01, 0.9))
    def test_it_is_positive_and_never_above_its_peak(self, share: float, lr: float, warmup: float) -> None:
        config = TrainingConfig(lr=lr, warmup=warmup)
        assert 0 < learning_rate(config, share) <= lr * (1 + 1e-9)

    @given(st.floats(0, 1), st.floats(0, 1))
    def test_it_rises_in_the_warm_up_and_falls_after_it(self, one: float, other: float) -> None:
        config = TrainingConfig(warmup=0.1)
        low, high = sorted((one, other))
        rate: Callable[[float], float] = lambda share: learning_rate(config, share)  # noqa: E731
        assert rate(0.1 * low) <= rate(0.1 * high) * (1 + 1e-9)
        assert rate(0.1 + 0.9 * low) >= rate(0.1 + 0.9 * high) * (1 - 1e-9)

    def test_it_goes_from_1_percent_to_the_peak_and_back(self) -> None:
        config = TrainingConfig(lr=1.0, warmup=0.1)
        figures = [learning_rate(config, share) for share in (0, 0.05, 0.1, 0.55, 1)]
        assert figures == pytest.approx([0.01, 0.5, 1, 0.505, 0.01])

    def test_without_a_warm_up_it_begins_at_its_peak(self) -> None:
        assert learning_rate(TrainingConfig(lr=1.0, warmup=0.0), 0.0) == pytest.approx(1.0)

    def test_the_optimiser_follows_it(self) -> None:
        config = replace(SHORT, steps=4)
        fabric, state = fresh(config)
        for step in train(fabric, state, batches(config), config, 1):
            used = state.optimiser.param_groups[0]["lr"]
            assert used == pytest.approx(learning_rate(config, (step.number - 1) / 4))


def test_a_configuration_comes_back_from_json() -> None:
    import json
    from dataclasses import asdict

    config = FineTuneConfig(TrainingConfig(steps=7, seconds=None), evaluations=2, checkpoint=0.5)
    assert FineTuneConfig.from_dict(json.loads(json.dumps(asdict(config)))) == config


def test_it_trains_on_one_device_however_many_there_are() -> None:
    assert one_device().world_size == 1


def test_half_precision_is_for_gpus_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    monkeypatch.setattr(training, "Fabric", lambda **options: asked.update(options))
    monkeypatch.setattr(training, "choose_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    one_device()
    assert asked == {"accelerator": "auto", "devices": 1, "precision": "32-true"}
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    one_device()
    assert asked["precision"] == "bf16-mixed"
