import json
import signal
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_medseg.models.reading import read_mask


def test_writes_a_mask_for_each_image_of_files_and_folders(medseg, nuclei, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    first, _ = nuclei(1)
    second, _ = nuclei(2)
    second.rename(folder / "second.png")
    tifffile.imwrite(folder / "third.ome.tif", iio.imread(first))
    (folder / "notes.txt").write_text("not an image")

    ran = medseg("segment", first, folder, folder / "second.png", "-o", tmp_path / "out", "--json")

    assert ran.code == 0, ran.err
    assert ran.json["model"] == "nuclei"
    assert ran.json["failed"] == []
    assert [entry["mask"] for entry in ran.json["written"]] == [
        str(tmp_path / "out" / name) for name in (f"{first.stem}.png", "second.png", "third.tif")
    ]
    for entry in ran.json["written"]:
        mask = read_mask(entry["mask"])
        assert mask.shape == iio.imread(first).shape
        assert entry["labels"] == len(np.unique(mask)) - 1 >= 2


def test_the_answer_is_instances_or_one_mask(medseg, nuclei, tmp_path):
    image, _ = nuclei(1)
    ran = medseg("segment", image, "-o", tmp_path / "out", "--answer", "mask", "--json")
    assert ran.json["written"][0]["labels"] == 1


def test_a_bad_file_does_not_stop_the_others(medseg, nuclei, tmp_path):
    image, _ = nuclei(1)
    whole = image.read_bytes()
    bad = {"missing.png": None, "empty.png": b"", "truncated.png": whole[:200], "text.png": b"hello, world"}
    for name, content in bad.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    (tmp_path / "word.docx").write_bytes(b"PK\x03\x04")

    paths = [*(tmp_path / name for name in bad), tmp_path / "word.docx"]
    ran = medseg("segment", *paths, image, "-o", tmp_path / "out", "--json")

    assert ran.code == 1
    assert [entry["image"] for entry in ran.json["failed"]] == [str(path) for path in paths]
    assert len(ran.json["written"]) == 1
    reasons = {path.name: entry["reason"] for path, entry in zip(paths, ran.json["failed"], strict=True)}
    assert "no file" in reasons["missing.png"]
    assert "empty" in reasons["empty.png"]
    assert "damaged or incomplete" in reasons["truncated.png"]
    assert "not an image" in reasons["text.png"]
    assert "'.docx'" in reasons["word.docx"]
    assert "5 of 6 failed" in ran.sentence


def test_an_image_without_pixels_fails_with_a_sentence(medseg, tmp_path):
    ihdr = b"IHDR" + (0).to_bytes(4, "big") + (8).to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    import zlib

    chunk = len(ihdr[4:]).to_bytes(4, "big") + ihdr + zlib.crc32(ihdr).to_bytes(4, "big")
    (tmp_path / "flat.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    with pytest.warns(UserWarning, match="zero-size"):
        tifffile.imwrite(tmp_path / "flat.tif", np.zeros((0, 5), np.uint8))
    ran = medseg("segment", tmp_path / "flat.png", "-o", tmp_path / "out")
    assert ran.code == 1
    assert "no pixels" in ran.sentence
    ran = medseg("segment", tmp_path / "flat.tif", "-o", tmp_path / "out")
    assert ran.code == 1
    assert "flat.tif" in ran.sentence


def test_nan_and_infinity_count_as_dark_but_not_alone(medseg, nuclei, tmp_path):
    image, _ = nuclei(1)
    pixels = iio.imread(image).astype(np.float32)
    pixels[:3, :5], pixels[4, 4] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "some.tif", pixels)
    tifffile.imwrite(tmp_path / "all.tif", np.full((64, 64), np.nan, np.float32))

    ran = medseg("segment", tmp_path / "some.tif", tmp_path / "all.tif", "-o", tmp_path / "out", "--json")

    assert ran.code == 1
    assert "16 of its" in ran.sentence
    assert ran.json["written"][0]["labels"] >= 2
    assert "NaN" in ran.json["failed"][0]["reason"]


def test_images_whose_masks_would_be_one_file_are_named_and_do_not_stop_the_others(medseg, nuclei, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    pixels = iio.imread(nuclei(1)[0])
    for name in ("a.png", "a.jpg", "b.png"):
        iio.imwrite(folder / name, pixels)
    ran = medseg("segment", folder, "-o", tmp_path / "out", "--json")
    assert ran.code == 1
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["b.png"]
    failed = {Path(entry["image"]).name: entry["reason"] for entry in ran.json["failed"]}
    assert failed.keys() == {"a.png", "a.jpg"}
    assert "'a.png', and so would that of" in failed["a.jpg"]
    assert "a.jpg'. Give one of them another name" in failed["a.png"]


def test_an_image_is_never_replaced_by_its_mask(medseg, nuclei):
    image, _ = nuclei(1)
    before = image.read_bytes()
    ran = medseg("segment", image, "-o", image.parent)
    assert ran.code == 2
    assert "would replace the image" in " ".join(ran.sentence.replace("│", " ").split())
    assert image.read_bytes() == before


def test_a_folder_where_one_may_not_write_is_refused_at_once(medseg, nuclei, tmp_path, without_privileges):
    image, _ = nuclei(1)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    ran = medseg("segment", image, "-o", locked / "deeper", **without_privileges)
    assert ran.code == 1
    assert "may not write" in ran.sentence
    ran = medseg("segment", image, "-o", locked, **without_privileges)
    assert ran.code == 1
    assert "may not write" in ran.sentence


def test_an_unknown_model_names_the_one_that_may_be_meant(medseg, nuclei, tmp_path):
    image, _ = nuclei(1)
    ran = medseg("segment", image, "-o", tmp_path / "out", "--model", "nucle", "--json")
    assert ran.code == 1
    assert "Did you mean 'nuclei'?" in ran.sentence
    assert ran.json == {"error": ran.sentence}


def test_an_untrained_network_does_not_segment(medseg, nuclei, tmp_path):
    image, _ = nuclei(1)
    ran = medseg("segment", image, "-o", tmp_path / "out", "--model", "unet")
    assert ran.code == 1
    assert "not learned anything" in ran.sentence


def test_weights_of_an_encoder_alone_are_refused_before_anything_is_segmented(medseg, nuclei, tmp_path):
    from napari_medseg.models.cards import SHIPPED

    image, _ = nuclei(1)
    card = json.loads((SHIPPED / "nuclei.json").read_text()) | {"name": "half", "encoder_only": True}
    (tmp_path / "half.json").write_text(json.dumps(card))
    (tmp_path / "half.safetensors").write_bytes((SHIPPED / "nuclei.safetensors").read_bytes())
    ran = medseg("segment", image, "-o", tmp_path / "out", "--model", tmp_path / "half.safetensors")
    assert ran.code == 1
    assert "Of 'half' only the encoder has learned to see" in ran.sentence
    assert not (tmp_path / "out").exists()


def test_checkpoints_that_cannot_be_used_say_why(medseg, nuclei, tmp_path):
    from safetensors.numpy import save_file

    image, _ = nuclei(1)
    (tmp_path / "text.safetensors").write_text("not weights at all")
    (tmp_path / "pickle.pt").write_bytes(b"PK\x03\x04 and more")
    some = {"weight": np.zeros(3, np.float32)}
    save_file(some, tmp_path / "anonymous.safetensors")
    described = '{"network": "unet", "in_channels": 3, "classes": 1, "config": {}, "scale": 1.0}'
    save_file(some, tmp_path / "other.safetensors", {"medseg": described})
    for name, reason in {
        "text.safetensors": "not a weights file",
        "pickle.pt": "pickled checkpoint",
        "anonymous.safetensors": "does not say which network",
        "other.safetensors": "another network",
        "missing.safetensors": "no weights file",
    }.items():
        ran = medseg("segment", image, "-o", tmp_path / "out", "--model", tmp_path / name)
        assert ran.code == 1, name
        assert reason in ran.sentence, name
    assert not list((tmp_path / "out").glob("*"))


def test_a_weights_file_is_found_from_the_folder_of_the_command(medseg, nuclei, tmp_path):
    from napari_medseg.models.cards import SHIPPED

    image, _ = nuclei(1)
    (tmp_path / "cwd").mkdir()
    for ending in ("safetensors", "json"):
        (tmp_path / "cwd" / f"mine.{ending}").write_bytes((SHIPPED / f"nuclei.{ending}").read_bytes())
    ran = medseg("segment", image, "-o", "masks", "--model", "mine.safetensors", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["model"] == "mine.safetensors"
    assert (tmp_path / "cwd" / "masks" / image.name).is_file()


def test_ctrl_c_stops_it_and_says_what_is_kept(medseg, tmp_path, start_medseg):
    large = np.random.default_rng(0).integers(0, 255, (6000, 6000), np.uint8)
    tifffile.imwrite(tmp_path / "large.tif", large)
    running = start_medseg("segment", tmp_path / "large.tif", "-o", tmp_path / "out", "--json")
    running.wait_for_job("segment")
    ran = running.interrupt(signal.SIGINT)
    assert ran.code == 1
    assert "0 masks were written" in ran.sentence
    assert "0 masks" in ran.json["error"]
    assert not list((tmp_path / "out").glob("*"))


def test_ctrl_c_at_any_other_moment_says_so_too(nuclei, tmp_path, start_medseg):
    images = [nuclei(number)[0] for number in (1, 2)]
    running = start_medseg("segment", *images, "-o", tmp_path / "out", "--json", held=(".png", 2))
    running.wait_until_held()
    ran = running.interrupt(signal.SIGINT)
    assert ran.code == 1
    assert "1 mask was written" in ran.sentence
    assert "goes on from there" in ran.json["error"]
    assert [path.name for path in (tmp_path / "out").glob("*.png*")] == [images[0].name]
