"""MSA2Net: a MaxViT encoder, gated skips, and a decoder of dual-attention and large-kernel blocks.

Source: Kolahi, Chaharsooghi, Khatibi, Bozorgpour, Azad, Heidari, Hacihaliloglu, Merhof, "MSA²Net: Multi-scale
Adaptive Attention-guided Network for Medical Image Segmentation", https://github.com/xmindflow/MSA-2Net.

From the inside out: `masag` (the gate of each skip), `dae_former` and `lka` (the decoder's deep and shallow blocks),
`patch_expanding` (from one stride to the next), `network` (all of it).
"""

from .network import MSA2Net

__all__ = ["MSA2Net"]
