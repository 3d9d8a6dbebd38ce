"""What an AVI's table of contents says of its packets, against which a reader that meets damage counts wrongly.

An AVI has no times: its frames are counted. Where the head of a chunk is damaged, a reader looks for the next one and
counts on, so that all frames after it come too early. The table at the end of the file knows better.
"""

from __future__ import annotations

from typing import Any

Packets = list[tuple[int | None, int | None, bool]]
"""Time shown, time decoded, and whether decoding can begin there; in the order of the file."""

_HEAD = 8
"""Bytes of a chunk before its content."""


class AviTable:
    """The table of contents of an AVI's film; of other containers, or without a table, an empty one.

    Args:
        container: an open file.
        stream: its film.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        entries = list(getattr(stream, "index_entries", ())) if container.format.name == "avi" else []
        self._counts = {entry.pos + _HEAD: int(entry.timestamp) for entry in entries}
        self._usable = all(entry.size > 0 for entry in entries)

    def put_right(self, packet: Any) -> int | None:
        """Give a packet the times that the table has for it; which one it is in the table, None if it is not."""
        count = self._counts.get(packet.pos) if self._usable else None
        if count is None or packet.dts is None or not packet.size:
            return None
        shift = count - packet.dts
        if shift:
            packet.dts, packet.pts = count, None if packet.pts is None else packet.pts + shift
        return count

    def with_lost(self, packets: Packets) -> Packets:
        """The packets, and those that the table has and the reader did not find, which cannot be decoded.

        The latter are shown at the times that no other packet is shown at.

        Args:
            packets: with times that were put right.
        """
        shown = {pts for pts, _, _ in packets if pts is not None}
        delays = [pts - dts for pts, dts, key in packets if key and pts is not None and dts is not None]
        if len(self._counts) <= len(packets) or len(shown) < len(packets) or not delays or not self._usable:
            return packets
        start = min(self._counts.values()) + min(delays)
        times = set(range(start, start + len(self._counts)))
        return [*packets, *((time, None, False) for time in sorted(times - shown))] if shown < times else packets
