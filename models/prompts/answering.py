"""One step of a correction: the mask so far and all prompts to the next mask."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch

from . import candidates, pieces
from .channels import MASK, MASKED, Channels, draw, wanted_signs
from .mistaking import mistaken
from .network import PROMPT_CHANNELS, Answer, PromptNetwork
from .plane import Plane
from .prompts import Box, Extent, Lasso, Point, Prompt, Prompts
from .proposal import Piece, Proposal
from .rastering import changed_near, deepest, obeyed, raised, sampled
from .reach import reaching
from .refinement import refined
from .sight import Sight
from .tries import Try, hopes, possible
from .window import SIDE, Window

FEW = 4
"""So many clicks may still change their mind about how large the object is."""

TIGHT = 0.35
"""An object smaller than this share of the window is looked at again, closer."""

GLANCE = SIDE // 2
"""Cells along a side with which many windows are looked at first, at a quarter of the cost."""

CLEAR = 0.5
"""Logit of what the network expects of the first over the second, from which the first alone is looked at."""

PLAIN = 0.65
"""Intersection over union that the network has to expect of a piece apart from the others."""

FIRM = 1.0
"""Logit of a pixel that was clicked, at least."""


class Answering:
    """The network and what it remembers of an image.

    Args:
        network: in evaluation mode, on the device.
        device: where it runs.
        precision: that it computes in.
        threads: that look through windows on a processor; as many as there are cores by default.
    """

    def __init__(
        self,
        network: PromptNetwork,
        device: torch.device,
        precision: torch.dtype = torch.float32,
        threads: int | None = None,
    ) -> None:
        self._device = device
        self._head = deepcopy(network.head).float()  # for gradients, which need all digits
        self._sight = Sight(network, device, precision, threads)

    def forget(self) -> None:
        """Another image."""
        self._sight.forget()

    @torch.inference_mode()
    def answer(self, plane: Plane, prompts: Prompts, before: Proposal) -> Proposal:
        """The object after the newest prompt.

        Args:
            plane: of the image.
            prompts: on that plane, at least one.
            before: the object until then; nothing if there was none.
        """
        newest = prompts.items[-1]
        known, at = pieces.meant(before, prompts)
        about, until = known[at].prompts.add(newest), known[at].proposal
        found, _ = self._whole(plane, about, until)
        if pieces.lies_apart(found, until, newest) and (alone := self._alone(plane, newest, found, known)):
            known.append(Piece(Prompts((newest,)), alone))
        else:
            if isinstance(newest, Point) and (wider := reaching(found, until, newest, plane.shape)) is not found:
                found = obeyed(wider, about, plane.shape)
            known[at] = Piece(about, found)
        if len(known) == 1:
            return found
        return replace(obeyed(pieces.joined(known), prompts, plane.shape), pieces=tuple(known))

    def _alone(self, plane: Plane, newest: Prompt, found: Proposal, known: list[Piece]) -> Proposal | None:
        """A piece that only the newest prompt is about; None if there is none that lies apart from the others."""
        seen, expected = self._whole(plane, Prompts((newest,)), Proposal.nothing(newest.plane))
        alone = pieces.under(seen, newest)
        if expected < PLAIN or pieces.touching(alone, [piece.proposal for piece in known]):
            return None
        return alone if pieces.larger(alone, pieces.under(found, newest)) else None

    def _whole(self, plane: Plane, prompts: Prompts, before: Proposal) -> tuple[Proposal, float]:
        """An object in one piece after the newest prompt, see `answer`, and the IoU that the network expects of it."""
        fixed = before.corrects or any(isinstance(prompt, Box | Lasso) for prompt in prompts)
        positive = Prompts(tuple(prompt for prompt in prompts if prompt.positive))
        extent = candidates.united(before.extent, candidates.extent_of(positive or prompts))
        assert extent is not None
        if fixed or (len(prompts) > FEW and not mistaken(before, prompts.items[-1])):
            view = self._look(plane, candidates.around(extent), before, prompts)
        else:
            view = self._best(plane, prompts, before, extent)
        wanted = torch.from_numpy(wanted_signs(prompts, view.window))[None, None].to(self._device)
        logits = refined(self._head, view.answer.last.float(), view.answer.logits.float(), wanted)
        logits = torch.where(wanted * logits < FIRM, torch.where(wanted == 0, logits, FIRM * wanted), logits)
        found = raised(logits[0, 0].cpu().numpy(), view.window, plane.shape, prompts.plane)
        if before.corrects:
            found = changed_near(found, before, prompts.items[-1])
        return obeyed(found, prompts, plane.shape), float(view.answer.quality.float().sigmoid())

    @torch.inference_mode()
    def follow(self, plane: Plane, before: Proposal, at: tuple[int, ...]) -> tuple[Proposal, float]:
        """The object on the next plane, given that on this one; and the IoU that the network expects of its answer.

        Args:
            plane: the next one.
            before: the object on this one; not empty.
            at: index of the next one.
        """
        if len(parts := pieces.to_follow(before)) == 1:
            return self._follow_whole(plane, before, at)
        followed = [self._follow_whole(plane, part, at) for part in parts]
        sizes = [int(part.mask.sum()) for part in parts]
        expected = sum(size * sure for size, (_, sure) in zip(sizes, followed, strict=True)) / sum(sizes)
        found = [Piece(Prompts(), one) for one, _ in followed if one.extent]
        return (pieces.joined(found) if found else Proposal.nothing(at)), expected

    def _follow_whole(self, plane: Plane, before: Proposal, at: tuple[int, ...]) -> tuple[Proposal, float]:
        """An object in one piece on the next plane; see `follow`."""
        assert before.extent is not None
        prompts = Prompts().click(deepest(before), plane=at)
        view = self._look(plane, candidates.around(before.extent), before, prompts)
        logits = view.answer.logits[0, 0].float().cpu().numpy()
        return raised(logits, view.window, plane.shape, at), float(view.answer.quality.float().sigmoid())

    def _best(self, plane: Plane, prompts: Prompts, before: Proposal, extent: Extent) -> _View:
        """Through the window that shows the object best, and once more from nearer if it is small in there.

        Args:
            plane: of the image.
            prompts: on that plane.
            before: the object until now.
            extent: the box around that and what was clicked to be the object.
        """
        tries, most = possible(prompts, plane.shape, before, extent)
        if len(tries) > most:
            tries = self._promising(plane, prompts, tries, most)
        answer = self._answers(plane, tries, prompts)
        best = int(hopes(answer.quality, tries).argmax())
        view = _View(tries[best].window, answer.one(best))
        nearer = _nearer(plane, prompts, view)
        return self._look(plane, *nearer, prompts) if nearer else view

    def _promising(self, plane: Plane, prompts: Prompts, tries: Sequence[Try], most: int) -> list[Try]:
        """Those of which the network expects most at a glance."""
        windows = [one.window for one in tries]
        expected = self._sight.expected(plane, windows, _channels(tries, prompts, GLANCE))
        expected, order = hopes(expected, tries).sort(descending=True)
        chosen = 1 if expected[0] - expected[1] > CLEAR else most
        return [tries[number] for number in sorted(order[:chosen].tolist())]

    def _look(self, plane: Plane, window: Window, before: Proposal, prompts: Prompts) -> _View:
        return _View(window, self._answers(plane, [Try(window, before)], prompts))

    def _answers(self, plane: Plane, tries: Sequence[Try], prompts: Prompts) -> Answer:
        return self._sight.answer(plane, [one.window for one in tries], _channels(tries, prompts))


def _channels(tries: Sequence[Try], prompts: Prompts, side: int = SIDE) -> Channels:
    """What the prompt branch reads in each of some windows, (N, 6, side, side)."""
    read = np.zeros((len(tries), PROMPT_CHANNELS, side, side), np.float32)
    for channels, one in zip(read, tries, strict=True):
        channels[:MASK] = draw(prompts, one.window, side)
        if one.begun.extent:
            channels[MASK], channels[MASKED] = sampled(one.begun, one.window, side), 1
    return read


@dataclass(frozen=True, eq=False)
class _View:
    """What the network said of a window; a batch of one."""

    window: Window
    answer: Answer


def _nearer(plane: Plane, prompts: Prompts, view: _View) -> tuple[Window, Proposal] | None:
    """A narrower window around what was seen and clicked, with what was seen; None if the object fills this one."""
    seen = raised(view.answer.logits[0, 0].float().cpu().numpy(), view.window, plane.shape, prompts.plane)
    if not seen.extent or candidates.longer(seen.extent) >= TIGHT * view.window.side:
        return None
    window = candidates.around(candidates.united(seen.extent, candidates.extent_of(prompts)) or seen.extent)
    return (window, seen) if window.side < view.window.side else None
