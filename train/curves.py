"""Training curves as a picture: loss, AUC and learning rate of every network of a fit, from its TensorBoard logs."""

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from train.errors import FitError

SMOOTHED = 10
"""Logged steps over which the training loss is averaged."""
PANELS = {
    "loss/train": "loss, training views",
    "loss/validation": "loss, held-out patients, all labels",
    "auc/validation": "AUC, held-out patients",
    "learning_rate": "learning rate",
}


def read_curves(folder: Path) -> dict[str, NDArray[np.float64]]:
    """The curves of one network.

    Args:
        folder: of its logs.

    Returns:
        By name, float64 [M, 2]: steps in ascending order, and values.

    Raises:
        FitError: no logs there.
    """
    if not list(folder.glob("events.out.tfevents.*")):
        raise FitError(f"{folder} holds no TensorBoard logs")
    log = EventAccumulator(str(folder), {"scalars": 0}, purge_orphaned_data=False).Reload()
    curves = {}
    for name in log.Tags()["scalars"]:
        last = {event.step: event.value for event in log.Scalars(name)}  # a resumed fit logs its steps again
        curves[name] = np.array(sorted(last.items()))
    return curves


def draw_curves(run: Path, parts: Iterable[str]) -> bytes:
    """A PNG of the curves of the networks `parts` of the fit in `run`.

    Raises:
        FitError: a network without logs.
    """
    figure = Figure(figsize=(9, 6), layout="constrained")
    panels = dict(zip(PANELS, figure.subplots(2, 2).flat, strict=True))
    for part in parts:
        for name, curve in read_curves(run / part).items():
            steps, values = curve.T
            if name == "loss/train" and len(values) >= SMOOTHED:
                steps = steps[SMOOTHED - 1 :]
                values = np.convolve(values, np.full(SMOOTHED, 1 / SMOOTHED), "valid")
            panels[name].plot(steps, values, linewidth=1.2, marker="." if "validation" in name else None, label=part)
    for name, title in PANELS.items():
        panels[name].set_title(title, fontsize=10)
        panels[name].set_xlabel("step")
        panels[name].grid(alpha=0.3)
        panels[name].spines[["top", "right"]].set_visible(False)
    panels["loss/train"].legend(frameon=False, fontsize=8)
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=110, metadata={"Software": None})
    return picture.getvalue()
