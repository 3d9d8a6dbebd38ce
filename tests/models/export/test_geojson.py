import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.draw import polygon2mask

from napari_medseg.models.export.geojson import geojson
from napari_medseg.models.image import MedicalImage

label_masks = arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 3))


def features(mask: np.ndarray, **options) -> list[dict]:
    image = MedicalImage(np.zeros(mask.shape), "TZYX"[-mask.ndim :])
    collection = json.loads(geojson(mask, image, **options))
    assert collection["type"] == "FeatureCollection"
    return collection["features"]


def rasterised(geometry: dict, shape: tuple[int, int]) -> np.ndarray:
    pieces = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    inside = np.zeros(shape, bool)
    for outer, *holes in pieces:
        piece = polygon2mask(shape, np.array(outer, float)[:, ::-1] - 0.5)
        for hole in holes:
            piece &= ~polygon2mask(shape, np.array(hole, float)[:, ::-1] - 0.5)
        assert not (inside & piece).any()
        inside |= piece
    return inside


@settings(max_examples=50, deadline=None)
@given(mask=label_masks, instances=st.booleans())
def test_the_features_rasterise_back_to_the_mask(mask: np.ndarray, instances: bool) -> None:
    again = np.zeros_like(mask)
    for feature in features(mask, instances=instances):
        again[rasterised(feature["geometry"], mask.shape)] = feature["properties"]["label"]
    np.testing.assert_array_equal(again, mask)


def test_a_feature_is_what_qupath_reads() -> None:
    mask = np.zeros((6, 8), np.uint8)
    mask[1:4, 2:5] = 2
    (feature,) = features(mask, names={2: "tumour"}, instances=False)
    assert feature["type"] == "Feature"
    assert feature["geometry"] == {"type": "Polygon", "coordinates": [[[2, 1], [5, 1], [5, 4], [2, 4], [2, 1]]]}
    properties = feature["properties"]
    assert (properties["objectType"], properties["name"]) == ("annotation", "tumour")
    assert properties["classification"]["name"] == "tumour"
    assert all(0 <= part <= 255 for part in properties["classification"]["color"])


def test_objects_of_one_label_are_features_of_their_own_or_one_of_several_pieces() -> None:
    mask = np.zeros((6, 12), np.uint8)
    mask[1:4, 2:5] = mask[1:4, 7:9] = 1
    assert [one["geometry"]["type"] for one in features(mask)] == ["MultiPolygon"]
    assert [one["geometry"]["type"] for one in features(mask, instances=False)] == ["Polygon", "Polygon"]


def test_outlines_run_as_the_standard_says() -> None:
    mask = np.zeros((7, 7), np.uint8)
    mask[1:6, 1:6] = 1
    mask[3, 3] = 0
    (feature,) = features(mask)
    outer, hole = (np.array(ring) for ring in feature["geometry"]["coordinates"])
    for ring, sign in ((outer, 1), (hole, -1)):
        assert (ring[0] == ring[-1]).all()
        x, y = ring[:-1].T
        assert sign * (x @ np.roll(y, -1) - y @ np.roll(x, -1)) > 0


def test_planes_and_frames_are_told() -> None:
    mask = np.zeros((2, 3, 6, 6), np.uint8)
    mask[1, 2, 1:3, 1:3] = 1
    (feature,) = features(mask)
    assert feature["geometry"]["plane"] == {"c": -1, "z": 2, "t": 1}
