"""Images out of files and folders of every format that clinics and microscopes write.

One module a format; `opening` chooses between them by what a file is, not by what it is called.
"""

from .opened import OpenedImage, Part
from .opening import open_image, parts

__all__ = ["OpenedImage", "Part", "open_image", "parts"]
