"""Length of the outline of each label in a plane, or area of its surface in a volume.

By Crofton's formula: how often lines in 4 directions (13 in a volume) cross the border, weighted by the spacing
(Lehmann and Legland, Insight Journal 2012), as ITK has it. On discs and balls of five pixels and more it is right to
1 % (3 % where planes are half a radius apart, 7 % where they are a whole one), where a mesh through the pixels' borders
is 5 to 20 % too long. Straight edges along rows and columns come out short: a rectangle by 6 %, a box by 10 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def surfaces(mask: npt.NDArray[np.unsignedinteger], spacing: Sequence[float]) -> dict[int, float]:
    """Outline or surface of each label.

    Args:
        mask: labels, (Y, X) or (Z, Y, X); 0 is background. Beyond its border there is background, too.
        spacing: along each axis.

    Returns:
        Length, or area, in the unit of `spacing` (squared) by label.
    """
    import SimpleITK as sitk  # noqa: N813

    picture = sitk.GetImageFromArray(mask)
    picture.SetSpacing([float(step) for step in reversed(spacing)])
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.ComputeFeretDiameterOff()
    shapes.Execute(picture)
    return {label: shapes.GetPerimeter(label) for label in shapes.GetLabels()}
