"""Outlines as GeoJSON (RFC 7946) that QuPath opens as annotations: pixels instead of degrees, y running down."""

from __future__ import annotations

import colorsys
import json
from collections.abc import Mapping
from typing import Any

from ..cancelling import Cancel, each_unless
from ..image import Array, MedicalImage, as_mask
from .objects import PlaneObject, plane_objects
from .outlines import Polygon, Ring, polygons


def geojson(
    mask: Array,
    image: MedicalImage,
    *,
    names: Mapping[int, str] | None = None,
    instances: bool = True,
    cancel: Cancel | None = None,
) -> bytes:
    """A feature collection with one feature for each object in each plane.

    Args:
        mask: labels of the image's `mask_shape`; 0 is background.
        image: whose axes tell frames from planes.
        names: of labels.
        instances: whether each label is one object; else each connected piece of it in a plane is one.
        cancel: asked whether to stop.

    Returns:
        JSON in UTF-8. A feature has a Polygon, or a MultiPolygon if it is in several pieces, with holes, along the
        edges of its pixels: 0 is the outer edge of the first one. Its properties are what QuPath reads: "objectType",
        "name", and "classification" with the label's name and a colour; and "label", its number. Planes of volumes
        and series are in the geometry's "plane", as QuPath writes them.

    Raises:
        ImageError: not a mask of this image.
        CancelledError: asked to stop.
    """
    mask = as_mask(mask, image)
    leading = image.axes.replace("C", "")[:-2]
    objects = each_unless(cancel, plane_objects(mask, instances=instances))
    features = [_feature(found, leading, names or {}, instances) for found in objects]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False).encode()


def _feature(found: PlaneObject, leading: str, names: Mapping[int, str], instances: bool) -> dict[str, Any]:
    pieces = [_rings(piece, found) for piece in polygons(found.inside)]
    single = len(pieces) == 1
    geometry: dict[str, Any] = {
        "type": "Polygon" if single else "MultiPolygon",
        "coordinates": pieces[0] if single else pieces,
    }
    if leading:
        at = dict(zip(leading, found.index, strict=True))
        geometry["plane"] = {"c": -1, "z": at.get("Z", 0), "t": at.get("T", 0)}
    name = names.get(found.label, "")
    kind = name or ("object" if instances else f"label {found.label}")
    return {
        "type": "Feature",
        "geometry": geometry,
        "properties": {
            "objectType": "annotation",
            "name": name or f"{'object' if instances else 'label'} {found.label}",
            "classification": {"name": kind, "color": _colour(1 if instances and not name else found.label)},
            "label": found.label,
        },
    }


def _rings(piece: Polygon, found: PlaneObject) -> list[list[list[int]]]:
    """The outline, then the holes; each ends where it begins."""
    return [_ring(ring, found) for ring in (piece.outer, *piece.holes)]


def _ring(ring: Ring, found: PlaneObject) -> list[list[int]]:
    corners: list[list[int]] = (ring + found.corner).tolist()
    return [*corners, corners[0]]


def _colour(label: int) -> list[int]:
    """Red, green and blue, 0 to 255; labels that follow each other are told apart by the golden angle."""
    return [round(255 * part) for part in colorsys.hsv_to_rgb(label * 0.618034 % 1, 0.75, 0.95)]
