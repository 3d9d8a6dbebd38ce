"""What `medseg doctor` says of an installation, and how it says it."""

import queue
import shutil
import sys
import threading
from importlib.metadata import distribution

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from napari_medseg.cli import app
from napari_medseg.doctor import checking, devices, packages, plugin, room, screen, weights
from napari_medseg.doctor.checking import findings_of
from napari_medseg.doctor.child import Answer
from napari_medseg.doctor.finding import Finding, fine, note
from napari_medseg.doctor.subject import NAMES
from napari_medseg.models.cards import SHIPPED


def run(*arguments, **options):
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)], **options)


WATCHED = """
import sys
from napari_medseg.cli import main
try:
    main()
finally:
    heavy = {"torch", "monai", "lightning", "napari", "qtpy", "vispy"} & set(sys.modules)
    print("HEAVY", sorted(heavy), file=sys.stderr)
"""


def test_each_check_of_an_installation_says_what_it_found_and_none_imports_torch_or_the_window(medseg):
    ran = medseg("doctor", "--json", command=("-c", WATCHED))
    assert ran.err.splitlines()[-1] == "HEAVY []"
    checks = ran.json["checks"]
    assert {check["check"] for check in checks} == set(NAMES) - {"project"}
    assert all(check["found"] and (check["state"] == "fine") != bool(check["remedy"]) for check in checks)
    assert ran.json["wrong"] == [check["state"] for check in checks].count("wrong")
    assert ran.code == (ran.json["wrong"] > 0)
    engine = next(check for check in checks if check["check"] == "engine")
    assert "It computes on: " in engine["found"], engine


def test_an_engine_of_another_installation_is_told(medseg, monkeypatch):
    assert medseg("doctor", "--only", "engine").code == 0
    monkeypatch.setattr(sys, "executable", "/elsewhere/bin/python")
    ran = run("--only", "engine")
    assert ran.exit_code == 0
    assert "another installation" in " ".join(ran.output.split())


def test_an_engine_that_cannot_be_had_is_wrong_and_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_RUNTIME", str(tmp_path / "runtime"))
    (tmp_path / "runtime").mkdir(mode=0o700)
    with FileLock(tmp_path / "runtime" / "engine.lock"):
        ran = run("--only", "engine", "--patience", 1)
    assert ran.exit_code == 1
    assert "another program has been starting it" in " ".join(ran.output.split())

    (tmp_path / "link").symlink_to(tmp_path / "runtime")
    monkeypatch.setenv("MEDSEG_RUNTIME", str(tmp_path / "link"))
    ran = run("--only", "engine", "--json")
    assert ran.exit_code == 1
    assert str(tmp_path) not in ran.stdout  # it may be public


def test_words_fit_a_terminal_of_80_columns_and_end_with_how_much_is_wrong(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    ran = run("--only", "packages", "--only", "weights")
    assert ran.exit_code == 0, ran.output
    assert max(map(len, ran.output.splitlines())) <= 80
    assert ran.output.splitlines()[-1].startswith("Nothing is wrong")


def test_wrong_use_ends_with_2(tmp_path):
    for arguments in (
        ["--only", "nonsense"],
        ["--patience", "0"],
        ["sqlite:///x.sqlite"],
        ["nonsense://x y", "--pixels"],
        [str(tmp_path), "--pixels", str(tmp_path)],
        ["--pixels", str(tmp_path)],
    ):
        assert run(*arguments).exit_code == 2, arguments


def test_a_check_that_fails_or_hangs_says_so(monkeypatch):
    def failing():
        yield fine("one thing is fine")
        raise ZeroDivisionError("secret")

    found = list(findings_of("The weather", failing, 5))
    assert [finding.state for finding in found] == ["fine", "wrong"]
    assert "The weather" in found[1].found
    assert "secret" not in found[1].found

    end = threading.Event()

    def hanging():
        yield fine("one thing is fine")
        end.wait()

    class ThatWaitsForTheFirst(queue.SimpleQueue):
        def get(self, timeout):
            return super().get(timeout=timeout if found else None)

    found = []
    monkeypatch.setattr(checking.queue, "SimpleQueue", ThatWaitsForTheFirst)
    for finding in findings_of("The weather", hanging, 0.05):
        found.append(finding)
    end.set()
    assert [finding.state for finding in found] == ["fine", "wrong"]
    assert "did not end" in found[1].found


def test_what_is_not_fine_has_a_remedy():
    with pytest.raises(ValueError, match="remedy"):
        Finding(state="wrong", found="It is broken.")
    with pytest.raises(ValueError, match="remedy"):
        note("It is fine.", "")


def test_packages_that_are_missing_or_do_not_fit_are_wrong():
    (found,) = packages.packages(["numpy>=99", "no-such-package-here", "rich", "pytest; extra == 'test'"], {})
    assert found.state == "wrong"
    assert 'pip install "numpy>=99" "no-such-package-here"' in found.remedy
    assert "2 of the 3" in found.found


def test_a_package_of_another_generation_is_worth_knowing():
    here = distribution("rich").version
    (found,) = packages.packages(["rich"], {"rich": "1.2.3"})
    assert found.state == "note"
    assert found.details["rich"] == f"{here} (tested: 1.2.3)"
    (found,) = packages.packages(["rich"], {"rich": f"{here.partition('.')[0]}.99.0"})
    assert found.state == "fine"


def test_the_tested_versions_come_along():
    tested = packages.tested_versions()
    assert {"torch", "napari", "scikit-image"} <= tested.keys()


def test_a_second_installation_of_the_plugin_is_wrong(tmp_path):
    (found,) = plugin.plugin()
    assert found.state == "fine"
    own = distribution("napari-medseg")
    old = tmp_path / "napari_medseg_old-0.0.1.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: napari-medseg-old\nVersion: 0.0.1\n")
    (old / "entry_points.txt").write_text("[napari.plugin]\nnapari-medseg = napari_medseg\n")
    (found,) = plugin.plugin([own, type(own).at(old)])
    assert found.state == "wrong"
    assert found.details["registered by"] == [f"napari-medseg {own.version}", "napari-medseg-old 0.0.1"]
    (found,) = plugin.plugin([])
    assert found.state == "wrong"


@pytest.fixture
def shipped(tmp_path):
    shutil.copytree(SHIPPED, tmp_path / "weights")
    return tmp_path / "weights"


def test_weights_that_were_truncated_or_are_missing_are_wrong(shipped):
    (found,) = weights.weights(shipped)
    assert found.state == "fine"
    content = (shipped / "nuclei.safetensors").read_bytes()
    (shipped / "nuclei.safetensors").write_bytes(content[:-1000])
    (shipped / "fetal-head.safetensors").unlink()
    (found,) = weights.weights(shipped)
    assert found.state == "wrong"
    assert "nuclei: the weights were truncated or changed" in found.found
    assert "fetal-head: the weights are missing" in found.found
    (shipped / "nuclei.json").write_text("{")
    (found,) = weights.weights(shipped, shipped)
    assert "nuclei: the card cannot be read" in found.found
    assert "prompts: the card cannot be read" in found.found


def test_a_platform_plugin_that_is_not_there_is_wrong_and_the_variable_is_named(monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "no-such-plugin")
    (found,) = screen.screen(present=False, seconds=60)
    assert found.state == "wrong"
    assert "QT_QPA_PLATFORM" in found.remedy
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    (found,) = screen.screen(present=False, seconds=60)
    assert found.state == "fine"
    (found,) = screen.judged(Answer({"binding": BINDING, "qt": {"platform": "offscreen", "screens": []}}, "", 0), True)
    assert found.state == "wrong"


BINDING = {"name": "PyQt5", "version": "5.15.11", "qt": "5.15.14"}
QT = {"platform": "xcb", "screens": ["1600 x 1100"]}
GL = {"version": "4.6 NVIDIA", "renderer": "A card", "vendor": "N", "largest": 32768, "largest_3d": 16384}


@pytest.mark.parametrize(
    ("opengl", "code", "state", "words"),
    [
        (GL, 0, "fine", "OpenGL works"),
        (GL | {"renderer": "llvmpipe (LLVM 15)"}, 0, "note", "by the processor"),
        (GL | {"version": "1.4 Mesa"}, 0, "wrong", "OpenGL is 1.4"),
        (None, -11, "wrong", "crashes"),
        (None, 1, "wrong", "does not start"),
    ],
)
def test_what_draws_the_canvas_is_told(opengl, code, state, words):
    said = {"binding": BINDING, "qt": QT} | ({"opengl": opengl} if opengl else {})
    qt, canvas = screen.judged(Answer(said, "Segmentation fault", code), present=True)
    assert qt.state == "fine"
    assert (canvas.state, words in canvas.found) == (state, True), canvas


def test_a_system_library_that_qt_lacks_is_named_with_its_package():
    errors = "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"
    (found,) = screen.judged(Answer({}, errors, 1), present=True)
    assert (found.state, "libGL.so.1" in found.found, "apt-get install libgl1." in found.remedy) == (
        "wrong",
        True,
        True,
    )
    errors = "qt.qpa.plugin: From 6.5.0, xcb-cursor0 or libxcb-cursor0 is needed to load the Qt xcb platform plugin."
    (found,) = screen.judged(Answer({"binding": BINDING}, errors, -6), present=True)
    assert (found.state, "apt-get install libxcb-cursor0" in found.remedy) == ("wrong", True), found
    (found,) = screen.judged(Answer({"binding": BINDING}, "qt.qpa.xcb: could not connect to display :0", -6), True)
    assert "refuses" in found.found


def test_no_display_is_worth_knowing(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    assert [finding.state for finding in screen.display(False)] == ["note"]
    monkeypatch.setenv("DISPLAY", ":4711")
    (found,) = screen.display(False)
    assert "nothing answers" in found.found


SURVEY = {
    "torch": "2.15.0", "cuda": "13.2", "hip": None, "device": "cpu", "precision": "float32", "fastest": "float32",
    "cores": 4, "cards": [], "failure": "", "said": [],
}  # fmt: skip
CARD = {"name": "Tesla T9", "capability": "9.0", "free": 10**10, "memory": 2 * 10**10}
ON_CARD = {"device": "cuda", "precision": "bfloat16", "cards": [CARD]}
OLD = "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)."


@pytest.mark.parametrize(
    ("survey", "has_card", "state", "words", "remedy"),
    [
        ({}, False, "fine", "on the processor (4 cores)", ""),
        (ON_CARD, True, "fine", "on Tesla T9, in half precision", ""),
        (ON_CARD | {"precision": "float32"}, True, "fine", "single precision", ""),
        (ON_CARD | {"cards": [CARD | {"free": 10**9}]}, True, "note", "only 1.0 GB", "Close other programs"),
        ({"said": [OLD]}, True, "wrong", "driver is too old for this PyTorch (CUDA 13.2)", "nvidia.com/drivers"),
        ({"cuda": None}, True, "wrong", "made for computers without one", "pytorch.org"),
        ({}, True, "wrong", "finds no driver", "nvidia-smi"),
        (ON_CARD | {"failure": "no kernel image is available"}, True, "wrong", "too old or too new", "pytorch.org"),
        (ON_CARD | {"failure": "CUDA out of memory."}, True, "wrong", "memory of the graphics card is full", "Close"),
        (ON_CARD | {"failure": "unspecified launch failure"}, True, "wrong", "does not compute", "Update the driver"),
    ],
)
def test_what_computes_is_told_with_the_usual_remedy(survey, has_card, state, words, remedy):
    found = devices.judged(Answer({"devices": SURVEY | survey}, "", 0), has_card=has_card)
    assert (found.state, words in found.found, remedy in found.remedy) == (state, True, True), found


def test_a_torch_that_does_not_load_is_wrong():
    late = devices.judged(Answer({}, "", None), has_card=False)
    broken = devices.judged(Answer({}, "ImportError: libtorch.so: no such file", 1), has_card=False)
    assert (late.state, broken.state) == ("wrong", "wrong")
    assert "pip install --force-reinstall torch" in broken.remedy


def test_folders_that_are_full_or_cannot_be_made_are_told_and_none_is_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    (found,) = room.folders({"the default project": tmp_path / "file" / "project"})
    assert (found.state, "MEDSEG_PROJECT" in found.remedy) == ("wrong", True)
    (found,) = room.folders({"the logs": tmp_path / "logs" / "new"})
    assert found.state == "fine"
    assert not (tmp_path / "logs").exists()
    monkeypatch.setattr(room, "NO_DISK", 1e15)
    (found,) = room.folders({"the logs": tmp_path})
    assert (found.state, "is full" in found.found) == ("wrong", True)
