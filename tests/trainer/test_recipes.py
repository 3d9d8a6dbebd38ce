import json
import re
from importlib import resources

import pytest

from napari_medseg.models.errors import ModelError
from napari_medseg.models.registry import NETWORKS
from napari_medseg.trainer.recipe import FRAMINGS, RECIPES, find_recipe, read_recipe


def text_of(network: str) -> str:
    return (resources.files("napari_medseg.trainer") / "recipes" / f"{network}.json").read_text("utf-8")


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_has_both_recipes_and_every_value_says_where_it_is_from(network: str, name: str) -> None:
    recipe = find_recipe(network, name)
    assert (recipe.network, recipe.name) == (network, name)
    assert recipe.framing in FRAMINGS
    assert set(recipe.sources) == set(json.loads(text_of(network))[name])
    assert all(len(source) > 10 for source in recipe.sources.values())


def test_published_recipes_are_as_the_papers_print_them() -> None:
    printed = {
        "unet": ("adam", 1e-4, 3e-4, 4, 512, 200, "dice_ce", "right_angles"),
        "ascseg": ("adamw", 1e-3, 1e-2, 8, 256, 300, "dice_ce", "turns"),
        "hastnet": ("adamw", 5e-4, 0.01, 8, 352, 300, "dice_ce", "flips"),
        "msa2net": ("sgd", 0.05, 1e-4, 20, 224, 700, "boundary_dou", "turns"),
        "sosegformer": ("adamw", 5e-4, 0.03, 4, 512, 100, "ce", "full"),
    }
    for network, expected in printed.items():
        recipe = find_recipe(network, "published")
        t = recipe.training
        found = (t.optimiser, t.lr, t.weight_decay, t.batch, t.crop, recipe.epochs, t.loss, t.augmentation)
        assert found == expected
    assert find_recipe("msa2net", "published").training.momentum == 0.9
    assert find_recipe("hastnet", "published").options == {"variant": "large"}


def test_what_a_paper_does_not_say_is_marked_as_ours() -> None:
    sources = find_recipe("hastnet", "published").sources
    assert sources["optimiser"].startswith("not stated; ours")
    assert all(re.match("ours", source) for source in find_recipe("unet", "quick").sources.values())


@pytest.mark.parametrize(
    ("network", "name", "said"),
    [
        ("unett", "quick", "no network 'unett'; .* Did you mean 'unet'"),
        ("unet", "fast", "no recipe 'fast'; there are: published, quick"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(network: str, name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        find_recipe(network, name)


@pytest.mark.parametrize(
    "change",
    [
        {"speed": {"value": 1, "source": "nowhere at all"}},
        {"lr": None},
        {"lr": {"value": -1, "source": "nowhere at all"}},
        {"lr": {"value": "fast", "source": "nowhere at all"}},
        {"warmup": {"value": 2, "source": "nowhere at all"}},
        {"optimiser": {"value": "newton", "source": "nowhere at all"}},
        {"framing": {"value": "squeeze", "source": "nowhere at all"}},
        {"epochs": {"value": 0, "source": "nowhere at all"}},
        {"epochs": {"value": 3}},
    ],
)
def test_a_recipe_with_unknown_missing_or_impossible_fields_is_refused(change: dict) -> None:
    content = json.loads(text_of("unet"))
    content["quick"] = {name: entry for name, entry in (content["quick"] | change).items() if entry is not None}
    with pytest.raises(ModelError, match="recipe 'quick'"):
        read_recipe(json.dumps(content), "quick")


def test_text_that_is_no_recipe_is_refused() -> None:
    for text in ("", "[]", '{"quick": 3}'):
        with pytest.raises(ModelError):
            read_recipe(text, "quick")
