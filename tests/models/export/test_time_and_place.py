"""Masks lie where their image lies and last as long, in every format that can say so, also for other programs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medseg.models.errors import ImageError
from napari_medseg.models.export import EXPORTS, export_mask
from napari_medseg.models.formats import OpenedImage, open_image
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.reading import mask_on, read_placed_mask

VOLUMES = ("nifti", "nrrd", "metaimage", "ome-tiff", "tiff", "ome-zarr")

in_files = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
places = st.floats(-1000, 1000).map(lambda at: round(at, 3))
steps = st.floats(0.01, 100).map(lambda step: round(step, 3))


def exported(folder: Path, key: str, image: MedicalImage) -> Path:
    """A mask with a number of its own in each pixel."""
    path = folder / f"mask{EXPORTS[key].ending}"
    export_mask(path, numbered(image), image, key=key)
    return path


def numbered(image: MedicalImage) -> np.ndarray:
    return np.arange(np.prod(image.mask_shape), dtype=np.uint16).reshape(image.mask_shape)


def ome_transforms(path: Path) -> dict[str, list[float]]:
    """Scale and translation of the full size, and the units of the axes."""
    multiscale: Any = zarr.open_group(path, mode="r").attrs["ome"]["multiscales"][0]  # type: ignore[index]
    transforms = multiscale["datasets"][0]["coordinateTransformations"]
    said = {transform["type"]: transform[transform["type"]] for transform in transforms}
    return said | {"units": [axis.get("unit", "") for axis in multiscale["axes"]]}


def ome_pixels(path: Path) -> dict[str, Any]:
    with tifffile.TiffFile(path) as tif:
        return dict(tifffile.xml2dict(tif.ome_metadata or "")["OME"]["Image"]["Pixels"])


# time


def nifti_series(path: Path, step: float, unit: str) -> Path:
    file = nibabel.Nifti1Image(np.zeros((6, 5, 3, 4), np.int16), np.diag([-2, -2, 3, 1]))
    file.header.set_xyzt_units("mm", unit)
    file.header["pixdim"][4] = step
    nibabel.save(file, path)
    return path


@pytest.mark.parametrize(
    ("step", "unit", "read"),
    [
        (2, "sec", (2, "s")),
        (720, "msec", (0.72, "s")),
        (5e5, "usec", (0.5, "s")),
        (2, "unknown", (2, "frame")),
        (64, "hz", (64, "frame")),
        (0, "sec", (1, "frame")),
    ],
)
def test_the_step_from_frame_to_frame_of_a_nifti_is_read_with_its_unit(
    tmp_path: Path, step: float, unit: str, read: tuple[float, str]
) -> None:
    image = open_image(nifti_series(tmp_path / "a.nii", step, unit)).image
    assert (image.time_step, image.time_unit) == (pytest.approx(read[0]), read[1])
    assert image.frame_seconds == (pytest.approx(read[0]) if read[1] == "s" else None)


def test_a_unit_of_time_that_is_none_does_not_spoil_that_of_space(tmp_path: Path) -> None:
    file = nibabel.load(nifti_series(tmp_path / "a.nii", 2, "sec"))
    file.header["xyzt_units"] = 3 + 56  # micron, and a code that nobody has given out
    nibabel.Nifti1Image(np.zeros((6, 5, 3, 4), np.int16), np.diag([-2, -2, 3, 1]), file.header).to_filename(
        tmp_path / "b.nii"
    )
    image = open_image(tmp_path / "b.nii").image
    assert (image.spacing, image.time_unit) == (pytest.approx((0.003, 0.002, 0.002)), "frame")


@pytest.mark.parametrize("key", VOLUMES)
@pytest.mark.parametrize(("step", "unit"), [(2.0, "sec"), (720, "msec"), (3.0, "unknown")])
def test_the_mask_of_a_series_has_its_step_in_every_format(tmp_path: Path, key: str, step: float, unit: str) -> None:
    image = open_image(nifti_series(tmp_path / "a.nii", step, unit)).image
    path, expected = exported(tmp_path, key, image), 0.72 if unit == "msec" else step
    known = unit != "unknown"
    if key == "nifti":
        header = nibabel.load(path).header
        assert header.get_zooms()[3] == pytest.approx(step)
        assert header.get_xyzt_units() == ("mm", unit)  # as the image's file says it
    elif key in ("nrrd", "metaimage"):
        assert sitk.ReadImage(str(path)).GetSpacing()[3] == pytest.approx(expected)
    elif key == "ome-tiff":
        pixels = ome_pixels(path)
        assert pixels.get("TimeIncrement") == (pytest.approx(expected) if known else None)
        assert pixels.get("TimeIncrementUnit") == ("s" if known else None)
    elif key == "ome-zarr":
        said = ome_transforms(path)
        assert said["scale"][0] == pytest.approx(expected)
        assert said["units"][0] == ("second" if known else "")
    back = read_placed_mask(path)
    np.testing.assert_array_equal(back.data, numbered(image))
    if known or key != "ome-tiff":  # whose times have a unit
        assert back.time_step == pytest.approx(expected)
    if key != "metaimage":  # which has no word for it
        assert back.time_unit == ("s" if known else "frame")


@in_files
@given(
    step=steps,
    key=st.sampled_from(VOLUMES),
    axes=st.sampled_from(["TYX", "TZYX"]),
    unit=st.sampled_from(["s", "frame"]),
)
def test_any_step_of_time_reads_back(tmp_path: Path, step: float, key: str, axes: str, unit: str) -> None:
    spacing = (3, 0.5, 0.25)[-len(axes) + 1 :]
    image = MedicalImage(np.zeros((2, 3, 4, 5)[-len(axes) :]), axes, spacing, "mm", time_step=step, time_unit=unit)
    back = read_placed_mask(exported(tmp_path, key, image))
    assert (back.axes, back.spacing) == (axes, pytest.approx(spacing))
    assert back.time_step == pytest.approx(1 if (key, unit) == ("ome-tiff", "frame") else step, rel=1e-6)


def test_the_times_of_itk_files_are_kept(tmp_path: Path) -> None:
    file = sitk.GetImageFromArray(np.zeros((4, 3, 5, 6), np.int16), isVector=False)
    file.SetSpacing([0.5, 0.7, 3.0, 0.04])
    for ending, key in ((".nrrd", "nrrd"), (".mha", "metaimage")):
        sitk.WriteImage(file, str(tmp_path / f"a{ending}"))
        image = open_image(tmp_path / f"a{ending}").image
        assert (image.time_step, image.time_unit) == (0.04, "frame")
        back = sitk.ReadImage(str(exported(tmp_path, key, image)))
        assert back.GetSpacing() == file.GetSpacing()


def tiff(path: Path, **metadata: Any) -> MedicalImage:
    data = np.zeros((3, 6, 5), np.uint16)
    tifffile.imwrite(
        path, data, imagej=path.name.startswith("imagej"), photometric="minisblack", metadata={"axes": "TYX"} | metadata
    )
    return open_image(path).image


@pytest.mark.parametrize(
    ("name", "metadata", "read"),
    [
        ("imagej.tif", {"finterval": 2.5}, (2.5, "s")),
        ("imagej.tif", {"finterval": 2.5, "tunit": "min"}, (150, "s")),
        ("imagej.tif", {"fps": 7.0}, (1, "frame")),  # of its player
        ("a.ome.tif", {"TimeIncrement": 40, "TimeIncrementUnit": "ms"}, (0.04, "s")),
        ("a.ome.tif", {"TimeIncrement": 2}, (2, "s")),
        ("a.ome.tif", {"TimeIncrement": 1, "TimeIncrementUnit": "h"}, (3600, "s")),
        ("a.ome.tif", {"Plane": {"DeltaT": [0.5, 2.5, 4.5]}}, (2, "s")),
        ("a.ome.tif", {"Plane": {"DeltaT": [0.5, 2.5, 2.5]}}, (1, "frame")),  # two at one time
        ("a.ome.tif", {}, (1, "frame")),
        ("plain.tif", {}, (1, "frame")),
    ],
)
def test_the_times_of_tiffs_are_read_as_they_are_said(
    tmp_path: Path, name: str, metadata: dict[str, Any], read: tuple[float, str]
) -> None:
    image = tiff(tmp_path / name, **metadata)
    assert (image.time_step, image.time_unit) == (pytest.approx(read[0]), read[1])


def test_planes_at_uneven_times_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tiff(path, Plane={"DeltaT": [0, 1000, 4000], "DeltaTUnit": ["ms"] * 3})
    opened = open_image(path)
    assert opened.image.frame_seconds == 2
    assert "varies" in opened.notices[0]


# place


def begins_at(image: MedicalImage, key: str, path: Path) -> tuple[float, ...]:
    """Where another program sees the middle of the first voxel along z, y, x, in mm."""
    if key == "nifti":
        right, anterior, superior = nibabel.load(path).affine[:3, 3]
        return superior, -anterior, -right
    if key in ("nrrd", "metaimage"):
        return (0.0, 0.0, *sitk.ReadImage(str(path)).GetOrigin()[::-1])[-3:]
    if key == "ome-zarr":
        said = ome_transforms(path)["translation"]
    elif key == "ome-tiff":
        planes = ome_pixels(path)["Plane"]
        first = planes[0] if isinstance(planes, list) else planes
        said = [first[f"Position{axis}"] for axis in "ZYX" if f"Position{axis}" in first]
        assert first["PositionXUnit"] == "µm"
    else:
        said = list(read_placed_mask(path).origin)
    return tuple(at * 1e-3 for at in (0.0, *said)[-3:])


@in_files
@given(
    origin=st.tuples(places, places, places).filter(lambda origin: any(origin[1:])),
    spacing=st.tuples(steps, steps, steps),
    key=st.sampled_from(VOLUMES),
    axes=st.sampled_from(["ZYX", "YX"]),
)
def test_the_mask_of_an_image_that_does_not_begin_at_0_lies_on_it_for_every_program(
    tmp_path: Path, origin: tuple[float, ...], spacing: tuple[float, ...], key: str, axes: str
) -> None:
    count = len(axes)
    image = MedicalImage(np.zeros((3, 4, 5)[-count:]), axes, spacing[-count:], "um", origin=origin[-count:])
    path = exported(tmp_path, key, image)
    expected = [at * 1e-3 for at in (0.0, *image.origin)[-3:]]
    np.testing.assert_allclose(begins_at(image, key, path), expected, atol=1e-6, rtol=1e-6)
    np.testing.assert_array_equal(mask_on(path, OpenedImage(image, "")), numbered(image))
    elsewhere = replace(
        image, origin=tuple(at + 3 * step for at, step in zip(image.origin, image.spacing, strict=True))
    )
    if all(elsewhere.origin[-2:]):
        with pytest.raises(ImageError, match="another piece"):
            mask_on(path, OpenedImage(elsewhere, ""))


@pytest.mark.parametrize(
    ("name", "metadata", "origin"),
    [
        ("a.ome.tif", {"Plane": {"PositionX": 1.5, "PositionY": -2, "PositionZ": 0.25}}, ()),  # in nobody's unit
        ("a.ome.tif", {"unit": "µm", "Plane": {"PositionX": 1500, "PositionY": -2, "PositionZ": 7}}, (7, -2, 1500)),
        ("a.ome.tif", {"unit": "mm", "Plane": {"PositionX": 1.5, "PositionY": -2}}, (0, -2000, 1500)),
        ("imagej.tif", {"xorigin": 10.0, "yorigin": -4.0}, (0, 2, -2.5)),
        ("a.ome.tif", {}, ()),
        ("imagej.tif", {}, ()),
    ],
)
def test_tiffs_begin_where_they_say(
    tmp_path: Path, name: str, metadata: dict[str, Any], origin: tuple[float, ...]
) -> None:
    unit = metadata.pop("unit", None)
    planes = {key: [value] * 3 for key, value in metadata.pop("Plane", {}).items()}
    planes |= {f"{key}Unit": [unit] * 3 for key in planes if unit}
    lengths: dict[str, Any] = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2}
    how: dict[str, Any] = {"metadata": {"axes": "ZYX"} | lengths | ({"Plane": planes} if planes else {})}
    if name.startswith("imagej"):
        metadata = {"axes": "ZYX", "unit": "um", "spacing": 2.0} | metadata
        how = {"imagej": True, "resolution": (4, 2), "metadata": metadata}
    tifffile.imwrite(tmp_path / name, np.zeros((3, 6, 5), np.uint16), photometric="minisblack", **how)
    image = open_image(tmp_path / name).image
    assert (image.origin, image.unit) == (pytest.approx(origin), "um")


def test_the_place_that_the_tags_of_a_tiff_have_is_taken(tmp_path: Path) -> None:
    place = [(286, 5, 1, (3, 2), True), (287, 5, 1, (1, 4), True)]  # centimetres, as the resolution
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((6, 5), np.uint8),
        resolution=(2e4, 2e4),
        resolutionunit="CENTIMETER",
        extratags=place,
        metadata=None,
    )
    image = open_image(tmp_path / "a.tif").image
    assert (image.origin, image.unit) == (pytest.approx((2.5, 15)), "mm")


@pytest.mark.parametrize("ending", [".nrrd", ".nhdr"])
def test_an_nrrd_without_a_patient_begins_where_its_axes_do(tmp_path: Path, ending: str) -> None:
    lines = ["NRRD0004", "type: uchar", "dimension: 2", "sizes: 5 4", "encoding: raw", "spacings: 0.5 0.25"]
    lines += ["axis mins: 7 9", 'units: "um" "um"', 'centers: "node" "node"'.replace('"', "")]
    data = "data file: a.raw\n" if ending == ".nhdr" else ""
    (tmp_path / "a.raw").write_bytes(bytes(20))
    (tmp_path / f"a{ending}").write_bytes("\n".join(lines).encode() + f"\n{data}\n".encode() + bytes(20))
    image = open_image(tmp_path / f"a{ending}").image
    assert (image.origin, image.spacing, image.unit) == ((9, 7), (0.25, 0.5), "um")
    mask = exported(tmp_path, "nrrd", image)
    assert sitk.ReadImage(str(mask)).GetOrigin() == pytest.approx((7, 9))  # the numbers of the image, in its unit
    geometry = read_placed_mask(mask).geometry
    assert geometry is not None
    assert geometry.origin == pytest.approx((0.007, 0.009, 0))


@pytest.mark.parametrize("key", ["nifti", "nrrd", "metaimage", "tiff", "ome-tiff"])
def test_what_says_no_place_gets_none(tmp_path: Path, key: str) -> None:
    image = MedicalImage(np.zeros((3, 4, 5)), "ZYX", (3, 2, 1), "um")
    path = exported(tmp_path, key, image)
    if key == "nifti":
        header = nibabel.load(path).header
        assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)
    elif key == "ome-tiff":
        assert "Plane" not in ome_pixels(path)
    else:
        assert not read_placed_mask(path).origin


@settings(in_files, max_examples=10)
@given(
    origin=st.tuples(places, places, places),
    spacing=st.tuples(steps, steps, steps),
    turned=st.permutations(range(3)),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
)
def test_masks_of_a_placed_volume_lie_on_it_in_every_format_that_knows_the_patient(
    tmp_path: Path, origin: tuple[float, ...], spacing: tuple[float, ...], turned: list[int], signs: tuple[int, ...]
) -> None:
    source = sitk.GetImageFromArray(np.zeros((3, 4, 5), np.int16))
    source.SetOrigin(origin)
    source.SetSpacing(spacing)
    source.SetDirection((np.eye(3)[:, turned] * signs).flatten().tolist())
    sitk.WriteImage(source, str(tmp_path / "a.nrrd"))
    opened = open_image(tmp_path / "a.nrrd")
    for key in ("nifti", "nrrd", "metaimage"):
        mask = sitk.ReadImage(str(exported(tmp_path, key, opened.image)))
        for corner in ((0, 0, 0), (4, 3, 2)):
            theirs, ours = (file.TransformIndexToPhysicalPoint(corner) for file in (source, mask))
            np.testing.assert_allclose(ours, theirs, atol=2e-3)
    translation = ome_transforms(exported(tmp_path, "ome-zarr", opened.image))["translation"]
    assert opened.image.geometry is not None
    np.testing.assert_allclose(translation, opened.image.geometry.translate, atol=1e-9)
