"""What happens to a crop at random before a network learns from it."""

from __future__ import annotations

import math

from monai.transforms import (
    Compose,
    RandAdjustContrastd,
    RandAffined,
    RandAxisFlipd,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandRotate90d,
    RandScaleIntensityd,
    RandShiftIntensityd,
)


def augmentation_of(name: str, crop: int) -> Compose:
    """Transforms of a dictionary of "image" (C, crop, crop) and "target" (1, crop, crop), alike for both.

    Args:
        name: one of `config.CHOICES["augmentation"]`. "none" leaves a crop as it is; "flips" mirrors; "right_angles"
            turns by right angles, too; "turns" by any angle; "full" also shears and scales, and changes brightness,
            contrast, focus and noise, as cameras and stains differ.
        crop: side of a crop in pixels.
    """
    both = ["image", "target"]
    mirrored = [RandAxisFlipd(both, prob=0.5)]
    turned = [RandRotate90d(both, prob=0.75), *mirrored]
    warp = {"mode": ("bilinear", "nearest"), "padding_mode": "reflection", "spatial_size": (crop, crop)}
    steps = {
        "none": [],
        "flips": [RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in (0, 1)],
        "right_angles": turned,
        "turns": [*mirrored, RandAffined(both, prob=0.5, rotate_range=math.pi, **warp)],
        "full": [
            *turned,
            RandAffined(both, prob=0.5, rotate_range=0.3, shear_range=0.1, scale_range=0.25, **warp),
            RandScaleIntensityd("image", factors=0.25, prob=0.5),
            RandShiftIntensityd("image", offsets=0.1, prob=0.5),
            RandAdjustContrastd("image", gamma=(0.7, 1.5), prob=0.3),
            RandGaussianSmoothd("image", (0.3, 1.0), (0.3, 1.0), prob=0.2),
            RandGaussianNoised("image", std=0.05, prob=0.3),
        ],
    }
    return Compose(steps[name])
