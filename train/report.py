"""Audits as text for a terminal, as JSON, and as Markdown for the model's card."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import Any, NamedTuple

from pneumoscan.atomic import replace_with
from pneumoscan.metrics import Interval
from train.audit import Audit
from train.candidates import FULL
from train.errors import AuditError
from train.shortcuts import Shortcut
from train.texture import SOFT

COLUMNS = {
    "auc": "AUC",
    "auc_within": "AUC within networks",
    "slope": "discrimination slope",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "specificity_at_sensitivity_95": "spec. at sens. 0.95",
    "subtype_auc": "subtype AUC",
}
SKILL = {
    "lungs removed": "skill (2 AUC - 1) left with the lungs blacked out, should be none",
    "lungs removed, filled": "skill left with grey in their place, should be none",
    "frame masked": "skill left without the frame, should be all",
}


class _Caveat(NamedTuple):
    """What is said above the tables, after the candidate's name, and beside each check."""

    opening: str
    beside: str


AIMS = (
    "These limits are this project's aims for the data of Kermany et al.; for other data they may be too strict or lax:"
)
HELD_OUT = {
    True: _Caveat("", ""),
    False: _Caveat("WAS TRAINED ON THESE PICTURES: its figures are no hold-out figures.", ", no hold-out"),
    None: _Caveat("MAY HAVE BEEN TRAINED ON SOME OF THESE PICTURES, which would flatter it.", ", perhaps no hold-out"),
}
"""By `train.audit.Audit.held_out`."""


def to_text(audits: Sequence[Audit], shortcuts: Mapping[str, Shortcut], pictures: int, sample: int) -> str:
    """The report: a table for each candidate, one of all side by side where there are several, and the baselines.

    Args:
        audits, shortcuts: what was found.
        pictures, sample: how many pictures were scored plain and stressed, and under each other stress.
    """
    lines = [f"{each.name} {HELD_OUT[each.held_out].opening}" for each in audits if not each.held_out]
    lines += [
        f"{' and '.join(FULL)}: {pictures:,} pictures; every other row: the same {sample:,} of them, patients drawn at "
        "random.",
        "95 % intervals: bootstrap over patients, Wilson for sensitivity and specificity. These two are at the card's",
        "threshold, of a fit at those chosen on the other folds. AUC within networks: over pairs of pictures that the",
        "same network scored. Discrimination slope: mean probability of the ill less that of the healthy. Change: of",
        "the AUC, against plain on the same pictures. Soft normals: with all pneumonias, but of the normal",
        f"pictures only those less sharp than the sharpest {1 - SOFT:.0%} of these. True proportions: the middle",
        "square of the original, of the pictures whose size is known. Subtype AUC: without labels that are in doubt.",
    ]
    for each in audits:
        lines += ["", *_one(each)]
    if len(audits) > 1:
        lines += ["", *_side_by_side(audits)]
    return "\n".join(line.rstrip() for line in [*lines, "", *_shortcuts(shortcuts)])


def _one(audit: Audit) -> list[str]:
    lines = [
        f"{audit.name} ({_how(audit)})",
        f"  {'':24}" + "".join(f"{title:24}" for title in COLUMNS.values()) + "change",
    ]
    for name, figures in audit.figures.items():
        cells = "".join(f"{_cell(figures[key]):24}" for key in COLUMNS)
        lines.append(f"  {name:24}{cells}{figures['auc_change'].value:+.4f}")
    lines += ["", *(f"  {title:68}{_cell(audit.kept[name])}" for name, title in SKILL.items())]
    lines.append(f"  {AIMS}")
    for check in audit.checks:
        verdict = "holds" if check.holds else "FAILS"
        lines.append(f"  {check.what:68}{_cell(check.figure)}  {verdict}{HELD_OUT[audit.held_out].beside}")
    return lines


def _how(audit: Audit) -> str:
    match audit.identity.get("read"):
        case {"size": size, "int8": int8}:
            return f"out of fold, at {size} x {size}{', in 8 bits' if int8 else ''}"
    return "model file"


def _side_by_side(audits: Sequence[Audit]) -> list[str]:
    width = max(22, *(len(each.name) + 2 for each in audits))
    lines = [f"{'side by side':70}" + "".join(f"{each.name:{width}}" for each in audits)]
    for key in ("auc", "specificity_at_sensitivity_95"):
        lines += [
            f"  {COLUMNS[key] + ', ' + name:68}"
            + "".join(f"{_cell(each.figures[name][key]):{width}}" for each in audits)
            for name in audits[0].figures
        ]
    lines += [
        f"  {title:68}" + "".join(f"{_cell(each.kept[name]):{width}}" for each in audits)
        for name, title in SKILL.items()
    ]
    for number, check in enumerate(audits[0].checks):
        verdicts = ("holds" if each.checks[number].holds else "FAILS" for each in audits)
        lines.append(f"  {check.what:68}" + "".join(f"{verdict:{width}}" for verdict in verdicts))
    return lines


def _shortcuts(shortcuts: Mapping[str, Shortcut]) -> list[str]:
    lines = ["without a network: AUC of a logistic regression over patient-wise folds"]
    for name, (auc, pictures) in shortcuts.items():
        found = _cell(auc) if auc else "not measured"
        lines.append(f"  {'only ' + name:20}{found:24}known of {pictures:,} pictures")
    return lines


def _cell(figure: Interval) -> str:
    return "none" if isnan(figure.value) else f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def write_json(
    audits: Sequence[Audit], shortcuts: Mapping[str, Shortcut], pictures: int, sample: int, path: Path
) -> None:
    """Writes everything that was found; each figure is a list of value, low and high. Arguments as of `to_text`.

    Raises:
        AuditError: it cannot be written.
    """
    content = {
        "pictures": pictures,
        "sample": sample,
        "candidates": [asdict(each) for each in audits],
        "shortcuts": {name: each._asdict() for name, each in shortcuts.items()},
    }
    save(content, path)


def save(content: dict[str, Any], path: Path) -> None:
    """Writes JSON whole or not at all, into a folder that need not exist.

    Raises:
        AuditError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_with(path, (json.dumps(content, indent=1) + "\n").encode())
    except OSError as error:
        raise AuditError(f"cannot write {path}: {error.strerror}") from error


def to_markdown(path: Path, identity: dict[str, object]) -> str:
    """The section of a model card, from a file of `write_json` that holds the audit of the fit that was read so.

    Args:
        path: of the file.
        identity: see `train.fitted.Fitted.read_identity`.

    Raises:
        AuditError: no such file, or it holds no audit of that fit, or only of one that was read otherwise.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        of_fit = [each for each in content["candidates"] if {**each["identity"], "read": identity["read"]} == identity]
        found = [each for each in of_fit if each["identity"] == identity]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AuditError(f"{path} is no file of train audit --json: {error!r}") from error
    if of_fit and not found:
        raise AuditError(
            f"{path} was audited at another size or precision; run train audit with the same --size and --int8"
        )
    if not found:
        raise AuditError(f"{path} holds no audit of this fit; run train audit on it again")
    return _section(found[0], content)


def _section(audit: dict[str, Any], content: dict[str, Any]) -> str:
    lines = [
        "## Audit",
        "",
        "What the networks of the folds rely on, out of fold as above: pictures changed in one way each. *plain* and",
        f"*stressed* are measured on {content['pictures']:,} pictures, the rest on {content['sample']:,} of these, of",
        "patients drawn at random. *AUC within networks*: over pairs of pictures that the same network scored.",
        "*Discrimination slope*: mean probability of the ill less that of the healthy; an AUC ranks even scores that",
        "are all but equal. *Change*: of the AUC against plain on the same pictures. *Soft normals*: with all",
        f"pneumonias, but of the normal pictures only those less sharp than the sharpest {1 - SOFT:.0%} of these.",
        "*True proportions*, where there are any: the middle square of the original, of the pictures whose size is",
        "known. *Subtype AUC*: without labels that are in doubt, where there are any.",
        "",
        "| | " + " | ".join(COLUMNS.values()) + " | change |",
        "|---|" + "---|" * (len(COLUMNS) + 1),
    ]
    for name, figures in audit["figures"].items():
        cells = " | ".join(str(Interval(*figures[key])) for key in COLUMNS)
        lines.append(f"| {name} | {cells} | {figures['auc_change'][0]:+.4f} |")
    lines += [
        "",
        *(f"- {title[0].upper()}{title[1:]}: {Interval(*audit['kept'][name])}." for name, title in SKILL.items()),
    ]
    told = [
        f"{name} {Interval(*each['auc'])}, {each['pictures']:,} pictures"
        for name, each in content["shortcuts"].items()
        if each["auc"]
    ]
    if told:
        lines.append(
            f"- A logistic regression reaches these AUCs on only: {'; '.join(told)}. Size, frame and corners show no"
            " lung; texture is strength of detail, mean and contrast of the inner part, which disease changes too."
        )
    lines += ["", AIMS, ""]
    lines += [
        f"- {check['what'][0].upper()}{check['what'][1:]}: {Interval(*check['figure'])}, "
        f"{'holds' if check['holds'] else '**fails**'}."
        for check in audit["checks"]
    ]
    return "\n".join(lines) + "\n"
