"""Published weights of an encoder: from a file in timm's format or SAM 2's, or fetched by timm when asked to."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import safetensors.torch
import timm
import torch
from torch import Tensor, nn

from napari_medseg.models import ModelCard, create_model, load_model, save_model
from napari_medseg.models.encoder_weights import create_encoder, load_encoder
from napari_medseg.models.errors import ModelError

from ..parity import noise_input

SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "hastnet": ("sam2_hiera_tiny", {"variant": "tiny", "width": [64, 64, 32, 32]}),
    "msa2net": ("maxvit_rmlp_pico_rw_256", {"encoder": "maxvit_rmlp_pico_rw_256"}),
    "sosegformer": ("test_resnet", {"encoder": "test_resnet", "widths": [8, 8, 16, 16, 16]}),
}
"""timm's name of each network's encoder, and options that make the network quick."""

every_network = pytest.mark.parametrize("name", SMALL)


@functools.cache
def published(encoder: str) -> dict[str, Tensor]:
    """What timm publishes of an encoder, its classifier included, with other numbers."""
    with torch.device("meta"):
        whole = timm.create_model(encoder).state_dict()
    torch.manual_seed(1)
    if encoder.startswith("sam2"):  # which has no classifier
        whole = {key: value for key, value in whole.items() if not key.startswith("head.")}
    return {key: torch.rand(value.shape).mul(0.02).to(value.dtype) for key, value in whole.items()}


def in_a_file(folder: Path, weights: Any, ending: str = "safetensors") -> Path:
    path = folder / f"encoder.{ending}"
    (safetensors.torch.save_file if ending == "safetensors" else torch.save)(weights, path)
    return path


@pytest.fixture(scope="module")
def trunk_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return in_a_file(tmp_path_factory.mktemp("trunk"), published("sam2_hiera_tiny"))


def as_sam2(trunk: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The layout of `sam2_hiera_*.pt`: the whole of SAM 2, its trunk under other names."""
    named = {
        f"image_encoder.trunk.{key}".replace("mlp.fc1", "mlp.layers.0").replace("mlp.fc2", "mlp.layers.1"): value
        for key, value in trunk.items()
    }
    return {
        "model": named | {"image_encoder.neck.convs.0.conv.weight": torch.zeros(2), "maskmem_tpos_enc": torch.ones(1)}
    }


def small(name: str, **options: Any) -> nn.Module:
    return create_model(name, **SMALL[name][1] | options)


def assert_holds(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Every weight of the encoder, but for adapters, is the one published under its name."""
    ours = network.encoder.state_dict()
    ours = {key.removeprefix("trunk.").replace(".block.", "."): x for key, x in ours.items() if ".adapter." not in key}
    assert ours
    for key, value in ours.items():
        assert torch.equal(value, weights[key if key in weights else key.replace("_", ".", 1)]), key


def learning(network: nn.Module) -> set[str]:
    return {key for key, p in network.named_parameters() if p.requires_grad}


# --- from a file ---


@pytest.mark.parametrize(
    ("name", "ending"), [*((name, "safetensors") for name in SMALL), ("sosegformer", "pth"), ("sosegformer", "bin")]
)
def test_a_file_of_timm_fills_the_encoder_and_its_classifier_is_left_out(
    tmp_path: Path, name: str, ending: str
) -> None:
    weights = published(SMALL[name][0])
    assert_holds(small(name, encoder_weights=str(in_a_file(tmp_path, weights, ending))), weights)


def test_a_file_of_sam2_fills_the_trunk(tmp_path: Path) -> None:
    trunk = published("sam2_hiera_tiny")
    assert_holds(small("hastnet", encoder_weights=in_a_file(tmp_path, as_sam2(trunk), "pt")), trunk)


@pytest.mark.parametrize(("name", "stem"), [("msa2net", "stem.conv1"), ("sosegformer", "conv1.0")])
@pytest.mark.parametrize("in_channels", [1, 4])
def test_a_stem_for_other_channels_is_adapted(tmp_path: Path, name: str, stem: str, in_channels: int) -> None:
    weights = published(SMALL[name][0])
    network = small(name, in_channels=in_channels, encoder_weights=in_a_file(tmp_path, weights))
    assert_is_adapted(network.encoder.get_submodule(stem).weight, weights[f"{stem}.weight"])


@pytest.mark.parametrize("in_channels", [1, 4])
def test_a_trunk_for_other_channels_learns_its_stem(trunk_file: Path, in_channels: int) -> None:
    network = small("hastnet", in_channels=in_channels, encoder_weights=trunk_file)
    stem = network.encoder.trunk.patch_embed.proj
    assert_is_adapted(stem.weight, published("sam2_hiera_tiny")["patch_embed.proj.weight"])
    assert stem.weight.requires_grad
    assert not network.encoder.trunk.blocks[0].block.attn.qkv.weight.requires_grad


def assert_is_adapted(stem: Tensor, three: Tensor) -> None:
    """Grey sees the sum; more channels share what three had."""
    expected = three.sum(1) if stem.shape[1] == 1 else three[:, [0, 1, 2, 0]].sum(1) * 3 / 4
    assert torch.allclose(stem.sum(1), expected, atol=1e-6)


@pytest.mark.parametrize("encoder", ["test_convnext", "test_efficientnet", "pvt_v2_b0"])
def test_other_encoders_of_timm_can_be_filled(tmp_path: Path, encoder: str) -> None:
    network = nn.Module()
    network.encoder = create_encoder(encoder, in_channels=3, features_only=True)
    load_encoder(network.encoder, encoder, in_a_file(tmp_path, published(encoder)))
    assert_holds(network, published(encoder))


# --- a frozen trunk ---


def test_a_trunk_with_published_weights_is_frozen_but_for_its_adapters(trunk_file: Path) -> None:
    network = small("hastnet", encoder_weights=trunk_file)
    trunk = {key for key, _ in network.named_parameters() if key.startswith("encoder.")}
    assert learning(network) & trunk == {key for key in trunk if ".adapter." in key}
    network.train()(noise_input(1, 3, 64, 64))[0].square().mean().backward()
    assert all((p.grad is not None) == p.requires_grad for p in network.encoder.parameters())


def test_a_trunk_without_them_learns() -> None:
    with torch.device("meta"):
        assert all(p.requires_grad for p in small("hastnet").parameters())


@pytest.mark.parametrize("in_channels", [3, 4])
def test_freezing_can_be_asked_for_and_declined(trunk_file: Path, in_channels: int) -> None:
    with torch.device("meta"):
        frozen = learning(small("hastnet", in_channels=in_channels, freeze=True))
        assert ("encoder.trunk.patch_embed.proj.weight" in frozen) == (in_channels == 4)
        assert learning(small("hastnet", in_channels=in_channels, encoder_weights=trunk_file)) == frozen
        unfrozen = small("hastnet", in_channels=in_channels, encoder_weights=trunk_file, freeze=False)
    assert all(p.requires_grad for p in unfrozen.parameters())


def test_a_saved_network_comes_back_frozen(tmp_path: Path) -> None:
    network = small("hastnet", freeze=True)
    config = json.loads(json.dumps(SMALL["hastnet"][1] | {"freeze": True}))
    card = save_model(network, tmp_path / "tuned", ModelCard(name="t", title="T", network="hastnet", config=config))
    again = load_model(tmp_path / "tuned.safetensors")
    assert learning(again) == learning(network)
    assert card.trainable_parameters == sum(p.numel() for p in again.parameters() if p.requires_grad)


# --- files that do not fit ---


@every_network
def test_missing_weights_are_named(tmp_path: Path, name: str) -> None:
    gone, weights = list(published(SMALL[name][0]))[:2], dict(list(published(SMALL[name][0]).items())[2:])
    with torch.device("meta"), pytest.raises(ModelError, match=r"does not fit .* 2 of its weights are missing: ") as e:
        small(name, encoder_weights=in_a_file(tmp_path, weights))
    assert all(key in str(e.value) for key in gone)


def test_the_file_of_another_trunk_is_refused(tmp_path: Path) -> None:
    path = in_a_file(tmp_path, as_sam2(published("sam2_hiera_small")), "pt")
    with (
        torch.device("meta"),
        pytest.raises(ModelError, match=r"of another size: .*not of this encoder: .*and \d+ more\. Choose the encoder"),
    ):
        small("hastnet", encoder_weights=path)


class Program:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("a program ran",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "There is no weights file"),
        (b"", "damaged"),
        (b"PK\x03\x04 cut off", "damaged"),
        (b"hello, this is no file of weights", "no weights file"),
        (Program(), "more than weights, or none"),
        ([1, 2], "a list, not named weights"),
        ({}, "weights are missing: "),
        ({"conv1.0.weight": "text"}, "something else than weights under conv1.0.weight"),
        ({"model": {"weight": torch.zeros(1)}}, "missing: .*not of this encoder: weight"),
        ({"conv1.0.weight": torch.tensor(1.0)}, "of another size: conv1.0.weight"),
    ],
)
def test_a_file_that_is_no_encoder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: object, reason: str
) -> None:
    path = tmp_path / "encoder.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(ModelError, match=reason):
        small("sosegformer", encoder_weights=path)
    assert "a program ran" not in capsys.readouterr().out


def test_a_damaged_safetensors_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "encoder.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{broken}")
    with pytest.raises(ModelError, match="damaged"):
        small("sosegformer", encoder_weights=tmp_path / "encoder.safetensors")


@pytest.mark.parametrize("name", ["unet", "ascseg"])
@pytest.mark.parametrize("asked", [{"pretrained": True}, {"encoder_weights": "encoder.pth"}])
def test_networks_without_published_encoders_say_so(name: str, asked: dict[str, Any]) -> None:
    with pytest.raises(
        ModelError, match=rf"'{name}' has no published encoder weights; .*hastnet, msa2net, sosegformer"
    ):
        create_model(name, **asked)


# --- fetched ---


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[bool]:
    """No network, no cache; a list of who was asked for published weights."""
    create, asked = timm.create_model, []

    def watched(name: str, *, pretrained: bool = False, **options: Any) -> nn.Module:
        asked.append(pretrained)
        return create(name, pretrained=pretrained, cache_dir=tmp_path, **options)

    monkeypatch.setattr(timm, "create_model", watched)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return asked


@every_network
def test_published_weights_are_fetched_by_timm_and_only_when_asked_for(name: str, offline: list[bool]) -> None:
    with torch.device("meta"):
        create_model(name)
        assert not any(offline)
        with pytest.raises(ModelError, match="cannot be fetched; give a local file as encoder_weights"):
            create_model(name, pretrained=True)
    assert offline[-1]


def test_encoders_are_timms_own_and_nothing_is_looked_for_elsewhere(offline: list[bool]) -> None:
    with pytest.raises(ModelError, match=r"timm has no encoder 'resnet5O'\. Did you mean 'resnet50'\?"):
        create_model("sosegformer", encoder="resnet5O")
    with pytest.raises(ModelError, match="timm has no encoder"):
        create_model("sosegformer", encoder="hf-hub:timm/resnet18.a1_in1k")
    assert offline == []
