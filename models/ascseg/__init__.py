"""ASC-Seg: adaptive structure alignment in the encoder, cross-scale decoding, 0.22 M parameters.

Read `network.py` first; each of its parts has a file of its own:
`ase.py` (encoder stage) = `pmb.py` (shared Mamba: `mamba.py`, `selective_scan.py`) + `dcb.py` (deformable convolution),
`cnsd.py` (decoder level) = `msfa.py` (eight scales) + `sfm.py` (detail, place, channel), `fac.py` (skips).
"""

from __future__ import annotations

from .network import ASCSeg

__all__ = ["ASCSeg"]
