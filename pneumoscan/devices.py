"""What `--device` may say, and how far a device's answers may be off.

Knows nothing of what there is, and imports nothing, so that wrong usage is reported at once.
"""

import re
from typing import Literal, NamedTuple

GpuChoice = Literal["first", "all"] | tuple[int, ...]
"""Which GPUs: the first that runs, all there are, or these, by number."""

TOLERANCE = 0.01
"""Largest difference of a golden picture's probability from what it must be that is no fault of model or device."""


def scores_otherwise(difference: float | None) -> bool:
    """Whether golden pictures score otherwise than they must, by their largest difference; None where there are none.

    An answer that is not a number is wrong.
    """
    return difference is not None and not difference <= TOLERANCE


class DeviceError(Exception):
    """The requested device cannot run the model; the message says why."""


class Wanted(NamedTuple):
    """What to run the network on: `auto` is CUDA where it runs, and otherwise the CPU."""

    kind: Literal["auto", "cpu", "cuda"]
    gpus: GpuChoice = "first"


def parse(device: str) -> Wanted:
    """What a device's name asks for.

    Raises:
        ValueError: there is no such name; the message says which there are.
    """
    if device in ("auto", "cpu", "cuda"):
        return Wanted(device)  # type: ignore[arg-type] # narrowed to one of these
    if device == "cuda:all":
        return Wanted("cuda", "all")
    if re.fullmatch(r"cuda:[0-9]{1,4}(,[0-9]{1,4})*", device):
        numbers = tuple(int(number) for number in device.removeprefix("cuda:").split(","))
        if len(set(numbers)) == len(numbers):
            return Wanted("cuda", numbers)
    raise ValueError(
        f"{device!r} is not a device: name auto, cpu, cuda (the first GPU that runs), GPUs by number, each once, "
        "such as cuda:1 or cuda:0,1, or cuda:all"
    )
