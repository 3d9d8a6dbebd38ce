"""What a mask tool refuses."""

from __future__ import annotations

from ..errors import MedSegError


class MaskToolError(MedSegError, ValueError):
    """A tool cannot do what was asked with this mask; says what it can do. The mask is as it was."""
