"""What a DICOM file says of itself, read up to its pixels and no further."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_file_meta_info, read_partial
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from ..errors import ImageError
from .dicom_inflating import opened
from .dicom_pixels import PIXEL_ELEMENTS, StoredPixels, pixels_of
from .dicom_tags import word
from .dicom_tolerance import as_it_is

_log = logging.getLogger(__name__)

# No element here names a patient, a physician or an institution; the UIDs are hashed at once.
_READ = (
    *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"),
    *("Modality", "SeriesDescription", "SeriesNumber", "InstanceNumber", "AcquisitionNumber", "ImageType"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "ExtendedOffsetTable"),
    *("ExtendedOffsetTableLengths", "PixelPaddingValue", "PixelAspectRatio"),
    *("ImagePositionPatient", "ImageOrientationPatient", "SliceThickness", "SpacingBetweenSlices"),
    *("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelSpacingCalibrationType"),
    *("EstimatedRadiographicMagnificationFactor", "SequenceOfUltrasoundRegions", "GridFrameOffsetVector"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence", "DoseGridScaling", "Units"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "PresentationLUTShape"),
    *("RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData"),
    *("GreenPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableData"),
    *("BluePaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableData"),
    *("SegmentedRedPaletteColorLookupTableData", "SegmentedGreenPaletteColorLookupTableData"),
    "SegmentedBluePaletteColorLookupTableData",
    "DetectorInformationSequence",
    *("FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate", "FrameIncrementPointer"),
    *("EchoTime", "EchoNumbers", "InversionTime", "DiffusionBValue", "TriggerTime", "FrameReferenceTime"),
    *("TemporalPositionIdentifier", "AcquisitionTime", "ComplexImageComponent"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DimensionOrganizationType"),
)
_TAGS = [int(Tag(keyword)) for keyword in _READ]
_UIDS = ("SOPInstanceUID", "SeriesInstanceUID")


class NoPixelsError(ImageError):
    """A DICOM file that holds something else than an image.

    Attributes:
        what: what it holds, as the standard calls it.
    """

    def __init__(self, message: str, what: str) -> None:
        super().__init__(message)
        self.what = what


@dataclass(frozen=True, eq=False)
class Header:
    """A DICOM image without its pixels.

    Attributes:
        path: the file.
        dataset: the elements that say how the image is to be read; none that says whose it is.
        pixels: where and how its pixels are stored.
        series: hash of the UID of its series; of its folder where an anonymiser has taken that away.
        instance: hash of its own UID; of its path likewise.
    """

    path: Path
    dataset: Dataset
    pixels: StoredPixels
    series: str
    instance: str

    @property
    def modality(self) -> str:
        """Such as "CT", "MR", "US"; "DICOM" where it does not say."""
        return word(self.dataset, "Modality") or "DICOM"

    @property
    def is_segmentation(self) -> bool:
        """Whether it is a DICOM SEG."""
        return self.modality == "SEG"


def read_header(path: Path) -> Header:
    """Read a file up to its pixels.

    Raises:
        NoPixelsError: it is a report, a plan, a directory, ...
        ImageError: it is damaged, incomplete, lies about its size, or is compressed in a way that is not read here.
    """
    try:
        return _read(path)
    except ImageError:
        raise
    except Exception as error:  # a damaged file fails a parser in any way
        _log.info("%s cannot be read (%s)", path.name, type(error).__name__)
        raise ImageError(
            f"'{path.name}' is damaged or incomplete: its header cannot be read. Export it again."
        ) from error


def _read(path: Path) -> Header:
    with as_it_is():
        dataset, offset, syntax = _up_to_pixels(path)
        kind = UID(str(dataset.get("SOPClassUID", "")))
        if offset is None:
            raise _no_pixels(path, dataset, kind)
        if word(dataset, "DimensionOrganizationType").startswith("TILED"):
            raise ImageError(
                f"'{path.name}' is a whole slide in tiles, as pathology stores it in DICOM; that is not read here. "
                "Export it as OME-TIFF or TIFF with a pyramid, or as OME-Zarr."
            )
        header = Header(
            path,
            dataset,
            pixels_of(path, dataset, offset, syntax),
            _hashed(dataset, "SeriesInstanceUID", str(path.parent)),
            _hashed(dataset, "SOPInstanceUID", str(path)),
        )
        for keyword in _UIDS:
            if keyword in dataset:
                del dataset[keyword]
        return header


def _up_to_pixels(path: Path) -> tuple[Dataset, int | None, UID]:
    """The elements, where the pixels' own element begins (None: nowhere), and the transfer syntax."""
    deflated = _is_deflated(path)
    with opened(path, deflated) as file:
        if deflated:
            meta = read_file_meta_info(path)
            dataset = read_dataset(file, False, True, stop_when=_at_pixels, specific_tags=_TAGS)
            dataset.set_original_encoding(False, True, None)
        else:
            dataset = read_partial(file, stop_when=_at_pixels, force=True, specific_tags=_TAGS)
            meta = dataset.file_meta
        at = file.tell()
        found = len(file.read(8)) == 8
    syntax = UID(str(meta.get("TransferSyntaxUID", "")))
    implicit, little = dataset.original_encoding
    if not syntax:  # what the first elements look like
        syntax = ImplicitVRLittleEndian if implicit else UID("1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2")
    if "SOPClassUID" not in dataset and "MediaStorageSOPClassUID" in meta:
        dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    return dataset, at if found else None, syntax


def _is_deflated(path: Path) -> bool:
    """Asked first, since pydicom inflates such a file whatever its size."""
    with path.open("rb") as file:
        start = file.read(132 + 1024)
    return start[128:132] == b"DICM" and DeflatedExplicitVRLittleEndian.encode() in start


def _at_pixels(tag: int, vr: str | None, length: int) -> bool:
    return tag in PIXEL_ELEMENTS


def _hashed(dataset: Dataset, keyword: str, otherwise: str) -> str:
    uid = str(dataset.get(keyword, "") or otherwise)
    return hashlib.sha256(uid.encode()).hexdigest()[:16] if uid else ""


def _no_pixels(path: Path, dataset: Dataset, kind: UID) -> ImageError:
    what = kind.name.removesuffix(" Storage") if kind.name != kind else ""
    if what == "Media Storage Directory":
        text = f"'{path.name}' is the list of contents of a DICOM medium, not an image. Open the folder that it is in."
        return NoPixelsError(text, what)
    if "Rows" in dataset or what.endswith("Image"):
        return ImageError(
            f"'{path.name}' is incomplete: it ends before its pixels. Copy or export it again from where it came from."
        )
    if not what and not len(dataset):
        return ImageError(
            f"'{path.name}' begins like a DICOM file, but nothing in it can be read. Copy or export it again."
        )
    text = (
        f"'{path.name}' holds no image: it is a DICOM {what or 'file without pixels'}. Open the images it belongs to."
    )
    return NoPixelsError(text, what or "DICOM without pixels")
