"""How a service talks to systemd, and the unit that starts it."""

import os
import re
import socket
from collections.abc import Sequence
from contextlib import suppress


def notify(state: str) -> None:
    """Tells the service manager of a state, such as `READY=1`; nothing where none listens.

    See sd_notify(3).
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.connect("\0" + address[1:] if address.startswith("@") else address)
            manager.sendall(state.encode())


def unit(command: Sequence[str], *, working_directory: str, writes_to: str) -> str:
    """A systemd unit that keeps a command running.

    Args:
        command: the program, with its absolute path, and its arguments.
        working_directory: absolute.
        writes_to: absolute path of the only directory that the command writes to, besides those for temporary files.
    """
    return f"""\
[Unit]
Description=Scan chest X-rays for pneumonia as they arrive (research use only, not a medical device)
After=local-fs.target remote-fs.target

[Service]
# Without User= this runs as root; whoever is named must read the pictures and write the results.
#User=
Type=notify
ExecStart={" ".join(_quoted(word) for word in command)}
WorkingDirectory={working_directory.replace("%", "%%")}
# It is ready when it has read what is done already, which takes minutes where that is millions of pictures.
TimeoutStartSec=infinity
Restart=on-failure
RestartSec=30
SuccessExitStatus=129 130 143
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths="{_escaped(writes_to)}" /tmp /var/tmp

[Install]
WantedBy=multi-user.target
"""


def _quoted(word: str) -> str:
    return '"' + _escaped(word).replace("$", "$$") + '"'


def _escaped(text: str) -> str:
    """Text in which systemd.syntax(7) finds nothing to replace, and no end of a line."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return re.sub(r"[\x00-\x1f\x7f]", lambda control: f"\\x{ord(control[0]):02x}", text)
