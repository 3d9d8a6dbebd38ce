import base64
import re

import imageio.v3 as iio
import numpy as np
import pytest

from napari_medseg.models.image import MedicalImage
from napari_medseg.project_facts import Trend, project_facts, trend
from napari_medseg.project_report import summary, write_project_report
from napari_medseg.trainer.ledger import Effort, Ledger

from .report_support import assert_well_formed

CARD = {"name": "mine", "title": "Mine", "network": "unet", "classes": 1}


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "Quastenflosser") as opened:
        yield opened


def accept(ledger, seed, *, wrong=0, proposed=True, seconds=None, model="nuclei", shape=(40, 40), axes="YX"):
    """An image with a square of 20 x 20, of which the proposal misses `wrong` rows."""
    image = MedicalImage(np.random.default_rng(seed).integers(0, 255, shape, np.uint8), axes, name="Adelgunde")
    mask = np.zeros(image.mask_shape, np.uint8)
    mask[..., 10:30, 10:30] = 1
    proposal = mask.copy()
    proposal[..., 10 : 10 + wrong, :] = 0
    effort = None if seconds is None else Effort(seconds, int(seconds / 10))
    return ledger.add(
        image, mask, predicted=proposal if proposed else None, model=model, group=f"PID-4711 {seed}", effort=effort
    )


def page_of(ledger, tmp_path, **options):
    written = write_project_report(tmp_path / "page.html", ledger, **options)
    return (tmp_path / "page.html").read_text("utf-8"), written


def pictures(page, kind="png"):
    found = re.findall(rf'<img src="data:image/{kind}[^,]*,([^"]+)"', page)
    return [base64.b64decode(content) for content in found]


def test_the_page_tells_of_effort_versions_and_cases(ledger, tmp_path):
    for seed in range(4):
        accept(ledger, seed, wrong=10, seconds=100)
    figures = {"dice_before": [0.5], "dice_after": [0.75], "trained_on": [1, 3, 4], "held_out": [2]}
    ledger.add_version(b"1", CARD, "nuclei", figures | {"result": {"promoted": True}}, "Active now", activate=True)
    ledger.add_version(b"2", CARD, "v1", figures, "Kept as a candidate: it is worse.", activate=False)
    for seed in range(4, 8):
        accept(ledger, seed, seconds=20, model="v1")
    page, written = page_of(ledger, tmp_path)
    assert "8 images of 8 patients or files were corrected and accepted on" in page
    assert "the last 2 cases took 80% less time than the first 2" in page
    assert "100 s → 20 s" in page
    assert "10 → 2" in page
    assert "0.667 → 1.000" in page
    assert "It took over" in page
    assert "Kept as a candidate: it is worse." in page
    assert re.search(r"Dice 0\.500 → <b>0\.750</b> on 1 correction kept apart", page)
    assert "learned from 3 corrections" in page
    assert [version.cases_before for version in written.facts.versions] == [4, 4]
    assert "Proposed by v1" in page
    assert len(pictures(page, "svg")) == 3
    assert len(pictures(page)) == 6 * 3
    assert all(iio.imread(picture).shape == (240, 240, 3) for picture in pictures(page))
    assert "Case 1<" in page
    assert "Case 8<" in page


def test_the_page_needs_nothing_else_and_names_nobody(ledger, tmp_path):
    accept(ledger, 0, seconds=5, model=str(tmp_path / "Quastenflosser" / "weights.safetensors"))
    page, _ = page_of(ledger, tmp_path)
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert "http" not in page
    plain = page + "".join(picture.decode("latin-1") for kind in ("png", "svg") for picture in pictures(page, kind))
    assert not [word for word in ("Quastenflosser", "Adelgunde", "PID-4711", str(tmp_path)) if word in plain]


def test_the_page_is_well_formed(ledger, tmp_path):
    accept(ledger, 0, seconds=5)
    accept(ledger, 1, seconds=5)
    ledger.add_version(b"1", CARD, "nuclei", {}, "Brought in from a file.", activate=False)
    assert_well_formed(page_of(ledger, tmp_path)[0])


def test_an_empty_project_has_a_page_that_says_so(ledger, tmp_path):
    page, _ = page_of(ledger, tmp_path)
    assert "Nothing was accepted in this project yet" in page
    assert "No version was made in this project yet; nuclei segments" in page
    assert "<img" not in page


def test_cases_without_effort_or_proposal_are_shown(ledger, tmp_path):
    accept(ledger, 0, proposed=False)
    page, _ = page_of(ledger, tmp_path)
    assert "no model had proposed a mask" in page
    assert "Too few cases say what they cost" in page
    assert len(pictures(page)) == 2


def test_corrections_of_one_image_are_one_case_held_against_the_first_proposal(ledger):
    first = accept(ledger, 0, wrong=10, seconds=30)
    accept(ledger, 1, wrong=10, seconds=30)
    image, mask = ledger.load_image(first), ledger.load_mask(first)
    mask[0, 0] = 1
    ledger.add(image, mask, predicted=mask, model="v1", effort=Effort(5, 1))
    facts = project_facts(ledger)
    assert facts.corrections == 3
    case = facts.cases[0]
    assert (case.case.title, case.case.seconds, case.case.edits) == ("Case 1", 35.0, 4)
    assert case.dice == pytest.approx(2 * 200 / (200 + 401))
    assert "1 mask of them once more" in summary(facts)


def test_labels_are_told_apart_where_the_model_has_several(ledger):
    ledger.add_version(b"1", CARD | {"classes": 3, "labels": {"1": "a", "2": "b"}}, "nuclei", {}, "", activate=True)
    mask = np.ones((40, 40), np.uint8)
    ledger.add(np.zeros((40, 40), np.uint8), mask, predicted=2 * mask, model="v1")
    assert project_facts(ledger).cases[0].dice == 0


def test_damaged_cases_are_named_and_the_others_shown(ledger, tmp_path):
    records = [accept(ledger, 0, wrong=3, shape=(40, 41)), accept(ledger, 1), accept(ledger, 2, shape=(42, 40))]
    for key in (records[0].mask_key, records[1].image_key):
        (ledger.folder / "objects" / key[:2] / f"{key}.tif").write_bytes(b"II*\0")
    page, written = page_of(ledger, tmp_path)
    assert written.damaged == ("Case 1", "Case 2")
    assert "Pixels of Case 1, Case 2 are missing or damaged" in page
    assert len(pictures(page)) == 3
    assert str(tmp_path) not in page


def test_as_many_cases_are_shown_as_are_asked_for(ledger, tmp_path):
    for seed in range(5):
        accept(ledger, seed)
    assert len(pictures(page_of(ledger, tmp_path, pictured=2)[0])) == 6
    assert pictures(page_of(ledger, tmp_path, pictured=0)[0]) == []


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], None),
        ([None], None),
        ([3.0, None, 1.0], Trend(2.0, None, 2)),
        ([4.0, 2.0, None, 1.0, 1.0], Trend(3.0, 1.0, 2)),
        ([8.0] * 10 + [2.0] * 6, Trend(8.0, 2.0, 4)),
    ],
)
def test_a_trend_is_of_the_first_and_the_last_quarter(values, found):
    assert trend(values) == found
