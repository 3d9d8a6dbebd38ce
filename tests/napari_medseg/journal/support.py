"""The image of the journal's tests."""

import numpy as np

IMAGE = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)
EMPTY = np.zeros((40, 50), np.uint8)
