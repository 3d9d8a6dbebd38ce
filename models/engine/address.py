"""Where the engine of this user can be reached: a file that only this user can read.

It holds the address and the certificate and key that both sides must show (dask speaks TLS here): without them,
anybody with an account on the machine could have the engine run a program in this user's name.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs

from ..durable import explained, write
from ..errors import EngineError


@dataclass(frozen=True)
class EngineAddress:
    """What a client needs to reach a running engine.

    Attributes:
        address: of the scheduler, "tls://127.0.0.1:40123".
        pid: of the engine's main process.
        certificate: PEM, of the authority, the client and the scheduler alike.
        key: PEM, the private key that belongs to it.
        token: what whoever started it named it, in `MEDSEG_TOKEN`. The number of the process that was started is not
            enough: in a virtual environment on Windows it is that of a launcher.
    """

    address: str
    pid: int
    certificate: str
    key: str
    token: str = ""

    def security(self) -> Any:
        """The credentials as dask wants them."""
        from distributed.security import Security

        roles = {
            f"tls_{role}_{what}": getattr(self, name)
            for role in ("client", "scheduler", "worker")
            for what, name in (("cert", "certificate"), ("key", "key"))
        }
        return Security(tls_ca_file=self.certificate, require_encryption=True, **roles)


def runtime_place() -> Path:
    """Where this user's things are that live as long as a process; `MEDSEG_RUNTIME` overrides it. Not made here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a folder under /tmp, where the session has none of its own, is closed below
        default = platformdirs.user_runtime_path("napari-medseg")
    return Path(os.environ.get("MEDSEG_RUNTIME") or default)


def runtime_folder() -> Path:
    """The same, there and closed to others.

    Raises:
        EngineError: the folder is another user's, who could read the engine's key in it.
        WriteError: it cannot be made.
    """
    folder = runtime_place()
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(folder, os_owned=False)
        if not os.environ.get("MEDSEG_RUNTIME"):  # whoever owns the folder above could put another one in its place
            _refuse_foreign(folder.parent, os_owned=True)
        folder.chmod(0o700)
    return folder


def _refuse_foreign(folder: Path, *, os_owned: bool) -> None:
    """Raise `EngineError` if a folder is a link or not this user's; `os_owned`: root's will do, too."""
    if os.name == "nt":  # nobody else can make a folder in the user's profile
        return
    found = folder.lstat()
    owners = {os.geteuid(), 0} if os_owned else {os.geteuid()}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
        raise EngineError(
            f"The engine cannot use '{folder}': it is a link or belongs to another user. Remove it, or name a folder "
            "of your own in MEDSEG_RUNTIME."
        )


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
