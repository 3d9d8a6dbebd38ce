"""The answer is adapted to this image's clicks where it contradicts them.

After f-BRS (Sofiiuk et al., "f-BRS: Rethinking backpropagating refinement for interactive segmentation", CVPR 2020):
a scale and a shift for each channel before the head are found, by L-BFGS, with which the clicks come out right, and
as near to doing nothing as possible.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from torch import Tensor, nn

EVALUATIONS = 12
"""Times that the head is run forth and back, at most."""

HOLD = 0.1
"""Weight of the pull towards what the network said of all other cells."""

STILL = 0.01
"""Weight of the pull towards doing nothing."""


def refined(head: nn.Module, last: Tensor, logits: Tensor, wanted: Tensor) -> Tensor:
    """Logits that agree with the clicks, or come nearer to it.

    Args:
        head: from features to logits.
        last: (1, C, H / 2, W / 2), what it saw.
        logits: (1, 1, H, W), what it said.
        wanted: (1, 1, H, W), 1 where the object was clicked, -1 where it was clicked not to be, 0 elsewhere.

    Returns:
        (1, 1, H, W).
    """
    clicked = wanted != 0
    if bool((logits[clicked] * wanted[clicked] > 0).all()):
        return logits
    with torch.inference_mode(mode=False), torch.enable_grad():
        last, wanted, clicked, before = (given.clone() for given in (last, wanted, clicked, logits.sigmoid()))
        width = last.shape[1]

        def adapted(change: Tensor) -> Tensor:
            scale, shift = change.view(2, 1, width, 1, 1)
            return head(last * (1 + scale) + shift)

        def cost(numbers: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            change = torch.from_numpy(numbers).to(last).requires_grad_()
            answer = adapted(change)
            wrong = F.softplus(1 - (answer * wanted)[clicked]).mean()
            held = (answer.sigmoid() - before).square()[~clicked].mean()
            total = wrong + HOLD * held + STILL * change.square().sum()
            (slope,) = torch.autograd.grad(total, change)
            return float(total.detach()), slope.double().cpu().numpy()

        found = minimize(cost, np.zeros(2 * width), jac=True, method="L-BFGS-B", options={"maxfun": EVALUATIONS})
        with torch.no_grad():
            return adapted(torch.from_numpy(found.x).to(last))
