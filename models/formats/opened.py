"""What opening a file gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..image import Array, MedicalImage


@dataclass(frozen=True)
class Part:
    """One of the images in a file or a folder: a series, a scene.

    Attributes:
        key: what `open_image` takes; nothing that tells who the patient is. "" where a file is one image.
        title: for the person who chooses, e.g. "CT, 120 slices of 512 x 512, 0.7 x 0.7 x 2.5 mm".
    """

    key: str
    title: str


@dataclass(frozen=True, eq=False)
class OpenedImage:
    """An image as it came out of a file or a folder.

    Attributes:
        image: the pixels at full size; lazy where the format allows it.
        path: absolute path of the file or folder.
        part: key of the `Part` that it is; "" where there is but one.
        levels: smaller copies of the pixels, the largest first, with the axes of `image`; () without a pyramid.
        coloured: whether the channels are the red, green and blue of one picture; separate stains or probes else.
        planar: whether each channel stands in a plane of its own, as programs also write three or four planes.
        channel_names: of each channel, if the file names them; () else.
        window: the intensities to be shown as black and as white, if the file says so.
        patient: of DICOM, a hash that tells one patient's images from another's; "" where nothing tells. In memory
            only: short numbers can be guessed from their hashes, so whoever keeps it salts it first.
        notices: what the user has to know: what was resampled, left out, or missing. Sentences without names.
        found: likewise, what was found since while pixels were read, such as frames that are damaged; call it again
            when more has been read.
    """

    image: MedicalImage
    path: str
    part: str = ""
    levels: tuple[Array, ...] = ()
    coloured: bool = False
    planar: bool = False
    channel_names: tuple[str, ...] = ()
    window: tuple[float, float] | None = None
    patient: str = ""
    notices: tuple[str, ...] = ()
    found: Callable[[], tuple[str, ...]] = tuple

    def loaded(self) -> OpenedImage:
        """The same with all pixels in memory, and what was found while they were read among the notices.

        Raises:
            ImageError: they do not fit, or cannot be read.
        """
        image = self.image.loaded()
        return replace(self, image=image, notices=(*self.notices, *self.found()), found=tuple)
