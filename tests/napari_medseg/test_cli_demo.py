import re
from pathlib import Path

from napari_medseg.demo import split_samples
from napari_medseg.models.image import MedicalImage
from napari_medseg.samples import samples
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.split import held_out_groups


def test_the_loop_runs_without_a_window_and_leaves_a_report(medseg, tmp_path):
    ran = medseg("demo", "--headless", "--steps", 1, "--project", tmp_path / "project", "--json")
    assert ran.code == 0, ran.err
    answer = ran.json
    assert {"cases", "dice_before", "dice_after", "promoted", "seconds", "report", "images"} <= answer.keys()
    assert answer["cases"] == len(answer["images"]) >= 4
    assert 0 <= answer["dice_before"] < 0.5  # stained tissue is not what the shipped model has learned
    assert isinstance(answer["promoted"], bool)

    page = Path(answer["report"]).read_text("utf-8")
    assert len(re.findall(r'<img src="data:image/png;base64,', page)) == 4 * answer["cases"]
    assert f"{answer['cases']} images, four pictures each" in page
    assert "Not a medical device" in page
    assert f"{answer['dice_after']:.3f}" in page

    with Ledger.open(tmp_path / "project") as ledger:
        records = ledger.corrections()
        assert len(records) == answer["corrections"] == 6
        assert all(record.predicted_key and record.edits and record.model == "nuclei" for record in records)
        learned, judged = ledger.split()
        assert (len(learned), len(judged)) == (4, 2)

    again = medseg("demo", "--headless", "--project", tmp_path / "project")
    assert again.code == 1
    assert "already" in again.sentence


def test_what_is_corrected_is_never_what_it_is_judged_on():
    corrected, unseen = split_samples()
    assert (len(corrected), len(unseen)) == (6, len(samples("histology")) + len(samples("brightfield")) - 6)
    assert len(unseen) >= 4
    assert not {sample.file for sample in corrected} & {sample.file for sample in unseen}
    held_out = held_out_groups(sample.file for sample in corrected)
    for kind in ("histology", "brightfield"):
        assert {sample.file in held_out for sample in corrected if sample.kind == kind} == {True, False}
    assert all(isinstance(sample.image(), MedicalImage) for sample in unseen)
