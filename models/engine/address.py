"""Where the engine of this user can be reached: a file that only this user can read.

It holds the address and the certificate and key that both sides must show (dask speaks TLS here): without them,
anybody with an account on the machine could have the engine run a program in this user's name.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs

from ..durable import explained, write


@dataclass(frozen=True)
class EngineAddress:
    """What a client needs to reach a running engine.

    Attributes:
        address: of the scheduler, "tls://127.0.0.1:40123".
        pid: of the engine's main process.
        certificate: PEM, of the authority, the client and the scheduler alike.
        key: PEM, the private key that belongs to it.
    """

    address: str
    pid: int
    certificate: str
    key: str

    def security(self) -> Any:
        """The credentials as dask wants them."""
        from distributed.security import Security

        roles = {
            f"tls_{role}_{what}": getattr(self, name)
            for role in ("client", "scheduler", "worker")
            for what, name in (("cert", "certificate"), ("key", "key"))
        }
        return Security(tls_ca_file=self.certificate, require_encryption=True, **roles)


def runtime_folder() -> Path:
    """This user's folder for things that live as long as a process; `MEDSEG_RUNTIME` overrides it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a folder under /tmp, where the session has none of its own, is closed below
        default = platformdirs.user_runtime_path("napari-medseg")
    folder = Path(os.environ.get("MEDSEG_RUNTIME") or default)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    return folder


def write_address(address: EngineAddress, folder: Path) -> None:
    """Let clients find this engine. The folder is closed to others, so the file is from its first byte."""
    file = folder / "engine.json"
    write(file, json.dumps(asdict(address)).encode())
    file.chmod(0o600)


def read_address(folder: Path) -> EngineAddress | None:
    """The engine that was last started here; None if there is none or the file is not one."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return EngineAddress(**json.loads((folder / "engine.json").read_text("utf-8")))
    return None


def forget_address(folder: Path) -> None:
    """Take the file away, if it is this process's."""
    mine = read_address(folder)
    if mine and mine.pid == os.getpid():
        (folder / "engine.json").unlink(missing_ok=True)
