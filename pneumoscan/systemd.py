"""How a service talks to systemd, and the unit that starts it."""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePath

TMP = ("/tmp", "/var/tmp")
"""What a service with a private one sees empty."""


def notify(state: str) -> None:
    """Tells the service manager of a state, such as `READY=1`; nothing where none listens.

    See sd_notify(3).
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.connect("\0" + address[1:] if address.startswith("@") else address)
            manager.sendall(state.encode())


def unit(command: Sequence[str], *, working_directory: str, reads: Sequence[str], writes_to: str) -> str:
    """A systemd unit that keeps a command running.

    Args:
        command: the program, with its absolute path, and its arguments.
        working_directory: absolute.
        reads: absolute paths of the directories that the command reads.
        writes_to: absolute path of the only directory that the command writes to.
    """
    in_tmp = any(PurePath(path).is_relative_to(tmp) for path in (working_directory, writes_to, *reads) for tmp in TMP)
    return f"""\
[Unit]
Description=Scan chest X-rays for pneumonia as they arrive (research use only, not a medical device)
After=local-fs.target remote-fs.target

[Service]
# Without User= this runs as root; whoever is named must read the pictures and write the results.
#User=
Type=notify
ExecStart={" ".join(_quoted(word) for word in command)}
WorkingDirectory={_escaped(working_directory)}
Restart=on-failure
RestartSec=30
SuccessExitStatus=129 130 143
NoNewPrivileges=yes
PrivateTmp={"no" if in_tmp else "yes"}
ProtectSystem=strict
ReadWritePaths="{_escaped(writes_to)}"

[Install]
WantedBy=multi-user.target
"""


def _quoted(word: str) -> str:
    return '"' + _escaped(word).replace("$", "$$") + '"'


def _escaped(text: str) -> str:
    """Text in which systemd.syntax(7) finds nothing to replace."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n")
