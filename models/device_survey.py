"""What torch finds to compute on, as one line of JSON. A program: run it in a process of its own.

A broken driver may crash or hang who asks, and a window must not import torch.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any


def survey() -> dict[str, Any]:
    """Devices, in which precision they compute, and what torch said when it looked for them."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        import torch

        from .devices import choose_device, choose_precision, cores, fastest_precision

        device = choose_device()
        facts: dict[str, Any] = {
            "torch": str(torch.__version__),
            "cuda": torch.version.cuda,
            "hip": getattr(torch.version, "hip", None),
            "device": device.type,
            "precision": _name(choose_precision("auto", device)),
            "fastest": _name(fastest_precision(device)),
            "cores": cores(),
            "cards": [_card(number) for number in range(torch.cuda.device_count())] if device.type == "cuda" else [],
            "failure": _failure(device),
        }
    warned = (" ".join(str(one.message).split()) for one in said if "cuda" in str(one.message).lower())
    return facts | {"said": list(dict.fromkeys(warned))}


def _card(number: int) -> dict[str, Any]:
    import torch

    about = torch.cuda.get_device_properties(number)
    free, total = torch.cuda.mem_get_info(number)
    return {"name": about.name, "capability": f"{about.major}.{about.minor}", "free": free, "memory": total}


def _failure(device: Any) -> str:
    """What happens if a small network runs there in its usual precision; nothing if it does run."""
    import torch

    from .devices import choose_precision

    try:
        image = torch.ones(1, 1, 8, 8, device=device, dtype=choose_precision("auto", device))
        total = float(torch.nn.functional.conv2d(image, torch.ones_like(image[..., :3, :3])).sum())
        return "" if total == 9 * 36 else f"a convolution gave {total} instead of {9 * 36}"
    except Exception as error:  # of the driver, of a library, for want of memory
        return f"{type(error).__name__}: {error}".splitlines()[0]


def _name(precision: Any) -> str:
    return str(precision).removeprefix("torch.")


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"about": "devices"} | survey()) + "\n")
