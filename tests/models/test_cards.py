import dataclasses
import hashlib
import json
import string
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.models import create_model
from napari_medseg.models.cards import LARGEST, SHIPPED, ModelCard, find_card, list_models, read_card
from napari_medseg.models.errors import ModelError
from napari_medseg.models.registry import NETWORKS
from napari_medseg.models.weights.measure import counts, measured

CARD = ModelCard(name="one", title="One", network="unet")
TEXT = st.text(string.printable + "äµ语\u2028", max_size=20)


@given(
    title=TEXT,
    labels=st.dictionaries(st.integers(1, 255), TEXT, max_size=4),
    classes=st.integers(1, 256),
    scale=st.floats(0.1, 8),
    metrics=st.dictionaries(TEXT, st.floats(0, 1), max_size=3),
    modalities=st.lists(TEXT, max_size=3).map(tuple),
)
def test_a_card_comes_back_from_its_text(**values: object) -> None:
    card = ModelCard(name="one", network="unet", **values)  # type: ignore[arg-type]
    assert ModelCard.from_json(card.to_json()) == card


def test_a_short_card_is_enough() -> None:
    card = ModelCard.from_json('{"name": "one", "title": "One", "network": "unet"}')
    assert card == CARD
    assert (card.classes, card.labels, card.answers, card.has_weights) == (1, {1: "object"}, ("mask",), False)
    assert (card.tile, card.highest_lr, card.weights_from, card.trained) == (None, None, "", False)


def test_weights_of_an_encoder_alone_make_no_trained_model() -> None:
    card = dataclasses.replace(CARD, sha256="0" * 64)
    assert card.trained
    assert not dataclasses.replace(card, encoder_only=True).trained


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "null",
        "3",
        "{}",
        '{"name": "one"}',
        '{"name": "one", "title": "One", "network": "unet", "of_a_later_version": 1}',
        '{"name": "one", "title": "One", "network": "unet", "labels": [1]}',
        '{"name": "one", "title": "One", "network": "unet", "labels": {"first": "object"}}',
        '{"name": "one", "title": "One", "network": "unet", "answers": 1}',
        "[" * 100_000,
    ],
)
def test_what_is_no_card_is_an_error_for_people(text: str) -> None:
    with pytest.raises(ModelError, match="not a model card"):
        ModelCard.from_json(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", 0),
        ("classes", 257),
        ("classes", 10**12),
        ("classes", "2"),
        ("classes", True),
        ("in_channels", -1),
        ("in_channels", 2.0),
        ("scale", 0),
        ("scale", -1.0),
        ("scale", float("nan")),
        ("scale", float("inf")),
        ("scale", 1e9),
        ("scale", None),
        ("network", ["unet"]),
        ("config", [1]),
    ],
)
def test_a_network_that_cannot_be_is_refused(name: str, value: object) -> None:
    with pytest.raises(ModelError, match=name):
        dataclasses.replace(CARD, **{name: value})
    text = json.dumps(dataclasses.asdict(CARD) | {name: value})
    with pytest.raises(ModelError, match="cannot be"):
        ModelCard.from_json(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", ""),
        ("name", " "),
        ("name", 3),
        ("title", None),
        ("good_at", ["nuclei"]),
        ("sha256", 7),
        ("date", 2026),
        ("labels", {1: 2}),
        ("labels", {0: "background"}),
        ("labels", {10**9: "object"}),
        ("answers", []),
        ("answers", ["boxes"]),
        ("answers", ["mask", "mask"]),
        ("answers", ["mask", []]),
        ("answers", "mask"),
        ("modalities", [1]),
        ("recipe", []),
        ("metrics", [0.9]),
        ("metrics", {"dice_median": "good"}),
        ("metrics", {"dice_median": None}),
        ("metrics", {"dice_median": True}),
        ("metrics", {"dice_median": float("nan")}),
        ("metrics", {"dice_median": float("inf")}),
        ("metrics", {"dice_median": 10**400}),
        ("scale", 10**400),
        ("gmacs", "many"),
        ("gmacs", float("nan")),
        ("tile", 63),
        ("tile", "large"),
        ("tile", 10**6),
        ("highest_lr", 0),
        ("highest_lr", float("nan")),
        ("highest_lr", "low"),
        ("encoder_only", 1),
        ("weights_from", ["timm"]),
        ("parameters", -1),
        ("parameters", 1.5),
    ],
)
def test_a_value_of_another_kind_is_refused_and_named(name: str, value: object) -> None:
    text = json.dumps(dataclasses.asdict(CARD) | {name: value})
    with pytest.raises(ModelError, match=rf"cannot be: {name} "):
        ModelCard.from_json(text)


@pytest.mark.parametrize("name", ["title", "config"])
def test_text_that_no_file_can_hold_is_refused(name: str) -> None:
    value = {"title": "\ud800", "config": {"base": "\ud800"}}[name]
    with pytest.raises(ModelError, match="not a model card"):
        ModelCard.from_json(json.dumps(dataclasses.asdict(CARD) | {name: value}))


class TestFile:
    def test_a_card_is_read_from_its_file(self, tmp_path: Path) -> None:
        (tmp_path / "one.json").write_text(CARD.to_json(), "utf-8")
        assert read_card(tmp_path / "one.json") == CARD

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (CARD.to_json().replace("One", "Grün").encode("latin-1"), "not text in UTF-8"),
            (b"\xff\xfe{\x00}\x00", "not text in UTF-8"),
            (b" " * (LARGEST + 1), "larger than 1 MB"),
            (b"", "not a model card"),
            (b"\x00" * 9, "not a model card"),
            (b'{"name": ' + b"9" * 5000 + b"}", "not a model card"),
        ],
        ids=["Latin-1", "UTF-16", "too large", "empty", "zeros", "a number without end"],
    )
    def test_a_file_that_is_no_card_is_an_error_for_people(self, tmp_path: Path, content: bytes, said: str) -> None:
        (tmp_path / "one.json").write_bytes(content)
        with pytest.raises(ModelError, match=said):
            read_card(tmp_path / "one.json")

    def test_no_file_or_a_folder_is_no_card(self, tmp_path: Path) -> None:
        for path in (tmp_path / "one.json", tmp_path):
            with pytest.raises(ModelError, match="There is no card"):
                read_card(path)


class TestShipped:
    def test_trained_models_come_first(self) -> None:
        cards = list_models()
        assert {"nuclei", "fetal-head", *NETWORKS} == {card.name for card in cards}
        assert [card.has_weights for card in cards] == sorted((card.has_weights for card in cards), reverse=True)
        assert len({card.name for card in cards}) == len(cards)

    @pytest.mark.parametrize("card", list_models(), ids=lambda card: card.name)
    def test_a_card_says_what_a_person_needs_to_choose(self, card: ModelCard) -> None:
        assert all((card.title, card.good_at, card.modalities, card.paper, card.licence, card.parameters))
        assert (SHIPPED / f"{card.name}.json").is_file()
        if card.has_weights:
            weights = (SHIPPED / f"{card.name}.safetensors").read_bytes()
            assert hashlib.sha256(weights).hexdigest() == card.sha256
            assert len(weights) <= 9_000_000
            assert all((card.data, card.recipe, card.metrics, card.date))
        else:
            assert card.weights_from
            assert card.title.endswith(", untrained")

    @pytest.mark.parametrize("card", list_models(), ids=lambda card: card.name)
    def test_a_card_counts_the_parameters_of_its_network(self, card: ModelCard) -> None:
        with torch.device("meta"):  # without memory
            network = create_model(card.network, in_channels=card.in_channels, classes=card.classes, **card.config)
        assert counts(network) == {
            "parameters": card.parameters,
            "trainable_parameters": card.trainable_parameters,
        }

    @pytest.mark.parametrize("name", ["unet", "ascseg", "sosegformer"])  # the others take long, and are made alike
    def test_a_card_says_how_much_there_is_to_compute(self, name: str) -> None:
        card = find_card(name)
        assert measured(card)["gmacs"] == pytest.approx(card.gmacs, rel=0.05)

    def test_hastnet_is_the_papers_with_its_large_trunk(self) -> None:
        card = find_card("hastnet")
        assert card.config == {"variant": "large"}
        assert card.parameters > 200e6
        assert card.trainable_parameters == card.parameters  # frozen only once it has SAM 2's weights
        assert "frozen" in card.weights_from

    def test_a_card_may_name_a_smaller_trunk(self) -> None:
        card = dataclasses.replace(find_card("hastnet"), config={"variant": "tiny", "width": [32, 32, 16, 16]})
        again = ModelCard.from_json(card.to_json())
        with torch.device("meta"):
            assert counts(create_model(again.network, **again.config))["parameters"] < 40e6

    def test_a_card_is_found_by_its_name(self) -> None:
        assert find_card("nuclei").name == "nuclei"

    def test_an_unknown_name_lists_the_known_and_the_nearest(self) -> None:
        with pytest.raises(ModelError, match=r"no model 'nucleus'; there are: .*unet.* Did you mean 'nuclei'\?"):
            find_card("nucleus")

    def test_looking_at_cards_does_not_import_torch(self) -> None:
        program = (
            "import sys; from napari_medseg.models import list_models, ModelCard, Prediction, MedicalImage\n"
            "list_models(); sys.exit('torch' in sys.modules)"
        )
        subprocess.run([sys.executable, "-c", program], check=True)
