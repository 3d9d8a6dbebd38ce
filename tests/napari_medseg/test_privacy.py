"""What a session with a patient's images leaves behind: nothing that says whose they are, but in a DICOM SEG.

The images are written with identifying values everywhere, in a folder that is called after the patient, and all that is
on the disk afterwards is searched for each of them, in the forms in which programs write text, compressed or not. The
names of the images' own files have nothing of the patient, since masks are called after them.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import logging
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from typer.testing import CliRunner

from napari_medseg.cli import app
from napari_medseg.cli.journal import command_log
from napari_medseg.models.export import EXPORTS
from napari_medseg.report import Report, ReportCase, write_report

STUDY, SERIES, SPACE = (generate_uid() for _ in range(3))
INSTANCES = [generate_uid() for _ in range(3)]
IDENTIFYING = {
    "PatientName": "Quastenflosser^Adelgunde",
    "PatientID": "PID-4711-0815",
    "OtherPatientIDs": "OTHER-778899",
    "PatientBirthDate": "19310228",
    "PatientAddress": "Nachtigallenweg 17",
    "PatientComments": "Comes with her sister",
    "AccessionNumber": "ACC-665544",
    "StudyID": "STUDY-998877",
    "InstitutionName": "Klinikum Sonnenblick",
    "StationName": "CTROOM77",
    "ReferringPhysicianName": "Eisenbart^Johann",
    "OperatorsName": "Roentgenfrau^Bertha",
    "ImageComments": "Seen by the tumour board",
    "StudyDescription": "Abdomen of Adelgunde",
    "SeriesDescription": "Late phase Quastenflosser",
    "StudyInstanceUID": STUDY,
    "SeriesInstanceUID": SERIES,
    "FrameOfReferenceUID": SPACE,
}
SECRETS = (*IDENTIFYING.values(), "Quastenflosser", "Adelgunde", "Eisenbart", "1931-02-28", *INSTANCES)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A CT series of three slices with bright discs, below a folder that is called after the patient."""
    folder = tmp_path / "input" / "Quastenflosser Adelgunde, PID-4711-0815" / "CT1"
    folder.mkdir(parents=True)
    rows, columns = np.mgrid[:64, :72]
    for number, instance in enumerate(INSTANCES):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = instance
        for keyword, value in IDENTIFYING.items():
            setattr(dataset, keyword, value)
        dataset.PatientSex, dataset.Modality, dataset.StudyDate, dataset.StudyTime = "F", "CT", "20200102", "101112"
        dataset.SeriesNumber, dataset.InstanceNumber = 3, number + 1
        dataset.ImageOrientationPatient, dataset.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.8, 0.8]
        dataset.ImagePositionPatient, dataset.SliceThickness = [-10, -20, 30 + 2.5 * number], 2.5
        dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 64, 72, 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.RescaleIntercept, dataset.RescaleSlope = -1024, 1
        disc = (rows - 30) ** 2 + (columns - 36) ** 2 < 14**2
        dataset.PixelData = np.where(disc, 1200, 10 + number).astype(np.int16).tobytes()
        dataset.save_as(folder / f"IM{number}.dcm", enforce_file_format=True)
    return folder


def forms(secret: str) -> Iterator[bytes]:
    """A text as it may stand in a file: UTF-8 and UTF-16, and base64 of it wherever it begins."""
    yield secret.lower().encode()
    yield secret.lower().encode("utf-16-le")
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + secret.encode())
        yield encoded[4 if before else 0 : len(encoded) // 4 * 4 - 4].lower()


def contents(file: Path) -> bytes:
    """All bytes of a file, and of every compressed stream in it, in lower case."""
    stored = file.read_bytes()
    found = [stored]
    if stored.startswith(b"\x1f\x8b"):
        found.append(gzip.decompress(stored))
    for header in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"):
        at = stored.find(header)
        while at >= 0:
            unpacker = zlib.decompressobj()
            with contextlib.suppress(zlib.error):
                found.append(unpacker.decompress(stored[at:], 1 << 24))
            at = stored.find(header, at + 2)
    return b"\n".join(found).lower()


def leaks(*folders: Path) -> list[str]:
    """What of the patient is in which file below these folders, or in the name of one."""
    searched = {secret: {form for form in forms(secret) if len(form) > 7} for secret in SECRETS}
    found = []
    for folder in folders:
        for file in folder.rglob("*"):
            text = contents(file) if file.is_file() and not file.is_socket() else b""
            name = str(file.relative_to(folder)).lower().encode()
            found += [
                f"{secret} in {file}" for secret, each in searched.items() if any(f in text or f in name for f in each)
            ]
    return found


def test_the_search_finds_what_it_is_to_find(series: Path, tmp_path: Path) -> None:
    secret = "Quastenflosser"
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "utf16").write_text(f"x{secret}", "utf-16-le")
    (hidden / "gzip.gz").write_bytes(gzip.compress(secret.encode()))
    (hidden / "zlib").write_bytes(b"begin" + zlib.compress(secret.upper().encode()) + b"end")
    for before in range(3):
        (hidden / f"base64-{before}").write_bytes(base64.b64encode(b"a" * before + f"{secret} and more".encode()))
    (hidden / secret).touch()
    assert len([leak for leak in leaks(hidden) if leak.startswith(f"{secret} in")]) == 7
    assert (
        len({leak.split(" in ")[0] for leak in leaks(series)}) == len(set(SECRETS)) - 1
    )  # all but the date as ISO has it


def test_a_session_of_the_panel_leaves_nothing_of_the_patient(
    open_panel: Any,
    series: Path,
    tmp_path: Path,
    engine_environment: Path,
    until: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    panel = open_panel()
    state, controller = panel.state, panel.controller
    until(lambda: state.engine_ready and state.models)
    controller.open_images([series])
    until(lambda: state.image_usable and state.export == "dicom-seg")
    controller.segmenting.start()
    until(lambda: state.segmenting is None)
    assert state.mask is not None, state.problem
    state.mask.selected_label, state.mask.brush_size = 1, 9
    state.mask.paint((1, 10, 10), 1)
    until(lambda: controller.editing.keeping.wait() and list((state.project / "drafts").glob("*.draft")))
    controller.accepting.start()
    until(lambda: not state.accepting)
    assert "is accepted" in state.notice, state.problem
    state.mask.paint((1, 40, 10), 1)  # of this a draft is left
    out = tmp_path / "out"
    out.mkdir()
    for export in state.exports:
        state.export = export.key
        controller.exporting.start(out / f"mask{export.ending}")
        until(lambda: state.exporting is None)
        assert state.problem == ""
    controller.open_images([series / "missing.dcm"])
    until(lambda: state.problem)
    write_page(panel, out / "report.html")
    panel.let_go()

    segmentation = out / "mask.dcm"
    assert pydicom.dcmread(segmentation).PatientName == IDENTIFYING["PatientName"]
    segmentation.unlink()
    assert {file.name for file in out.iterdir()} == {"report.html"} | {
        f"mask{export.ending}"
        for export in EXPORTS.values()
        if export.key not in ("dicom-seg", "png", "tiff", "ome-zarr")
    }
    home = engine_environment.parent
    assert list(state.project.rglob("*.draft"))
    assert leaks(state.project, out, home) == []
    said = "\n".join(record.getMessage() + str(record.exc_text or "") for record in caplog.records).lower()
    assert [secret for secret in SECRETS if secret.lower() in said and secret.lower() not in str(series).lower()] == []


def write_page(panel: Any, path: Path) -> None:
    """The report of the image in work, one slice of it."""
    from napari_medseg.image_layers import medical_image
    from napari_medseg.models.image import MedicalImage

    image, mask = medical_image(panel.state.image), np.array(panel.state.mask.data)
    plane = MedicalImage(image.data[1], "YX", image.spacing[1:], image.unit, image.name)
    case = ReportCase(image.name, "", plane, mask[1], mask[1], mask[1], 1.0, 1.0)
    write_report(path, Report("A session", "", (), (case,), 1.0, 1.0))


def test_commands_leave_nothing_of_the_patient(
    medseg: Any, series: Path, tmp_path: Path, engine_environment: Path
) -> None:
    out, project = tmp_path / "out", tmp_path / "project"
    mask = tmp_path / "made" / "CT1.nii.gz"
    ran = medseg("segment", series, "-o", mask.parent)
    assert ran.code == 0, ran.err
    ran = medseg("accept", project, series, mask)
    assert ran.code == 0, ran.err
    for ending in (".nii.gz", ".csv", ".geojson", ".coco.json"):
        ran = medseg("export", mask, "--image", series, "-o", out / f"mask{ending}")
        assert ran.code == 0, ran.err
    for key in ("nifti", "ome-tiff", "coco", "csv"):
        ran = medseg("export", project, "-o", out / f"project-{key}", "--format", key, "--images")
        assert ran.code == 0, ran.err
    ran = medseg("report", project, "-o", out / "report.html")
    assert ran.code == 0, ran.err
    assert medseg("export", series / "nothing.dcm", "--image", series, "-o", out / "none.csv").code == 1
    broken = series / "broken.dcm"
    broken.write_bytes((series / "IM0.dcm").read_bytes()[:900])
    medseg("export", mask, "--image", broken, "-o", out / "none.csv")
    assert leaks(project, out, mask.parent, engine_environment.parent) == []


@pytest.mark.usefixtures("engine_environment")
def test_no_log_names_a_folder_that_is_called_after_the_patient(
    medseg: Any, series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = series.rename(tmp_path / "Quastenflosser Adelgunde")
    mask = tmp_path / "masks" / "Quastenflosser Adelgunde.nii.gz.ome.zarr"  # called after its image
    mask.mkdir(parents=True)
    (mask / "thesis.txt").write_text("years of it")
    monkeypatch.setattr(sys.modules["napari_medseg.cli.segment"], "LARGE", 10)
    ran = CliRunner().invoke(app, ["segment", str(patient), "-o", str(mask.parent), "--again"])
    assert ran.exit_code == 1, ran.output
    assert "not a mask" in ran.output
    for instance, file in enumerate(sorted(patient.iterdir())):
        file.write_bytes(file.read_bytes()[: 900 + instance])
    for arguments in (("evaluate", patient), ("accept", tmp_path / "project", patient, patient / "mask")):
        assert medseg(*arguments).code != 0, arguments
    logs = command_log().parent
    assert (logs / "engine.log").is_file()
    assert "accept failed" in command_log().read_text("utf-8")
    assert "evaluate failed" in command_log().read_text("utf-8")
    assert leaks(logs) == []
