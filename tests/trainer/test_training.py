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

from napari_medseg.models import ModelCard, create_model
from napari_medseg.models.adstnet.wrapper import AdSTNet
from napari_medseg.models.errors import ModelError
from napari_medseg.models.losses import segmentation_loss
from napari_medseg.trainer import training
from napari_medseg.trainer.beginning import begun
from napari_medseg.trainer.config import FineTuneConfig, TrainingConfig
from napari_medseg.trainer.optimisation import learning_rate, optimiser_for
from napari_medseg.trainer.planes import IGNORED, Plane
from napari_medseg.trainer.samples import Batches
from napari_medseg.trainer.training import Step, TrainingState, all_devices, bare, one_device, train

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


class Greedy(torch.nn.Module):
    """A network that needs a GPU's worth of memory for more than `fits` crops; it drops values at random."""

    def __init__(self, fits: int, error: type[RuntimeError] = torch.OutOfMemoryError) -> None:
        super().__init__()
        self.encoder = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.drop = torch.nn.Dropout(0.5)
        self.head = torch.nn.Conv2d(4, 1, 1)
        self.fits, self.error = fits, error
        self.seen: list[int] = []

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        self.seen.append(len(image))
        features = self.encoder(image)
        if len(image) > self.fits:
            raise self.error("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9e15 bytes.")
        return [self.head(self.drop(features))]


def begin(network: torch.nn.Module, config: TrainingConfig) -> tuple[Fabric, TrainingState]:
    network.card = ModelCard(name="test", title="Test", network="unet")  # type: ignore[assignment]
    fabric = Fabric(accelerator="cpu", devices=1)
    return fabric, begun(fabric, network, config)


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

    def test_what_is_dropped_at_random_is_the_same_after_a_kill(self) -> None:
        config = replace(SHORT, steps=6)
        torch.manual_seed(0)
        network = Greedy(fits=9)
        fabric, whole = begin(copy.deepcopy(network), config)
        steps = list(train(fabric, whole, batches(config), config, 1))

        fabric, killed = begin(copy.deepcopy(network), config)
        list(itertools.islice(train(fabric, killed, batches(config), config, 1), 3))
        fabric, resumed = begin(network, config)
        resumed.restore(killed.to_checkpoint())
        torch.rand(17)
        assert list(train(fabric, resumed, batches(config), config, 1)) == steps[3:]
        assert same(resumed.network, whole.network)

    def test_batches_that_other_processes_prepare_are_the_same(self) -> None:
        config = replace(SHORT, steps=4)
        (fabric, one), (_, other) = fresh(config), fresh(config)
        here = list(train(fabric, one, batches(config), config, 1))
        assert list(train(fabric, other, batches(config), config, 1, workers=2)) == here


class TestTooLittleMemory:
    @pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
    def test_a_batch_is_halved_until_it_fits_and_stays_as_large_as_it_was(
        self, error: type[RuntimeError], caplog: pytest.LogCaptureFixture
    ) -> None:
        config = replace(SHORT, batch=6, steps=3, lr=1e-3, augmentation="none")
        torch.manual_seed(0)
        network = Greedy(2, error)
        network.drop.p = 0.0
        roomy = copy.deepcopy(network)
        roomy.fits = 6
        fabric, state = begin(network, config)
        steps = list(train(fabric, state, batches(config), config, 1))
        assert bare(state.network).seen == [6, 3, *[2, 2, 2] * 3]
        assert state.at_once == 2
        assert "too small for 6 crops at once; going on with 3 at once, 6 in a step as before" in caplog.text
        assert "too small for 3 crops at once; going on with 2" in caplog.text

        fabric, other = begin(roomy, config)
        assert [step.loss for step in train(fabric, other, batches(config), config, 1)] == pytest.approx(
            [step.loss for step in steps], abs=0.1
        )  # Dice is of fewer crops at once, cross-entropy is the same

    def test_a_killed_training_remembers_how_many_fit(self) -> None:
        config = replace(SHORT, batch=4, steps=2)
        fabric, state = begin(Greedy(2), config)
        next(train(fabric, state, batches(config), config, 1))
        fabric, resumed = begin(Greedy(2), config)
        resumed.restore(state.to_checkpoint())
        next(train(fabric, resumed, batches(config), config, 1))
        assert bare(resumed.network).seen == [2, 2]

    def test_a_single_crop_that_does_not_fit_is_an_end_with_a_sentence(self) -> None:
        config = replace(SHORT, batch=4, steps=2)
        fabric, state = begin(Greedy(0), config)
        with pytest.raises(ModelError, match=r"this computer is too small .* 1 crop of 64 px at once. Choose"):
            next(train(fabric, state, batches(config), config, 1))

    def test_another_failure_is_not_taken_for_it(self) -> None:
        config = replace(SHORT, steps=2)
        fabric, state = begin(create_model("unet", in_channels=5, base=4), config)
        with pytest.raises(RuntimeError, match="channels"):
            next(train(fabric, state, batches(config), config, 1))


class TestAdSTNet:
    def test_the_network_learns_with_the_head_on_and_is_averaged_without(self) -> None:
        config = replace(SHORT, adstnet=True)
        torch.manual_seed(0)
        fabric, state = begin(create_model("unet", base=4), config)
        steps = list(train(fabric, state, batches(config), config, 1))
        assert np.mean([s.loss for s in steps[-5:]]) < 0.9 * np.mean([s.loss for s in steps[:5]])
        assert isinstance(state.network.module, AdSTNet)
        assert state.averaged.state_dict().keys() == create_model("unet", base=4).state_dict().keys()
        images, labels = batches(SHORT)[10**6]
        with torch.inference_mode():
            assert segmentation_loss(1)([state.averaged.eval()(images)], labels) < 1.2

    def test_without_averaging_the_last_weights_are_kept(self) -> None:
        config = replace(SHORT, adstnet=True, average=0.0, steps=2)
        fabric, state = begin(create_model("unet", base=4), config)
        list(train(fabric, state, batches(config), config, 1))
        assert same(state.averaged, bare(state.network))


class TestRecipes:
    @pytest.mark.parametrize(("optimiser", "loss"), [("adamw", "dice_ce"), ("adam", "ce"), ("sgd", "boundary_dou")])
    def test_every_optimiser_and_every_loss_makes_the_loss_smaller(self, optimiser: str, loss: str) -> None:
        config = replace(SHORT, optimiser=optimiser, loss=loss, lr=0.1 if optimiser == "sgd" else 1e-2, clip=None)
        torch.manual_seed(0)
        fabric, state = begin(create_model("unet", base=4), config)
        steps = list(train(fabric, state, batches(config), config, 1))
        assert np.mean([s.loss for s in steps[-5:]]) < 0.95 * np.mean([s.loss for s in steps[:5]])

    def test_the_optimiser_is_the_one_that_is_named(self) -> None:
        weights = list(torch.nn.Linear(2, 2).parameters())
        weights[1].requires_grad = False
        for name, kind in (("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)):
            made = optimiser_for(TrainingConfig(optimiser=name, momentum=0.7, weight_decay=0.3), weights)
            assert type(made) is kind
            assert made.param_groups[0]["weight_decay"] == 0.3
            assert made.param_groups[0]["params"] == weights[:1]
        assert made.param_groups[0]["momentum"] == 0.7

    def test_an_encoder_with_weights_does_not_learn_at_first(self) -> None:
        config = replace(SHORT, steps=4, frozen=0.5, optimiser="sgd", warmup=0.0)
        fabric, state = begin(Greedy(9), config)
        weight = bare(state.network).encoder.weight
        seen = [weight.clone(), *(weight.clone() for _ in train(fabric, state, batches(config), config, 1))]
        moved = [not torch.equal(one, other) for one, other in itertools.pairwise(seen)]
        assert moved == [False, False, True, True]

    def test_ignored_pixels_are_not_learned_from(self) -> None:
        config = replace(SHORT, steps=1, ignore=9, augmentation="none", average=0.0)
        planes = [Plane(disc(0).image, np.full((1, 72, 80), IGNORED, np.uint8))]
        nothing = Batches([planes].__getitem__, 1, crop=64, batch=2, seed=0, augmentation="none")
        fabric, state = begin(create_model("unet", base=4), replace(config, weight_decay=0.0))
        before = copy.deepcopy(dict(bare(state.network).named_parameters()))
        (step,) = train(fabric, state, nothing, config, 1)
        assert math.isfinite(step.loss)
        assert all(torch.equal(before[name], weight) for name, weight in bare(state.network).named_parameters())

    def test_a_word_that_is_no_choice_is_refused(self) -> None:
        with pytest.raises(ValueError, match="loss 'focal' is none of dice_ce, ce, boundary_dou"):
            TrainingConfig(loss="focal")


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

    def test_a_polynomial_falls_to_its_end(self) -> None:
        config = TrainingConfig(lr=1.0, warmup=0.0, schedule="poly", final=0.0)
        assert [learning_rate(config, share) for share in (0, 0.5, 1)] == pytest.approx([1, 0.5**0.9, 0])

    def test_half_waves_fall_and_rise_as_often_as_there_are(self) -> None:
        config = TrainingConfig(lr=1.0, warmup=0.0, half_waves=6.0, final=0.01)
        figures = [learning_rate(config, k / 6) for k in range(7)]
        assert figures == pytest.approx([1, 0.01] * 3 + [1])

    def test_a_warm_up_may_begin_higher_and_a_constant_rate_stays(self) -> None:
        config = TrainingConfig(lr=1.0, warmup=0.5, warmup_from=0.1, schedule="constant")
        assert [learning_rate(config, share) for share in (0, 0.25, 0.5, 1)] == pytest.approx([0.1, 0.55, 1, 1])

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


def test_an_older_configuration_without_the_newer_fields_comes_back_with_their_defaults() -> None:
    older = {"steps": 7, "seconds": None, "batch": 2, "crop": 64, "lr": 0.1, "weight_decay": 0.0, "warmup": 0.0}
    values = {"training": older | {"average": 0.9, "seed": 3}, "evaluations": 2, "watched": 1, "checkpoint": 1.0}
    config = FineTuneConfig.from_dict(values)
    assert (config.training.steps, config.training.seed, config.training.adstnet) == (7, 3, False)


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


def test_a_folder_is_trained_on_by_every_gpu_in_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    monkeypatch.setattr(training, "Fabric", lambda **options: asked.update(options))
    all_devices()
    if not torch.cuda.is_available():
        assert (asked["devices"], asked["precision"]) == (1, "32-true")
    monkeypatch.setattr(training, "choose_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for supported, precision in ((True, "bf16-mixed"), (False, "16-mixed")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda supported=supported: supported)
        all_devices()
        assert (asked["devices"], asked["precision"]) == ("auto", precision)
        assert asked["strategy"] == "ddp_find_unused_parameters_true"
