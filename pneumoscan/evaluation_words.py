"""An evaluation in words: what figures are called, how they are written, what is to be said of them. No layout."""

from collections import Counter
from collections.abc import Iterable

from pneumoscan.evaluation import NO_INTERVAL, TOO_FEW, Evaluation, Figure, Verdicts
from pneumoscan.labels import Pair, Pairing
from pneumoscan.metrics import CALIBRATION_BINS, Interval
from pneumoscan.records import Label, Subtype

OPTIMISTIC = "*"
"""Mark of figures at a threshold that was chosen on the same pictures."""

OF_SCORES = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "calibration_error": "ECE",
    "brier": "Brier score",
    "subtype_auc": "AUC, viral against bacterial",
    "review": "flagged for review",
}
OF_VERDICTS = {
    "sensitivity": "sensitivity",
    "sensitivity_of_all": "  with unscored as wrong",
    "sensitivity_bacterial": "  bacterial pneumonia",
    "sensitivity_viral": "  viral pneumonia",
    "specificity": "specificity",
    "specificity_of_all": "  with unscored as wrong",
    "ppv": "PPV",
    "npv": "NPV",
    "accuracy": "accuracy",
    "accuracy_of_all": "  with unscored as wrong",
    "f1": "F1",
    "mcc": "MCC",
    "errors_flagged": "wrong verdicts flagged",
}
"""Names of the figures for people, in their order; what is a part of the one before begins with spaces."""


def shown(verdicts: Verdicts) -> dict[str, str]:
    """The figures at a threshold; where everything was scored, none needs a second denominator."""

    def says_more(name: str) -> bool:
        of_scored = name.removesuffix("_of_all")
        return name == of_scored or verdicts.figures[name].cases != verdicts.figures[of_scored].cases

    return {name: words for name, words in OF_VERDICTS.items() if says_more(name)}


def written(figure: Figure) -> str:
    """A figure with its interval, or with the reason why there is none."""
    if figure.value is None:
        return f"- ({figure.reason})"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f} ({figure.reason})"
    return str(Interval(figure.value, figure.low, figure.high))


def threshold(verdicts: Verdicts) -> str:
    """With a mark where figures are optimistic."""
    words = "of each record" if verdicts.threshold is None else f"{verdicts.threshold:.4g}"
    return f"{words} {OPTIMISTIC}" if verdicts.same_data else words


def opening(pairing: Pairing) -> tuple[str, str]:
    """How many pictures there are of what, and what became of them; names as they are, not inert."""
    labelled = pairing.labelled
    kinds = Counter(each.subtype or each.label for each in labelled)
    patients = len({each.group for each in labelled})
    models = sorted({each.record.model for each in pairing.scored})
    return (
        f"{len(labelled):,} labelled pictures: {kinds[Label.NORMAL]:,} normal, "
        f"{len(labelled) - kinds[Label.NORMAL]:,} pneumonia ({kinds[Subtype.BACTERIAL]:,} bacterial, "
        f"{kinds[Subtype.VIRAL]:,} viral); {patients:,} patients, as far as is known.",
        f"{len(pairing.scored):,} scored by {', '.join(models)}; "
        f"{len(pairing.rejected):,} rejected, {len(pairing.failed):,} failed. "
        "Only what was scored has figures, unless they say otherwise.",
    )


def left_out(pairing: Pairing) -> dict[str, list[str]]:
    """What has no figures: the kind, and what to say of each; names as they are, not inert."""
    return {
        "rejected": [_trouble(each) for each in pairing.rejected],
        "failed": [_trouble(each) for each in pairing.failed],
        "labelled, but without a record": [each.path for each in pairing.without_record],
        "without a label, and left out": pairing.without_label,
    }


def _trouble(pair: Pair) -> str:
    return f"{pair.labelled.path} ({pair.labelled.label}): {pair.record.error}: {pair.record.message}"


def notes(pairing: Pairing, evaluation: Evaluation) -> Iterable[str]:
    """What must be known of the figures to read them rightly."""
    yield (
        "Intervals: Wilson for shares of counted pictures; bootstrap over patients for AUC, ECE, Brier score, F1 and "
        f"MCC. PR AUC is average precision. ECE is over {CALIBRATION_BINS} equal bins of the probability of pneumonia; "
        "chance makes it larger, the more so the fewer pictures there are, and its interval begins at 0 where chance "
        "alone may have made it. All but sensitivity, specificity, ROC AUC and the AUC of subtypes hold for this share "
        "of pneumonia only."
    )
    for each in evaluation.at:
        if each.same_data:
            yield (
                f"{OPTIMISTIC} The highest threshold with {each.origin}: chosen on what it is measured on, so that its "
                "figures are optimistic."
            )
    if len({each.record.model_sha256 for each in pairing.scored}) > 1:
        yield "Several models made the records: no figure is that of one of them."
    figures = (evaluation.figures, *(each.figures for each in evaluation.at))
    if any(each.reason == NO_INTERVAL for named in figures for each in named.values()):
        yield "No interval: all resamples agree, which is no certainty."
    if any(each.reason == TOO_FEW for named in figures for each in named.values()):
        yield "Too few patients: more than one resample in a hundred lacks a class or a verdict. Hence no interval."
