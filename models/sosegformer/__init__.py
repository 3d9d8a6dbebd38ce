"""SoSegFormer: small objects, found on fine maps and told to the coarse ones.

`network` assembles it: a timm encoder, then `head`, which is made of `bottleneck` and `stageformer` (the neck),
`instruction` (fine maps instruct coarse ones), `link_decoder` (the way back up) and `aspp` (the context).
"""

from .network import SoSegFormer

__all__ = ["SoSegFormer"]
