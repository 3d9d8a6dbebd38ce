"""Where a mask is most likely wrong: the doubt of whoever made it over the image, and a way from place to place."""

from .doubts import Doubts
from .looking import Looking

__all__ = ["Doubts", "Looking"]
