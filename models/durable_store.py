"""A Zarr store whose chunks are on the disk when they have been written, so that a note of them may follow."""

from __future__ import annotations

import asyncio

from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

from .durable import WriteError, sync_folder, write


class DurableStore(LocalStore):
    """A folder of chunks, each of which is the old one or the new one at any moment, also when the power fails.

    Zarr's own store gives a chunk its name before its bytes are on the disk. After a power failure such a chunk may be
    empty, and with it rows that were written long before, where chunks of a smaller level hold both.
    """

    async def set(self, key: str, value: Buffer) -> None:
        """Write a chunk; it, its name and those of new folders above it are forced to the disk.

        Raises:
            OSError: no permission, no space, ...; an older chunk of that name is untouched.
        """
        await asyncio.to_thread(self.set_sync, key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """As `set`, unless there is a chunk of that name."""
        if not await self.exists(key):
            await self.set(key, value)

    async def delete(self, key: str) -> None:
        """Remove a chunk, if there is one, and force that to the disk."""
        await asyncio.to_thread(self.delete_sync, key)

    def set_sync(self, key: str, value: Buffer) -> None:
        """As `set`, in this thread."""
        self._check_writable()
        try:
            write(self.root / key, value.to_bytes())
        except WriteError as error:
            raise error.__cause__ or error from None  # who writes labels says which mask it is

    def delete_sync(self, key: str) -> None:
        """As `delete`, in this thread."""
        self._check_writable()
        path = self.root / key
        try:
            path.unlink()
        except FileNotFoundError:
            return
        sync_folder(path.parent)
