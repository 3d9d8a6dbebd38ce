"""What the network says of a plane, seen through windows; image features are kept between clicks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..devices import cores, threads_of_one_core
from .channels import Channels
from .network import Answer, PromptNetwork, normalised
from .plane import Plane
from .window import Window

KEPT = 24
"""Windows whose image features are kept between clicks."""

Maps = list[Tensor]
"""Image features of one window, a batch of one, finest first."""

T = TypeVar("T", Tensor, Answer)

_Say: TypeAlias = Callable[[Maps, Tensor], T]
"""What of the prompt branch to run, given features and prompts."""

_Key = tuple[Plane, Window, int]
"""What of an image was looked at, and with how many cells along a side."""


class Sight:
    """The network, looking.

    On processors, several windows are looked through at the same time, by threads that each compute alone: threads that
    share the work inside of one window would wait for each other whenever something else needs a core.

    Args:
        network: in evaluation mode, on the device.
        device: where it runs.
        precision: that it computes in.
        threads: that look on a processor; as many as there are cores by default.
    """

    def __init__(
        self,
        network: PromptNetwork,
        device: torch.device,
        precision: torch.dtype = torch.float32,
        threads: int | None = None,
    ) -> None:
        self._device, self._precision = device, precision
        self._network = network.eval().to(precision)
        self._features: OrderedDict[_Key, Maps] = OrderedDict()
        self._parts = 1 if device.type != "cpu" else threads or cores()
        self._threads = threads_of_one_core(self._parts, "windows") if self._parts > 1 else None

    def forget(self) -> None:
        """Another image."""
        self._features.clear()

    def answer(self, plane: Plane, windows: Sequence[Window], channels: Channels) -> Answer:
        """Look through some windows.

        Args:
            plane: of the image.
            windows: N of them.
            channels: (N, 6, S, S), what the prompt branch reads in each, see `channels`, with S cells along a side.

        Returns:
            A batch of N.
        """
        answers = self._each(self._network.answer, plane, windows, channels)
        if len(answers) == 1:
            return answers[0]
        parts = zip(*((answer.logits, answer.quality, answer.last) for answer in answers), strict=True)
        return Answer(*(torch.cat(part) for part in parts))

    def expected(self, plane: Plane, windows: Sequence[Window], channels: Channels) -> Tensor:
        """Only the quality of what is seen in each of some windows, (N,); see `answer`."""
        return torch.cat(self._each(self._network.expected, plane, windows, channels))

    def _each(self, say: _Say[T], plane: Plane, windows: Sequence[Window], channels: Channels) -> list[T]:
        """What the network says of some windows: a batch for each thread, in the order of the windows."""
        keys = [(plane, window, channels.shape[-1]) for window in windows]
        known = [self._features.get(key) for key in keys]
        shares = np.array_split(np.arange(len(windows)), min(self._parts, len(windows)))
        given = [(plane, [windows[n] for n in share], [known[n] for n in share], channels[share]) for share in shares]
        if self._threads is None or len(given) == 1:
            found = [self._part(say, *part) for part in given]
        else:
            found = list(self._threads.map(lambda part: self._part(say, *part), given))
        self._remember(keys, [maps for part, _ in found for maps in part])
        return [said for _, said in found]

    @torch.inference_mode()
    def _part(
        self, say: _Say[T], plane: Plane, windows: list[Window], known: list[Maps | None], channels: Channels
    ) -> tuple[list[Maps], T]:
        """The features of some windows, made in one go where they are not known, and what the network says."""
        unknown = [window for window, maps in zip(windows, known, strict=True) if maps is None]
        made = iter(self._seen(plane, unknown, channels.shape[-1]) if unknown else ())
        each = [next(made) if maps is None else maps for maps in known]
        together = each[0] if len(each) == 1 else [torch.cat(maps) for maps in zip(*each, strict=True)]
        sent = torch.from_numpy(channels).to(self._device, self._precision, memory_format=torch.channels_last)
        return each, say(together, sent)

    def _seen(self, plane: Plane, windows: list[Window], side: int) -> list[Maps]:
        looks = [plane.look(window, side) for window in windows]
        image, inside = (torch.stack(parts).to(self._device) for parts in zip(*looks, strict=True))
        image = normalised(image, inside).to(self._precision, memory_format=torch.channels_last)
        levels = self._network.features(image)
        return [[level[number : number + 1] for level in levels] for number in range(len(windows))]

    def _remember(self, keys: list[_Key], maps: list[Maps]) -> None:
        for key, made in zip(keys, maps, strict=True):
            self._features[key] = made
            self._features.move_to_end(key)
        while len(self._features) > KEPT:
            self._features.popitem(last=False)
