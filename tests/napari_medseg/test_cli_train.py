import csv
import signal

import imageio.v3 as iio
import numpy as np
import pytest


def disc(seed, shape=(48, 40)):
    """A bright disc on noise, and its mask."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    inside = (rows - draw.integers(16, 32)) ** 2 + (columns - draw.integers(14, 26)) ** 2 < 10**2
    return (draw.integers(0, 60, shape) + 90 * inside).astype(np.uint8), inside.astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Six images to learn from and two that validate."""
    for seed in range(8):
        for part, pixels in zip(("images", "targets"), disc(seed), strict=True):
            place = tmp_path / "data" / ("val" if seed > 5 else "train") / part
            place.mkdir(parents=True, exist_ok=True)
            iio.imwrite(place / f"case{seed}.png", pixels)
    return tmp_path / "data"


SMALL = ("--model", "unet", "--option", "base=4", "--crop", 32, "--batch", 2, "--lr", 0.01)


def steps_in(out):
    try:
        with (out / "log.csv").open() as file:
            return [int(row["step"]) for row in csv.DictReader(file)]
    except (OSError, ValueError):
        return []


def test_a_network_is_trained_and_its_weights_segment(medseg, folder, tmp_path):
    out = tmp_path / "discs"
    ran = medseg("train", folder, *SMALL, "--steps", 60, "-o", out, "--json")
    assert ran.code == 0, ran.err
    assert "validation Dice" in ran.sentence
    assert ran.json["weights"] == str(out / "best.safetensors")
    assert ran.json["dice"] > 0.8
    assert (ran.json["steps"], ran.json["epochs"], ran.json["seconds"] > 0) == (60, 20.0, True)
    assert {"best.json", "last.checkpoint", "config.json", "log.csv", "training.log", "tensorboard"} <= {
        path.name for path in out.iterdir()
    }

    images = folder / "val" / "images"
    segmented = medseg("segment", images, "-o", tmp_path / "masks", "--model", out / "best.safetensors", "--json")
    assert segmented.code == 0, segmented.err
    found, truth = iio.imread(tmp_path / "masks" / "case6.png") > 0, disc(6)[1] > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.8


def test_what_was_stopped_by_ctrl_c_and_then_killed_ends_with_the_very_weights_it_would_have_had(
    medseg, start_medseg, folder, tmp_path
):
    command = ("train", folder, *SMALL, "--adstnet", "--steps", 36, "--json", "-o")
    whole = medseg(*command, tmp_path / "whole")
    assert whole.code == 0, whole.err

    out = tmp_path / "out"
    running = start_medseg(*command, out, held=("last.checkpoint", 2))
    running.wait_until_held()
    stopped = running.interrupt(signal.SIGINT)
    assert stopped.code == 1
    assert "nothing is lost. Run the same command again to go on." in stopped.json["error"]

    before = len(steps_in(out))
    running = start_medseg(*command, out, held=("last.checkpoint", 3))  # what it wrote down since is done again
    running.wait_until_held()
    assert running.interrupt(signal.SIGKILL).code == -signal.SIGKILL
    killed = len(steps_in(out))

    last = medseg(*command, out)
    assert last.code == 0, last.err
    assert 0 < before < killed < len(steps_in(out))
    assert steps_in(out) == steps_in(tmp_path / "whole")
    assert (out / "best.safetensors").read_bytes() == (tmp_path / "whole" / "best.safetensors").read_bytes()
    assert {name: last.json[name] for name in ("dice", "steps", "best_epoch")} == {
        name: whole.json[name] for name in ("dice", "steps", "best_epoch")
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--budget", 0), "--budget"),
        (("--steps", 0), "--steps"),
        (("--recipe", "slow"), "--recipe"),
        (("--option", "base"), "NAME=VALUE"),
        (("--classes", 0), "--classes"),
    ],
)
def test_wrong_use_is_told_before_anything_is_made(medseg, folder, tmp_path, options, said):
    ran = medseg("train", folder, "-o", tmp_path / "out", *options)
    assert ran.code == 2
    assert said in ran.err
    assert not (tmp_path / "out").exists()


def test_bad_input_is_one_sentence_and_exit_code_1(medseg, tmp_path, without_privileges):
    (tmp_path / "empty").mkdir()
    ran = medseg("train", tmp_path / "empty", "-o", tmp_path / "out", "--json")
    assert ran.code == 1
    assert "has no pairs of an image and a mask" in ran.json["error"]
    assert len(ran.sentence.splitlines()) == 1

    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    ran = medseg("train", tmp_path / "empty", "-o", locked, **without_privileges)
    locked.chmod(0o700)
    assert ran.code == 1
    assert "You may not write in" in ran.sentence
