"""How far apart the pixels of a DICOM image are, and what that is worth.

Sources: DICOM PS3.3 10.7.1.1 to 10.7.1.3 (pixel spacing and its calibration), C.8.5.5 (ultrasound regions).
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from .dicom_tags import items, number, numbers, positive, word

_PROJECTING = ("CR", "DX", "MG", "IO", "PX", "XA", "RF", "RG", "RTIMAGE")
_CENTIMETRES = 3
_PLANE, _TISSUE = 1, 1


@dataclass(frozen=True)
class PixelDistance:
    """Distance between rows and between columns.

    Attributes:
        yx: along Y and X.
        unit: "mm", or "pixel" where the file does not say.
        notice: what the user has to know of it; "" if nothing.
    """

    yx: tuple[float, float]
    unit: str
    notice: str = ""


def pixel_distance(dataset: Dataset, measures: Dataset, modality: str) -> PixelDistance:
    """Distance of the pixels of a frame.

    Args:
        dataset: the file's elements.
        measures: where the pixel spacing stands: the file, or a functional group of the frame.
        modality: "CT", ...
    """
    if (region := _ultrasound(dataset)) is not None:
        return region
    spacing = positive(measures, "PixelSpacing", 2)
    detector = positive(dataset, "ImagerPixelSpacing", 2)
    if spacing:
        calibrated = word(dataset, "PixelSpacingCalibrationType") or (detector and spacing != detector)
        at_detector = modality in _PROJECTING and not calibrated
        return PixelDistance((spacing[0], spacing[1]), "mm", _AT_DETECTOR if at_detector else "")
    if detector:
        magnified = number(dataset, "EstimatedRadiographicMagnificationFactor") or 0.0
        if magnified > 0:
            return PixelDistance((detector[0] / magnified, detector[1] / magnified), "mm", _ESTIMATED)
        return PixelDistance((detector[0], detector[1]), "mm", _AT_DETECTOR)
    if scanned := positive(dataset, "NominalScannedPixelSpacing", 2):
        return PixelDistance((scanned[0], scanned[1]), "mm", _SCANNED)
    notice = _BROKEN if "PixelSpacing" in measures else ""
    if aspect := positive(dataset, "PixelAspectRatio", 2):
        return PixelDistance((aspect[0] / aspect[1], 1.0), "pixel", notice)
    return PixelDistance((1.0, 1.0), "pixel", notice)


def frame_seconds(dataset: Dataset) -> float | None:
    """Time from one frame of a film to the next, in s; that in the middle where it varies. None if it is not said."""
    if (milliseconds := number(dataset, "FrameTime")) and milliseconds > 0:
        return milliseconds / 1000
    if steps := numbers(dataset, "FrameTimeVector"):
        moving = sorted(step for step in steps if step > 0)  # the first is 0
        return moving[len(moving) // 2] / 1000 if moving else None
    rate = number(dataset, "CineRate") or number(dataset, "RecommendedDisplayFrameRate") or 0.0
    return 1 / rate if rate > 0 else None


def _ultrasound(dataset: Dataset) -> PixelDistance | None:
    """Of the largest region that shows tissue in a plane; None if there is none in cm."""
    regions = []
    for region in items(dataset, "SequenceOfUltrasoundRegions"):
        units = {number(region, "PhysicalUnitsXDirection"), number(region, "PhysicalUnitsYDirection")}
        per_pixel = numbers(region, "PhysicalDeltaX", 1), numbers(region, "PhysicalDeltaY", 1)
        plane = number(region, "RegionSpatialFormat") in (None, _PLANE)
        if units != {_CENTIMETRES} or not plane or per_pixel[0] is None or per_pixel[1] is None:
            continue
        x, y = abs(per_pixel[0][0]) * 10, abs(per_pixel[1][0]) * 10
        if x > 0 and y > 0:
            tissue = number(region, "RegionDataType") in (None, _TISSUE)
            regions.append((tissue, _area(region), (y, x)))
    if not regions:
        return None
    best = max(regions)[2]
    others = any(abs(y / best[0] - 1) + abs(x / best[1] - 1) > 0.01 for _, _, (y, x) in regions)
    return PixelDistance(best, "mm", _REGIONS if others else "")


def _area(region: Dataset) -> float:
    corners = [number(region, f"RegionLocation{name}") or 0.0 for name in ("MinX0", "MaxX1", "MinY0", "MaxY1")]
    return (corners[1] - corners[0]) * (corners[3] - corners[2])


_AT_DETECTOR = (
    "The spacing is that at the detector: what lies nearer to the X-ray tube is smaller than it measures here."
)
_ESTIMATED = "The spacing was taken from that at the detector and an estimated magnification; lengths are estimates."
_SCANNED = "The spacing is that of the scanned film, not of the patient."
_REGIONS = (
    "The ultrasound picture has regions of several scales; the spacing is that of the largest that shows tissue. Do "
    "not measure in the others."
)
_BROKEN = "The file's pixel spacing is missing or no positive number, so lengths are counted in pixels."
