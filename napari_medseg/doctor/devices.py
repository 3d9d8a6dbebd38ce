"""What the networks compute on: a graphics card that torch can use, in half precision, or the processor."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..sizes import in_bytes
from .child import Answer, ask
from .finding import Finding, fine, note, wrong

_DRIVERS = "https://www.nvidia.com/drivers"
_TORCH = "https://pytorch.org/get-started"
_SMALL = 4e9
"""Bytes of a card below which the large networks do not fit."""


def devices(seconds: float) -> Iterator[Finding]:
    """Whether torch loads, and what it computes on."""
    yield judged(ask("napari_medseg.models.device_survey", seconds), has_card=nvidia_card())


def judged(answer: Answer, *, has_card: bool) -> Finding:
    """What the answer of `device_survey` means.

    Args:
        answer: of the survey.
        has_card: whether there is a graphics card of NVIDIA's in the computer.
    """
    survey = answer.said.get("devices")
    if survey is None:
        return _no_torch(answer)
    details = {
        "torch": survey["torch"],
        "built for": f"CUDA {survey['cuda']}" if survey["cuda"] else "ROCm" if survey["hip"] else "the processor",
        "precision": survey["precision"],
        "cores": survey["cores"],
    }
    if survey["failure"]:
        return _does_not_compute(survey, details)
    if survey["device"] == "cpu":
        return _unused(survey, details) if has_card else _processor(survey, details)
    half = survey["precision"] in ("bfloat16", "float16")
    precision = "in half precision" if half else "in single precision, as it has no bfloat16"
    cards = survey["cards"]
    called = cards[0]["name"] if cards else survey["device"]
    for number, card in enumerate(cards):
        memory = f"{in_bytes(card['free'])} of {in_bytes(card['memory'])} free"
        details[f"card {number}"] = f"{card['name']}, {memory}, capability {card['capability']}"
    if cards and cards[0]["free"] < _SMALL:
        return note(
            f"The networks compute on {called}, {precision}; only {in_bytes(cards[0]['free'])} of its memory are free.",
            "Close other programs that use the card. If it has no more, use the smaller networks (U-Net, nuclei).",
            details=details,
        )
    return fine(f"The networks compute on {called}, {precision}.", details=details)


def nvidia_card() -> bool:
    """Whether there is a graphics card of NVIDIA's, with a driver or without."""
    for device in Path("/sys/bus/pci/devices").glob("*"):
        try:
            maker, kind = ((device / name).read_text("ascii").strip() for name in ("vendor", "class"))
        except OSError:
            continue
        if maker == "0x10de" and kind.startswith("0x03"):
            return True
    return shutil.which("nvidia-smi") is not None


def _no_torch(answer: Answer) -> Finding:
    last = (answer.errors.strip().splitlines() or [""])[-1]
    if answer.code is None:
        return wrong(
            "The networks' library, PyTorch, does not load in time.",
            "Try again when the computer has less to do, or with --patience 300. If it stays so, update the driver of "
            "the graphics card.",
        )
    remedy = f"Install it anew: python -m pip install --force-reinstall torch torchvision. Which fits here: {_TORCH}"
    if "DLL" in last:
        remedy = (
            "Install the Visual C++ Redistributable (https://aka.ms/vs/17/release/vc_redist.x64.exe) and try again."
        )
    how = "crashes" if answer.code < 0 else "cannot be loaded"
    return wrong(f"The networks' library, PyTorch, {how}, so nothing can be segmented.", remedy, names={"error": last})


def _does_not_compute(survey: Mapping[str, Any], details: dict[str, Any]) -> Finding:
    failure = survey["failure"]
    details = details | {"torch said": failure}
    if "no kernel image" in failure or "not compatible" in failure:
        return wrong(
            "The graphics card is too old or too new for this PyTorch, so nothing can be segmented on it.",
            f"Install a PyTorch that was made for this card: {_TORCH}",
            details=details,
        )
    if "out of memory" in failure.lower():
        return wrong(
            "The memory of the graphics card is full.", "Close other programs that use the card.", details=details
        )
    return wrong(
        f"PyTorch finds a device ({survey['device']}), but does not compute on it.",
        f"Update the driver of the graphics card ({_DRIVERS}) and restart the computer.",
        details=details,
    )


def _unused(survey: Mapping[str, Any], details: dict[str, Any]) -> Finding:
    """There is a card, and the processor computes."""
    said = " ".join(survey["said"])
    details = details | ({"torch said": said} if said else {})
    begin = (
        "There is an NVIDIA graphics card, but the networks compute on the processor, which takes many times as long"
    )
    if survey["cuda"] is None:
        return wrong(
            f"{begin}: this PyTorch was made for computers without one.",
            f"Install PyTorch for CUDA: choose your system at {_TORCH}",
            details=details,
        )
    if "too old" in said:
        return wrong(
            f"{begin}: the card's driver is too old for this PyTorch (CUDA {survey['cuda']}).",
            f"Update the driver ({_DRIVERS}) and restart the computer; or install PyTorch for an older CUDA: {_TORCH}",
            details=details,
        )
    return wrong(
        f"{begin}: PyTorch finds no driver that works.",
        f"Install the card's driver ({_DRIVERS}) and restart the computer. If it is there, see whether `nvidia-smi` in "
        "a terminal shows the card. In a container, give it the card (--gpus all).",
        details=details,
    )


def _processor(survey: Mapping[str, Any], details: dict[str, Any]) -> Finding:
    details = details | ({"torch said": " ".join(survey["said"])} if survey["said"] else {})
    half = ", prompts in half precision" if survey["fastest"] != "float32" else ""
    return fine(
        f"The networks compute on the processor ({survey['cores']} cores{half}); no NVIDIA graphics card was found.",
        details=details,
    )
