import psutil

from napari_medseg.models.engine.client import Engine

from ..held_processes import WAIT


def test_an_engine_that_nobody_needs_ends_by_itself(medseg, nuclei, tmp_path, monkeypatch, engine_processes):
    runtime = tmp_path / "runtime"
    monkeypatch.setenv("MEDSEG_RUNTIME", str(runtime))
    monkeypatch.setenv("MEDSEG_IDLE", "1")
    window = Engine.connect()
    image, _ = nuclei(1)
    ran = medseg("segment", image, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    processes = engine_processes(runtime)
    assert (runtime / "engine.json").exists()

    window.close()
    assert psutil.wait_procs(processes, WAIT)[1] == []
    assert not (runtime / "engine.json").exists()
