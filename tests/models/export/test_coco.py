import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.draw import polygon2mask

from napari_medseg.models.errors import ImageError
from napari_medseg.models.export.coco import coco_json
from napari_medseg.models.image import MedicalImage

label_masks = arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 3))


def image_of(mask: np.ndarray) -> MedicalImage:
    return MedicalImage(np.zeros(mask.shape), "TZYX"[-mask.ndim :])


def exported(mask: np.ndarray, **options) -> dict:
    return json.loads(coco_json(mask, image_of(mask), file_name="a.png", **options))


def rasterised(segmentation: list | dict, shape: tuple[int, int]) -> np.ndarray:
    """As COCO's own tools do: polygons by the centres of pixels, run lengths column by column."""
    if isinstance(segmentation, dict):
        assert segmentation["size"] == list(shape)
        values = np.arange(len(segmentation["counts"])) % 2 == 1
        flat = np.repeat(values, segmentation["counts"])
        return np.pad(flat, (0, shape[0] * shape[1] - len(flat))).reshape(shape, order="F")
    inside = np.zeros(shape, bool)
    for ring in segmentation:
        corners = np.array(ring, float).reshape(-1, 2)[:, ::-1] - 0.5
        inside ^= polygon2mask(shape, corners)
    return inside


@settings(max_examples=50, deadline=None)
@given(mask=label_masks, instances=st.booleans())
def test_the_annotations_rasterise_back_to_the_mask(mask: np.ndarray, instances: bool) -> None:
    found = exported(mask, instances=instances)

    again = np.zeros_like(mask)
    for annotation in found["annotations"]:
        inside = rasterised(annotation["segmentation"], mask.shape)
        assert not again[inside].any()
        again[inside] = annotation["label"]
        assert annotation["area"] == inside.sum()
        left, top, width, height = annotation["bbox"]
        box = np.zeros_like(inside)
        box[top : top + height, left : left + width] = True
        rows, columns = np.nonzero(inside)
        assert (left, top) == (columns.min(), rows.min())
        assert (width, height) == (np.ptp(columns) + 1, np.ptp(rows) + 1)
    np.testing.assert_array_equal(again, mask)


def test_instances_are_objects_of_one_category() -> None:
    mask = np.zeros((20, 20), np.uint16)
    mask[2:5, 2:5], mask[2:5, 10:14], mask[9:12, 2:5] = 7, 700, 7
    found = exported(mask)
    assert found["categories"] == [{"id": 1, "name": "object"}]
    assert [(one["id"], one["label"], one["category_id"], one["area"]) for one in found["annotations"]] == [
        (1, 7, 1, 18),
        (2, 700, 1, 12),
    ]


def test_labels_with_names_are_categories_and_their_pieces_objects() -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[2:5, 2:5], mask[2:5, 10:14], mask[9:12, 2:5] = 1, 3, 1
    found = exported(mask, instances=False, names={1: "liver", 3: "Läsion"})
    assert found["categories"] == [{"id": 1, "name": "liver"}, {"id": 3, "name": "Läsion"}]
    assert [(one["id"], one["category_id"], one["area"]) for one in found["annotations"]] == [
        (1, 1, 9),
        (2, 1, 9),
        (3, 3, 12),
    ]


def test_an_object_with_a_hole_is_a_run_length_code_and_one_without_a_polygon() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[1:4, 1:4], mask[5:8, 5:8] = 1, 2
    mask[2, 2] = 0
    ring, square = exported(mask)["annotations"]
    assert isinstance(ring["segmentation"], dict)
    assert ring["area"] == 8
    assert square["segmentation"] == [[5, 5, 8, 5, 8, 8, 5, 8]]


def test_each_plane_of_a_volume_is_an_image() -> None:
    mask = np.zeros((3, 6, 5), np.uint8)
    mask[1:, 2:4, 1:4] = 1
    found = exported(mask)
    assert [(one["id"], one["slice"], one["height"], one["width"]) for one in found["images"]] == [
        (1, 0, 6, 5),
        (2, 1, 6, 5),
        (3, 2, 6, 5),
    ]
    assert [one["image_id"] for one in found["annotations"]] == [2, 3]


def test_an_empty_mask_has_an_image_and_no_annotation() -> None:
    found = exported(np.zeros((4, 5), np.uint8))
    assert found["annotations"] == []
    assert found["images"] == [{"id": 1, "file_name": "a.png", "height": 4, "width": 5}]


def test_a_mask_of_another_image_is_refused() -> None:
    with pytest.raises(ImageError, match="shape"):
        coco_json(np.zeros((4, 5), int), image_of(np.zeros((5, 4))), file_name="a.png")
