import base64
import re
from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest

from napari_medseg.models.image import MedicalImage
from napari_medseg.report import EXTRA, MISSED, RIGHT, Report, ReportCase, compared, displayed, write_report

from .report_support import assert_well_formed


def _case(title="A case", image=None):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30), np.uint8) if image is None else image
    truth = np.zeros(pixels.shape[:2], np.uint8)
    truth[5:15, 5:15] = 1
    shifted = np.roll(truth, 5, axis=1)
    return ReportCase(title, "phantom", MedicalImage.from_array(pixels), shifted, truth, truth, 0.5, 1.0)


def _report(*cases):
    return Report("A page", "What it shows.", (("Started from", "nothing"),), cases, 0.5, 1.0)


def _pictures(page):
    found = re.findall(r'<img src="data:image/png;base64,([^"]+)"', page)
    return [iio.imread(base64.b64decode(content)) for content in found]


def test_the_page_holds_all_its_pictures_and_needs_nothing_else(tmp_path):
    write_report(tmp_path / "report.html", _report(_case(), _case(image=np.zeros((40, 40, 3), np.uint8))))
    page = (tmp_path / "report.html").read_text("utf-8")
    assert [picture.shape for picture in _pictures(page)] == [(20, 30, 3)] * 4 + [(40, 40, 3)] * 4
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert "http" not in page


def test_the_page_is_well_formed(tmp_path):
    write_report(tmp_path / "report.html", _report(_case()))
    assert_well_formed((tmp_path / "report.html").read_text("utf-8"))


def test_what_is_put_in_is_shown_not_run(tmp_path):
    write_report(tmp_path / "report.html", _report(_case(title="<script>alert(1)</script>")))
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_right_missed_and_too_much_have_their_colours():
    image = MedicalImage.from_array(np.zeros((20, 30), np.uint8))
    truth, mask = np.zeros((20, 30), np.uint8), np.zeros((20, 30), np.uint8)
    truth[5:15, 5:15], mask[5:15, 10:20] = 7, 3
    picture = compared(image, mask, truth).astype(int)
    nearest = {name: np.argmin([np.abs(picture[spot] - colour).sum() for colour in (RIGHT, MISSED, EXTRA)])
               for name, spot in {"right": (10, 12), "missed": (10, 7), "extra": (10, 17)}.items()}  # fmt: skip
    assert nearest == {"right": 0, "missed": 1, "extra": 2}
    background = picture[0, 0]
    assert background.min() == background.max()  # grey


@pytest.mark.parametrize(
    "image",
    [
        np.full((8, 9), 3, np.uint8),
        np.linspace(-5, 5, 72, dtype=np.float32).reshape(8, 9),
        np.full((8, 9), np.nan, np.float32),
        np.random.default_rng(0).integers(0, 65535, (8, 9), np.uint16),
    ],
    ids=["constant", "negative", "NaN", "16 bits"],
)
def test_any_image_can_be_shown(image):
    shown = displayed(MedicalImage.from_array(image))
    assert shown.shape == (8, 9, 3)
    assert shown.dtype == np.uint8


def test_what_was_segmented_is_measured(tmp_path):
    pixels = np.full((20, 30), 40, np.uint8)
    case = _case(image=pixels)
    spaced = replace(case, image=MedicalImage(pixels, "YX", (0.5, 0.5), "mm"))
    write_report(tmp_path / "report.html", _report(spaced, replace(case, after=np.zeros((20, 30), np.uint8))))
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "1 label, equivalent diameter 5.642 mm" in page
    assert "<th>Area [mm²]</th>" in page
    assert "<td>25</td>" in page
    assert "Nothing was found" in page
