import time


def test_an_engine_that_nobody_needs_ends_by_itself(medseg, nuclei, tmp_path, monkeypatch, engine_processes):
    runtime = tmp_path / "runtime"
    monkeypatch.setenv("MEDSEG_RUNTIME", str(runtime))
    monkeypatch.setenv("MEDSEG_IDLE", "5")
    image, _ = nuclei(1)
    ran = medseg("segment", image, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert (runtime / "engine.json").exists()

    deadline = time.monotonic() + 60
    while engine_processes(runtime):
        assert time.monotonic() < deadline, engine_processes(runtime)
        time.sleep(0.2)
    assert not (runtime / "engine.json").exists()
