import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from napari_medseg.models import create_model, load_model, save_model
from napari_medseg.models.cards import ModelCard, find_card
from napari_medseg.models.checkpoints import resolve_model, serialise, with_encoder
from napari_medseg.models.durable import WriteError
from napari_medseg.models.errors import ModelError

CARD = ModelCard(name="tiny", title="Tiny", network="unet", config={"base": 4}, labels={1: "disc"}, scale=0.5)


def network(**options: int) -> nn.Module:
    torch.manual_seed(0)
    return create_model("unet", **{"base": 4} | options)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_model(network(), tmp_path / "tiny", CARD)
    return tmp_path / "tiny.safetensors"


def without_card(weights: Path) -> Path:
    weights.with_suffix(".json").unlink()
    return weights


def describing(weights: Path, described: object) -> Path:
    """A file of the same weights with another description in its header, and without a card."""
    text = described if isinstance(described, str) else json.dumps(described)
    safetensors.torch.save_file(safetensors.torch.load_file(weights), weights, {"medseg": text})
    return without_card(weights)


HEADER = {"network": "unet", "in_channels": 3, "classes": 1, "config": {"base": 4}, "scale": 0.5}


class TestRoundTrip:
    def test_a_network_comes_back_with_its_weights_and_its_card(self, tmp_path: Path) -> None:
        saved, image = network().eval(), torch.rand(1, 3, 40, 40)
        card = save_model(saved, tmp_path / "tiny", CARD)
        loaded = load_model(tmp_path / "tiny.safetensors")
        assert loaded.card == card
        assert not loaded.training
        assert torch.equal(loaded(image), saved(image))

    def test_the_card_gets_the_hash_and_the_counts(self, tmp_path: Path) -> None:
        model = network()
        model.head.requires_grad_(False)
        card = save_model(model, tmp_path / "tiny", CARD)
        assert card.has_weights
        assert card.parameters == sum(p.numel() for p in model.parameters())
        assert card.parameters - card.trainable_parameters == 5
        assert ModelCard.from_json((tmp_path / "tiny.json").read_text("utf-8")) == card

    def test_the_ending_is_always_safetensors(self, tmp_path: Path) -> None:
        save_model(network(), tmp_path / "tiny.pt", CARD)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny.json", "tiny.safetensors"]

    def test_a_loaded_network_is_saved_with_its_own_card(self, weights: Path, tmp_path: Path) -> None:
        card = save_model(load_model(weights), tmp_path / "copy")
        assert card.labels == {1: "disc"}
        assert load_model(tmp_path / "copy.safetensors").card == card

    def test_without_its_card_a_file_still_says_how_to_run_it(self, weights: Path) -> None:
        card = load_model(without_card(weights)).card
        assert (card.name, card.scale, card.config, card.has_weights) == ("tiny", 0.5, {"base": 4}, True)

    def test_the_same_weights_make_the_same_file(self) -> None:
        assert serialise(network(), CARD) == serialise(network(), CARD)

    def test_a_network_without_a_card_is_not_saved(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="no card"):
            save_model(network(), tmp_path / "tiny")
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_is_a_file_is_an_error_for_people(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(WriteError):
            save_model(network(), tmp_path / "file" / "tiny", CARD)

    def test_a_header_whose_length_looks_like_a_pickle_is_read(self, weights: Path) -> None:
        state = safetensors.torch.load_file(weights)
        for padding in range(0, 300, 4):
            content = safetensors.torch.save(state, {"medseg": json.dumps(HEADER), "note": "x" * padding})
            if content[:1] == b"\x80":
                break
        assert content[:1] == b"\x80"
        weights.write_bytes(content)
        assert load_model(without_card(weights)).card.name == "tiny"


class TestEncoders:
    """Weights published for an encoder, which a network is made with."""

    CARD = replace(find_card("hastnet"), config={"width": [32, 32, 16, 16]})

    @pytest.fixture(scope="class")
    def trunk(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A small trunk of SAM 2, as Meta publishes them."""
        torch.manual_seed(0)
        trunk = timm.create_model("sam2_hiera_tiny", num_classes=0)
        state = {
            "image_encoder.trunk." + name.replace("mlp.fc1", "mlp.layers.0").replace("mlp.fc2", "mlp.layers.1"): weight
            for name, weight in trunk.state_dict().items()
            if not name.startswith("head.")
        }
        file = tmp_path_factory.mktemp("published") / "sam2_hiera_tiny.pt"
        torch.save({"model": state}, file)
        return file

    @pytest.fixture(scope="class")
    def made(self, trunk: Path) -> nn.Module:
        return with_encoder(self.CARD, trunk)

    def test_the_card_says_that_only_the_encoder_knows_something(self, made: nn.Module) -> None:
        assert made.card.title == "HASTNet with sam2_hiera_tiny, untrained"
        assert made.card.config == {"width": [32, 32, 16, 16], "variant": "tiny", "freeze": True}
        assert "'sam2_hiera_tiny.pt'" in made.card.data
        assert (made.card.encoder_only, made.card.weights_from) == (True, "")

    def test_a_frozen_encoder_comes_back_frozen_and_with_the_same_weights(
        self, made: nn.Module, tmp_path: Path
    ) -> None:
        card = save_model(made, tmp_path / "network")
        loaded = load_model(tmp_path / "network.safetensors")
        frozen = {name for name, weight in loaded.named_parameters() if not weight.requires_grad}
        assert frozen == {name for name, weight in made.named_parameters() if not weight.requires_grad} != set()
        assert not any("adapter" in name or not name.startswith("encoder.") for name in frozen)
        assert card.trainable_parameters < card.parameters / 4
        assert (card.has_weights, card.trained) == (True, False)
        assert all(torch.equal(loaded.state_dict()[name], weight) for name, weight in made.state_dict().items())

    def test_a_file_of_another_network_is_refused_with_its_name(self, trunk: Path) -> None:
        with pytest.raises(ModelError, match=r"'sam2_hiera_tiny.pt' does not fit"):
            with_encoder(replace(find_card("sosegformer"), config={"encoder": "test_resnet"}), trunk)
        with pytest.raises(ModelError, match=r"learns from scratch\. The networks that have one are hastnet"):
            with_encoder(find_card("ascseg"), trunk)

    @pytest.mark.parametrize(
        "config",
        [
            {"pretrained": True},
            {"encoder_weights": "weights.pt"},
            {"encoder": "hf-hub:somebody/something"},
            {"encoder": "local-dir:/home"},
            {"variant": ["../tiny"]},
        ],
    )
    def test_a_card_cannot_have_anything_fetched_or_read(self, weights: Path, config: dict[str, object]) -> None:
        described = {"network": "hastnet", "in_channels": 3, "classes": 1, "config": config, "scale": 1.0}
        with pytest.raises(ModelError, match="wants weights or files from elsewhere"):
            load_model(describing(weights, described))


class TestNames:
    def test_a_shipped_model_is_loaded_by_its_name(self) -> None:
        assert load_model("nuclei").card.name == "nuclei"

    def test_a_card_without_weights_gives_a_fresh_network(self) -> None:
        assert load_model("unet").card.has_weights is False

    def test_a_trained_card_gives_a_fresh_network_on_request(self, weights: Path) -> None:
        torch.manual_seed(1)
        fresh, trained = load_model(weights, pretrained=False), load_model(weights)
        assert not torch.equal(fresh.head.weight, trained.head.weight)

    def test_a_folder_of_the_name_of_a_model_does_not_hide_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "nuclei").mkdir()
        monkeypatch.chdir(tmp_path)
        assert resolve_model("nuclei")[1].name == "nuclei"

    @pytest.mark.parametrize("name", ["", "nothing", "no/such/file.pt"])
    def test_an_unknown_name_lists_the_models(self, name: str) -> None:
        with pytest.raises(ModelError, match=r"there are: .*nuclei.*safetensors file"):
            load_model(name)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"no weights file '.*absent.safetensors'"):
            load_model(tmp_path / "absent.safetensors")
        (tmp_path / "folder.safetensors").mkdir()
        with pytest.raises(ModelError, match="no weights file"):
            load_model(tmp_path / "folder.safetensors")


class Marker:
    """What a hostile pickle does when it is opened: it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


class TestHostileFiles:
    @pytest.mark.parametrize("zipped", [True, False])
    @pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
    def test_a_pickle_is_refused_and_never_opened(self, tmp_path: Path, zipped: bool, name: str) -> None:
        content, opened = io.BytesIO(), tmp_path / "opened"
        torch.save(
            {"weights": torch.ones(3), "hostile": Marker(opened)}, content, _use_new_zipfile_serialization=zipped
        )
        (tmp_path / name).write_bytes(content.getvalue())
        with pytest.raises(ModelError, match="pickled checkpoint"):
            load_model(tmp_path / name)
        assert not opened.exists()

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(share=st.floats(0, 0.999))
    def test_a_truncated_file_is_an_error_for_people(self, weights: Path, share: float) -> None:
        short = weights.with_name("short.safetensors")
        content = weights.read_bytes()
        short.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ModelError, match=r"'short.safetensors' is not a weights file, or is damaged"):
            load_model(short)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(position=st.integers(0, 3000), bit=st.integers(0, 7))
    def test_a_changed_bit_is_never_a_crash_and_with_a_card_always_an_error(
        self, weights: Path, position: int, bit: int
    ) -> None:
        content = bytearray(weights.read_bytes())
        content[position] ^= 1 << bit
        changed = weights.with_name("changed.safetensors")
        changed.write_bytes(content)
        with contextlib.suppress(ModelError):
            load_model(changed)
        changed.with_suffix(".json").write_bytes(weights.with_suffix(".json").read_bytes())
        with pytest.raises(ModelError):
            load_model(changed)
        changed.with_suffix(".json").unlink()

    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(content=st.binary(max_size=200))
    def test_any_other_bytes_are_an_error_for_people(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "some.safetensors").write_bytes(content)
        with pytest.raises(ModelError):
            load_model(tmp_path / "some.safetensors")

    def test_weights_of_another_network_are_named(self, weights: Path) -> None:
        for other, said in [
            ({**HEADER, "classes": 2}, "2 of another size .head.bias, head.weight"),
            ({**HEADER, "config": {"base": 8}}, "of another size"),
        ]:
            save_model(network(), weights, CARD)
            with pytest.raises(ModelError, match=f"weights of another network: .*{said}"):
                load_model(describing(weights, other))

    def test_missing_and_foreign_weights_are_named(self, weights: Path) -> None:
        state = safetensors.torch.load_file(weights)
        state["stranger"] = state.pop("head.weight")
        safetensors.torch.save_file(state, weights, {"medseg": json.dumps(HEADER)})
        with pytest.raises(ModelError, match=r"1 missing \(head.weight.*1 not of this network \(stranger"):
            load_model(without_card(weights))

    def test_a_file_of_another_program_is_refused(self, tmp_path: Path) -> None:
        safetensors.torch.save_file(network().state_dict(), tmp_path / "other.safetensors")
        with pytest.raises(ModelError, match="not written by MedSeg"):
            load_model(tmp_path / "other.safetensors")

    def test_a_file_that_is_not_its_cards_is_refused(self, weights: Path, tmp_path: Path) -> None:
        torch.manual_seed(1)
        content, _ = serialise(create_model("unet", base=4), CARD)
        weights.write_bytes(content)
        with pytest.raises(ModelError, match="not the file that its card describes"):
            load_model(weights)

    @pytest.mark.parametrize("card", [b"", b"[]", b"\xff\xfe\x00", b'{"name": 1}', b"[" * 100_000])
    def test_a_broken_card_is_an_error_for_people(self, weights: Path, card: bytes) -> None:
        weights.with_suffix(".json").write_bytes(card)
        with pytest.raises(ModelError, match="not a model card"):
            load_model(weights)

    @pytest.mark.parametrize(
        "described",
        [
            "",
            "no JSON",
            "[]",
            "[1, 2]",
            "null",
            '"unet"',
            "[" * 100_000,
            {},
            {"network": "unet", "surprise": 1},
            {**HEADER, "network": "resnet"},
            {**HEADER, "network": "os:system"},
            {**HEADER, "network": None},
            {**HEADER, "network": ["unet"]},
            {**HEADER, "classes": 10**12},
            {**HEADER, "classes": -1},
            {**HEADER, "classes": "1"},
            {**HEADER, "classes": None},
            {**HEADER, "in_channels": 10**9},
            {**HEADER, "in_channels": 0.5},
            {**HEADER, "scale": 0},
            {**HEADER, "scale": 1e300},
            {**HEADER, "scale": float("nan")},
            {**HEADER, "config": None},
            {**HEADER, "config": [4]},
            {**HEADER, "config": {"base": 10**7}},
            {**HEADER, "config": {"base": 10**30}},
            {**HEADER, "config": {"base": -4}},
            {**HEADER, "config": {"base": 0}},
            {**HEADER, "config": {"base": "4"}},
            {**HEADER, "config": {"classes": 3}},
            {**HEADER, "config": {"name": "unet"}},
            {**HEADER, "config": {"pretrained": True}},
            {**HEADER, "config": {"no_such_option": 1}},
        ],
        ids=lambda value: str(value)[:60],
    )
    def test_a_hostile_description_is_an_error_for_people(self, weights: Path, described: object) -> None:
        with pytest.raises(ModelError) as caught:
            load_model(describing(weights, described))
        assert len(str(caught.value)) < 400

    def test_a_description_cannot_give_itself_the_name_or_the_hash_of_another(self, weights: Path) -> None:
        described = {**HEADER, "name": "../../nuclei", "title": "Trust me", "sha256": "0" * 64}
        card = resolve_model(describing(weights, described))[1]
        assert (card.name, card.title) == ("tiny", "tiny")
        assert card.sha256 != "0" * 64

    def test_a_huge_card_with_the_right_hash_takes_no_memory(self, weights: Path) -> None:
        card = ModelCard.from_json(weights.with_suffix(".json").read_text("utf-8"))
        weights.with_suffix(".json").write_text(replace(card, config={"base": 10**6}).to_json(), "utf-8")
        with pytest.raises(ModelError, match="another network"):
            load_model(weights)
