from napari_medseg.doctor import screen


def test_the_real_screen_is_looked_at_in_a_process_of_its_own():
    qt, canvas = screen.screen(present=True, seconds=60)
    assert qt.state == "fine"
    assert canvas.details["largest texture"]
