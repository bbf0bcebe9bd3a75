"""All that there is to tell of a run, in values that JSON has."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pneumoscan
from pneumoscan.benchmark.figures import summary
from pneumoscan.benchmark.machine import describe
from pneumoscan.benchmark.pictures import Pictures
from pneumoscan.benchmark.rounds import Round, Task
from pneumoscan.model import Model


def as_json(
    task: Task, model: Model, pictures: Pictures, rounds: Sequence[Round], *, failed: dict[str, str], drawn: bool
) -> dict[str, Any]:
    """What was measured, on what, where and when. Paths are left out, so that it can be passed on.

    Args:
        task: what was done.
        model: that did it.
        pictures: that were scanned.
        rounds: as `rounds.without_start` leaves them.
        failed: how scripts failed, by name.
        drawn: whether the program drew the pictures itself.
    """
    card = model.card
    scripts = [name for name in task.scripts if name not in failed]
    figures = summary(rounds, shares_cores=model.device == "cpu", scripts=scripts, sizes=task.sizes)
    return {
        "schema": 1,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": pneumoscan.__version__,
        "model": {
            "name": f"{card.name}-{card.version}",
            "sha256": model.sha256,
            "input_size": card.input_size,
            "device": model.device,
        },
        "machine": describe(),
        "settings": {"rounds": len(rounds), "workers": task.workers, "batch_size": task.batch_size},
        "pictures": {
            "drawn": drawn,
            "files": task.images,
            "different": len(pictures.paths),
            "undecodable": pictures.undecodable,
            "megapixels": pictures.megapixels,
            "kilobytes": pictures.kilobytes,
        },
        "failed": failed,
        **json.loads(json.dumps(figures, default=asdict)),
        "rounds": [{name: asdict(run) for name, run in round.items()} for round in rounds],
    }
