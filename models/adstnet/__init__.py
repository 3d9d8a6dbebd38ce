"""AdSTNet: a head that a network wears while it trains, and the targets that the head learns.

"Adaptive Scale Thresholding Made Efficient: AdSTNet for Blurred Lesion Image Segmentation",
https://github.com/chenq4/AdSTNet. From the network's logits the head makes a core map, an edge map and a map that
fuses both; learning them sharpens the logits. In prediction the head is gone and costs nothing.

Read `wrapper` first, then `head`, then its three parts `saca`, `laplace` and `convglu`; `targets` is what is learned.
"""
