"""From the rounds to figures: medians with their spread, and ratios, each of them made within a round."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from pneumoscan.benchmark.rounds import Round, Work, sized

Part = Literal["whole", "steady"]
PARTS: tuple[Part, Part] = ("whole", "steady")
MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the rounds: its median, lowest and highest value."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float | None]) -> Spread | None:
    """The spread of values, or None where one is missing or is no finite number."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    return Spread(median(known), min(known), max(known)) if known and len(known) == len(values) else None


def rate(work: Work | None) -> float | None:
    """Images per second."""
    return work.images / work.seconds if work else None


def cpu(work: Work | None) -> float | None:
    """CPU seconds per image."""
    return None if work is None or work.cpu_seconds is None else work.cpu_seconds / work.images


def _over(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def costs(rounds: Sequence[Round], name: str) -> dict[str, Any]:
    """What a stage costs: per part images per second, and milliseconds of wall and CPU time per image; peak MiB."""
    runs = [round[name] for round in rounds]
    found: dict[str, Any] = {}
    for part in PARTS:
        works: list[Work | None] = [getattr(run, part) for run in runs]
        found[part] = {
            "images_per_second": spread([rate(work) for work in works]),
            "wall_ms": spread([1000 / speed if (speed := rate(work)) else None for work in works]),
            "cpu_ms": spread([_over(cpu(work), 1e-3) for work in works]),
        }
    return found | {"peak_mib": spread([_over(run.peak_bytes, MIB) for run in runs])}


def ratios(round: Round, part: Part, *, shares_cores: bool, scripts: Sequence[str] = ()) -> dict[str, float | None]:
    """How fast the whole program was, or its steady part, relative to other stages of its round.

    Args:
        round: all of its stages.
        part: of the program and of the loops; of the ceilings it is always the steady part.
        shares_cores: whether network and decoding need the same cores.
        scripts: names of further loops in it.

    Returns:
        `slower_ceiling`: images per second over those of decoding or inference, whichever is slower.
        `decoding`: the same over those of decoding alone.
        `both_ceilings`: the same over what cores could do that decode and infer in turn, one over the sum of both
        times; None where they are not shared.
        `naive`, and each script's name: the same over those of the loop.
        `cpu_of_decoding`: CPU time per image over that of decoding alone.
    """

    def work(name: str) -> Work | None:
        found: Work | None = getattr(round[name], part)
        return found

    decoding, inference = rate(round["decoding"].steady), rate(round["inference"].steady)
    program = rate(work("program"))
    assert decoding is not None and inference is not None
    together = 1 / (1 / decoding + 1 / inference)
    return {
        "slower_ceiling": _over(program, min(decoding, inference)),
        "decoding": _over(program, decoding),
        "both_ceilings": _over(program, together) if shares_cores else None,
        **{name: _over(program, rate(work(name))) for name in ("naive", *scripts)},
        "cpu_of_decoding": _over(cpu(work("program")), cpu(round["decoding"].steady)),
    }


def summary(
    rounds: Sequence[Round], *, shares_cores: bool, scripts: Sequence[str] = (), sizes: Sequence[int] = ()
) -> dict[str, Any]:
    """All figures.

    Args:
        rounds: at least one, as `rounds.without_start` leaves them.
        shares_cores: as for `ratios`.
        scripts: names of the scripts that did not fail.
        sizes: numbers of files that the program was run over.
    """
    by_part = {}
    for part in PARTS:
        each = [ratios(round, part, shares_cores=shares_cores, scripts=scripts) for round in rounds]
        by_part[part] = {name: spread([found[name] for found in each]) for name in each[0]}
    first = [round["first"].first_seconds for round in rounds]
    runtime = [round["runtime"].first_seconds for round in rounds]
    return {
        "stages": {name: costs(rounds, name) for name in ("decoding", "inference", "program", "naive", *scripts)},
        "ratios": by_part,
        "start": {
            "first_record_seconds": spread(first),
            "runtime_seconds": spread(runtime),
            "ratio": spread([_over(*pair) for pair in zip(first, runtime, strict=True)]),
        },
        "sizes": {str(count): costs(rounds, sized(count)) for count in sizes},
    }
