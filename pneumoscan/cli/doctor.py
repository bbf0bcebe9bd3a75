"""`pneumoscan doctor`: says whether scanning would work here, and how."""

import json
import sys
from dataclasses import asdict
from io import StringIO
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscan.cli.exits import Exit, say
from pneumoscan.cli.options import DeviceName, ModelName
from pneumoscan.formats import printable

if TYPE_CHECKING:
    from pneumoscan.surroundings import Check


def doctor(
    model: ModelName = None,
    device: DeviceName = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object in place of lines to read.")] = False,
) -> None:
    """Check whether scanning would work here, and how: versions, model, devices, files, machine.

    Changes nothing. Exit codes: 0 scanning would work, perhaps with warnings; 1 the answer could not be written; 2
    wrong usage; 4 scanning would not work.
    """
    from pneumoscan.doctor import examine
    from pneumoscan.surroundings import State

    checks, used = examine(model, device)
    ok = all(check.state is not State.FAILED for check in checks)
    if as_json:
        say(json.dumps({"ok": ok, "checks": [asdict(check) for check in checks]}, indent=2, default=str) + "\n")
    else:
        say(_report(checks, used))
    if not ok:
        raise typer.Exit(Exit.UNAVAILABLE)


def _report(checks: "list[Check]", used: str) -> str:
    """One line for each check, then the conclusion; with colours where standard output shows them."""
    from rich.console import Console
    from rich.text import Text

    styles = {"ok": "green", "warning": "yellow", "failed": "bold red"}
    count = {state: [check.name for check in checks if check.state == state] for state in styles}
    conclusion = f"Scanning works here, on {used}."
    if count["warning"]:
        conclusion = f"Scanning works here, on {used}, with warnings: {', '.join(count['warning'])}."
    if count["failed"]:
        conclusion = f"Scanning would not work here. Failed: {', '.join(count['failed'])}."
    report = StringIO()
    console = Console(file=report, force_terminal=sys.stdout.isatty() or None)
    for check in checks:
        words = ((f"{check.state:7}", styles[check.state]), f"  {check.name:10}{printable(check.message)}")
        console.print(Text.assemble(*words), soft_wrap=True)
    console.print(Text(conclusion), soft_wrap=True)
    return report.getvalue()
