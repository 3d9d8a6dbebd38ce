"""What a training on a folder draws from: pictures, kept in memory while they fit, and volumes, set out on disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from napari_medseg.models.cards import ModelCard
from napari_medseg.models.errors import CancelledError

from .folders import Pair, read_pair
from .planes import Plane, planes_of
from .samples import KeptPlanes
from .stored_planes import StoredPlanes, store_planes


class FolderPlanes:
    """The planes of each pair. A context: at its end what was set out is taken away.

    Can be sent to other processes, which then share what is on disk, and keep pictures of their own.

    Args:
        pairs: to learn from.
        counts: planes of each.
        card: of the network that learns.
        ignore: label of pixels that count for nothing.
        folder: for the slices of volumes; emptied first, since a training that was killed leaves its own there.
        limit: bytes of pictures to keep.
    """

    def __init__(
        self, pairs: list[Pair], counts: Sequence[int], card: ModelCard, ignore: int | None, folder: Path, limit: int
    ) -> None:
        self._pairs, self._counts, self._card, self._ignore, self._folder = pairs, counts, card, ignore, folder
        self._kept = KeptPlanes(self._planes, limit)
        self._stored: dict[int, StoredPlanes] = {}

    def __call__(self, case: int) -> Sequence[Plane]:
        """The planes of a pair."""
        return self._stored[case] if case in self._stored else self._kept(case)

    def set_out(self, progress: Callable[[float], None], cancel: Callable[[], bool] | None = None) -> None:
        """Read each volume, once, and write its slices.

        Raises:
            ImageError: a pair that cannot be read any more.
            WriteError: the disk is full, ...
            CancelledError: `cancel` answered True.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        volumes = [case for case, count in enumerate(self._counts) if count > 1]
        for number, case in enumerate(volumes):
            if cancel and cancel():
                raise CancelledError("between two volumes")
            progress(number / len(volumes))
            image, mask = read_pair(self._pairs[case])
            self._stored[case] = store_planes(self._folder / str(case), image, mask, self._card, self._ignore)

    def __enter__(self) -> FolderPlanes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _planes(self, case: int) -> list[Plane]:
        image, mask = read_pair(self._pairs[case])
        return planes_of(image, mask, self._card, self._ignore)
