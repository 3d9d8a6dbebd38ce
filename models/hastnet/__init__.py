"""HASTNet, a hierarchical adaptive spatial transformer network for many modalities.

One mechanism a file, in the order of the paper's figure: `encoder` (SAM 2's trunk with adapters), `maam` (what is
taken from a skip) with the sparse attention `csafm` in it, `hrfa` (receptive fields of several sizes, made of the
`conv_att` blocks), `stfcm` (correction against a shifted copy), `decoder`, `network`.
"""

from .network import HASTNet

__all__ = ["HASTNet"]
