import dataclasses
import hashlib
import json
import string
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.models.cards import SHIPPED, ModelCard, find_card, list_models
from napari_medseg.models.errors import ModelError

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
    with pytest.raises(ModelError, match=name if name != "config" else "network"):
        dataclasses.replace(CARD, **{name: value})
    text = json.dumps(dataclasses.asdict(CARD) | {name: value})
    with pytest.raises(ModelError, match="cannot be"):
        ModelCard.from_json(text)


class TestShipped:
    def test_trained_models_come_first(self) -> None:
        cards = list_models()
        assert {"nuclei", "unet"} <= {card.name for card in cards}
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
