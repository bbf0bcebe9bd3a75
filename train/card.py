"""CARD.md: what the model is, what it was measured to do, and what it cannot do."""

from collections import Counter
from dataclasses import asdict
from math import exp
from pathlib import Path

from pneumoscan.atomic import replace_with
from pneumoscan.card import CLASSES, Card
from pneumoscan.metrics import Interval
from train import alter, augment, gate, stress
from train.calibrate import COVERAGE, SUBTYPE_PRECISION, TENTHS
from train.dataset import LABELS, Sample
from train.fit import BLINDING
from train.fitted import RANGE_PICTURES
from train.network import describe
from train.settings import Settings
from train.teacher import VIEW

FIGURES = {
    "auc": "AUC, pneumonia against normal",
    "sensitivity": "sensitivity at the threshold",
    "specificity": "specificity at the threshold",
    "accuracy": "accuracy at the threshold",
    "specificity_at_sensitivity_90": "specificity at sensitivity 0.90",
    "calibration_error": "expected calibration error",
    "brier": "Brier score",
    "subtype_auc": "AUC, viral against bacterial, of the pneumonias",
    "subtype_claimed": "share of the pneumonias found whose subtype is named",
    "bacterial_precision": "of those named bacterial, labelled so",
    "viral_precision": "of those named viral, labelled so",
    "coverage_ill": "pneumonias not below the review band",
    "coverage_healthy": "normal pictures not above the review band",
    "review": "share flagged for review",
    "errors_in_review": "share of the wrong verdicts that are flagged",
}
RELIABILITY = {f"ill_of_{low:.1f}": f"{low:.1f} to {low + 0.1:.1f}" for low in TENTHS}

KERMANY = (
    "All of the `train` folder of Kermany, Zhang, Goldbaum (2018), Labeled Optical Coherence Tomography (OCT) and "
    "Chest X-Ray Images for Classification, Mendeley Data, V2, doi:10.17632/rscbjbr9sj.2, CC BY 4.0: children of 1 to "
    "5 years, anterior-posterior views, one hospital. No picture of the official `test` folder was used for anything. "
    "Results of others on it were known, published ones and those of a trial model after each epoch, which spoke for "
    "strong crops and against long training."
)
"""Source of the published data set, in either copy."""

TEMPLATE = """\
# Model card: {name} {version}

Three-class network (normal, bacterial pneumonia, viral pneumonia) for chest X-rays.
**Research use only; not a medical device.** It must not decide on anybody's care.

## Data

{pictures:,} pictures of {groups:,} patients, as far as is known ({counts}). {source}

Digest of labels and pixels (SHA-256): `{data_sha256}`.

## Licence

{licence}

## Method

Network: {network}, all layers fine-tuned, on grey crops of {train_size} x {train_size} pixels. Pictures
are stretched to a square{as_copies}, and scanned at {input_size} x {input_size}. Augmentation: random crop of
{crop_low:.0%} to 100% of the area, stretched by up to {stretch:.2f} either way, mirroring, rotation by up to 10 degrees, contrast, brightness,
gamma, blur, and noise. Framing can give the class away, so {foreign_frames:.0%} of the pictures get the frame of another one and
{frame_share:.0%} of the views an empty frame; and of {no_lungs:.0%} only the frame is left, with nothing to learn from them but how
frequent each class is. In {blinding_epochs} last epochs, at a lower rate, {blinding_foreign:.0%} get a foreign frame, and of {blinding_lungs:.0%} only the frame is left.{textured}{taught}{doubted}{quantised}

{folds} patient-wise folds (files that hold the same picture count as one patient), {epochs} epochs each, AdamW with one
warm-up epoch and a cosine schedule; the moving average of the weights at the end is kept, and no epoch was picked.
The shipped network was trained with the same settings on all pictures. It was itself never measured: the figures below are
those of the {folds} networks of the folds, each on the patients that it did not see. Networks differ in level and spread of
their logits. Those of the shipped one were brought to those of the folds, so that calibration and threshold hold for it:
temperature and offsets are such that on training pictures its probabilities are distributed as theirs are.

Settings: {settings}.

![Training curves](curves.png)
{candidates}
## Calibration

Temperature, class offsets, threshold and review band were fitted on the out-of-fold logits of plain and stressed pictures together.
The probabilities presume the share of pneumonia in the training data, {prevalence:.0%}.

- Threshold **{threshold}**: the {threshold_method}.
- Review band **{band_low} to {band_high}**: at least {coverage:.0%} of the pneumonias lie in or above it, and as many of the normal
  pictures in or below it, of plain and of stressed out-of-fold pictures each (class-conditional conformal prediction, of
  pictures, though those of a patient are alike).
{subtypes}

## Figures

Out of fold, with 95 % intervals (Wilson for proportions, which treats pictures as independent; bootstrap over patients for the
rest). They cover other pictures, but not another training or another choice of the threshold. For each
fold, the calibration was fitted on the other folds. *Stressed*: the same pictures cropped to
{area_low:.0%} to {area_high:.0%} of the area, stretched by up to {aspect} either way, contrast {contrast_low} to {contrast_high},
gamma {gamma_low} to {gamma_high}, and the outer {mask:.0%} blacked out. Training changes its pictures in such ways too, at least as
strongly: these are figures of known changes, not of another hospital. {chosen} The calibration
error is over 15 equal bins of the probability of pneumonia; chance makes it larger, the more so the fewer pictures there are.

| | plain | stressed |
|---|---|---|
{rows}

Share of pneumonias among pictures of like probability; where that is calibrated, share and probability agree:

| probability | plain | stressed |
|---|---|---|
{reliability}
{subtypes_of_folds}
Sensitivity, specificity and the other figures of verdicts count rejected pictures as if they had been scored; among
the flagged are the rejected.

## The gate

The outlier score is computed from mean and deviation of the network's channels at several depths. It is the larger of a
Mahalanobis distance to {gate_pictures} training pictures, and of the log odds, by a linear classifier, that a chest X-ray was
altered. Both were fitted on chest X-rays only: as they are, mildly changed, stressed, and altered by the program itself.

- Above **{outlier_threshold}** a picture is rejected: at most {gate_rejected:.1%} of the hold-outs, plain, stressed or mildly changed.
- Above **{unfamiliar_threshold}** it is scored, but flagged as unfamiliar: at most {gate_unfamiliar:.0%} of the same.

Each fold's gate was fitted on pictures that its network was trained on and measured on the others, and so flatters
them as the shipped one does. Scores are in units of the fitting pictures' median (0) and 99th percentile (1), in which the
thresholds carry over. The shares below are out of fold, for each fold with thresholds from the other folds.

| held-out chest X-rays | rejected | unfamiliar |
|---|---|---|
{gate_rows}

*Mildly changed*: {mild_low:.0%} to {mild_high:.0%} of the area, stretched by up to {mild_aspect}, turned by up to {mild_rotation:.0f} degrees,
blurred or sharpened, other contrast, gamma and brightness, JPEG quality {quality_low} to {quality_high}. *Close-up*: {close_low:.0%} to {close_high:.0%} of the side.
The last six were made by the same rules as those that the classifier learned from, of other patients.

{audit}## Limits

- Hold-outs flatter every model, since the patients of one data set share hospital, machines and framing.
  Expect worse elsewhere, above all normal pictures called PNEUMONIA.
- Other ages, views and machines than those of the data: expect nothing.{elsewhere}
- A picture that is scored need not be fit for it: the gate knows only what was tried on it.{untried}
- Bacterial against viral is a hint, not a finding{noisy}.{squeezed}
- The heatmap shows where the network found its evidence, in coarse cells. It outlines no disease.
"""

OF_KERMANY = {
    "as_copies": ", as the training copies were",
    "chosen": "Networks and recipes were chosen by some of the\nsame folds, with few to choose from (see the models' "
    "change log): that too makes the figures a little too good.",
    "elsewhere": " Models trained on the children of Kermany\n  et al. are reported at chance on adults from elsewhere.",
    "untried": " Pictures of other\n  parts of the body, and of adults, were not.",
    "noisy": "; the training labels for it are noisy",
    "squeezed": "\n- Pictures are stretched to a square, and those of pneumonias were wider than normal ones: part of what"
    "\n  the model says is how much a picture was stretched (see *true proportions* in the audit). Scan pictures as they"
    "\n  came: what has been cropped or padded to another shape is scored otherwise.",
    "rare": "soft normal pictures and sharp\npneumonias, which are rare in these data,",
}
"""What the card says of the published data alone."""
OF_OTHERS = {
    "as_copies": "",
    "chosen": "Where networks or recipes were chosen by the\nsame folds, that too makes the figures a little too good.",
    "elsewhere": "",
    "untried": " See above.",
    "noisy": "",
    "squeezed": "\n- Pictures are stretched to a square: what has been cropped or padded to another shape is scored otherwise.",
    "rare": "those whose texture is rare in\ntheir class",
}
"""What it says in these places of any other data."""

SUBTYPES_OF_FOLDS = """
Viral against bacterial, of the pneumonias of each fold. The accuracy is that of the likelier one, whether it is named or not:

| held-out fold | AUC, plain | AUC, stressed | accuracy, plain | accuracy, stressed |
|---|---|---|---|---|
{rows}
"""

CHANGED = """

How strong fine detail is gives the class away too. Below a random scale it is made weaker or stronger by up to {largest:.1f}
(a teacher sees the views before)."""

BALANCED = """

Pictures are weighted by the inverse of the probability of their class, given their texture: {rare} count more."""

SUBTYPES = """\
- A subtype is named where its share of the probability of pneumonia is at least **{subtype_threshold}**: the lowest at which
  {precision:.0%} of either kind agree with their labels, of the plain and stressed pneumonias together that are found.
  Otherwise the subtype stays empty. In the figures below a healthy picture that gets a subtype counts as a wrong one."""
NO_SUBTYPES = """\
- No subtype is ever named, and of the probabilities of the two kinds only the sum means something: too few labels tell a kind, or
  at no share of that sum would {precision:.0%} of either kind agree with their labels."""

DOUBTED = """

Of {doubtful:,} of the pneumonias the labels of kind are in doubt: they fill ranges of numbers in their names in which
networks tell kinds no better than by chance (see the models' change log). No figure of bacterial and viral counts them, which
flatters these figures a little, since the ranges were found by what networks of the same data say{learned}."""
LEARNED = """. In
{epochs} more epochs the network learned of them only that they are pneumonias{taught}. The loss of
held-out patients counts all labels, and so it rises there"""
MORE = """

{epochs} more epochs followed at a higher rate, with the same shares of foreign frames and of pictures without lungs."""
OF_TEACHERS = ", and of teachers only how likely that is"

TAUGHT = """

The network learned from others (distillation; teachers: {teachers}): {share:.0%} of each target is what they say of the same
view, at no more than {side} pixels a side, the rest its label. Each fold was taught by networks that had not seen its held-out patients either, the shipped network by
all networks of the same fits; each batch by one of them, drawn at random."""

QUANTISED = """

The convolutions of the file, but for the first, are quantised to 8 bits (weights by channel, and to 7 bits but for those of
depthwise convolutions). So were those of the folds' networks when they were calibrated and measured. Ranges of maps were found
on at most {pictures} of the pictures that each was trained on, plain and stressed."""


def write_card(
    card: Card,
    settings: Settings,
    samples: list[Sample],
    source: str,
    path: Path,
    *,
    int8: bool = False,
    audit: str = "",
    candidates: str = "",
) -> None:
    """Writes the card of a model that was fitted with `settings` on `samples` from `source`, sentences.

    `int8` tells whether its convolutions are in 8 bits. `audit` and `candidates` are sections of their own (see
    `train.report.to_markdown` and `train.compare.to_section`), or nothing. The card shows `curves.png` beside it (see `train.curves`).
    """
    words = OF_KERMANY if source == KERMANY else OF_OTHERS
    counts = Counter(LABELS[sample.target] for sample in samples)
    text = TEMPLATE.format(
        **asdict(card),
        **words,
        source=source,
        audit=f"{audit}\n" if audit else "",
        pictures=len(samples),
        groups=len({sample.group for sample in samples}),
        counts=", ".join(f"{counts[name]:,} {name}" for name in LABELS if name in CLASSES or counts[name]),
        prevalence=1 - counts[CLASSES[0]] / len(samples),
        network=describe(settings.network),
        doubted=_doubted(settings, sum(sample.doubtful for sample in samples)),
        textured=(CHANGED.format(largest=exp(settings.detail)) if settings.detail else "")
        + (BALANCED.format(**words) if settings.balance_texture else ""),
        taught=TAUGHT.format(share=settings.teacher_share, teachers=len(settings.teacher.split(",")), side=VIEW)
        if settings.teacher_share
        else "",
        quantised=QUANTISED.format(pictures=RANGE_PICTURES) if int8 else "",
        train_size=settings.size,
        folds=settings.folds,
        epochs=settings.epochs,
        settings=", ".join(f"{key} {_rounded(value)}" for key, value in asdict(settings).items()),
        band_low=card.review_band[0],
        band_high=card.review_band[1],
        coverage=COVERAGE,
        subtypes=(SUBTYPES if card.subtype_threshold < 1 else NO_SUBTYPES).format(
            subtype_threshold=card.subtype_threshold, precision=SUBTYPE_PRECISION
        ),
        candidates=f"\n{candidates}" if candidates else "",
        foreign_frames=settings.foreign_frames,
        no_lungs=settings.no_lungs,
        blinding_epochs=settings.blinding_epochs,
        blinding_foreign=BLINDING["foreign_frames"],
        blinding_lungs=BLINDING["no_lungs"],
        crop_low=settings.crop_area,
        stretch=settings.stretch,
        frame_share=augment.FRAME_SHARE,
        area_low=stress.AREA[0],
        area_high=stress.AREA[1],
        aspect=stress.ASPECT,
        contrast_low=stress.CONTRAST[0],
        contrast_high=stress.CONTRAST[1],
        gamma_low=stress.GAMMA[0],
        gamma_high=stress.GAMMA[1],
        mask=stress.MASK,
        gate_pictures=min(gate.PICTURES, len(samples)),
        gate_rejected=gate.REJECTED,
        gate_unfamiliar=gate.UNFAMILIAR,
        gate_rows="\n".join(_gate_row(card, kind) for kind in ("plain", "stressed", "mild", *alter.ALTERATIONS)),
        mild_low=alter.AREA[0],
        mild_high=alter.AREA[1],
        mild_aspect=alter.ASPECT,
        mild_rotation=alter.ROTATION,
        quality_low=alter.QUALITY[0],
        quality_high=alter.QUALITY[1],
        close_low=alter.CLOSE_UP[0],
        close_high=alter.CLOSE_UP[1],
        rows="\n".join(_row(card, key, title) for key, title in FIGURES.items()),
        reliability="\n".join(_row(card, key, title) for key, title in RELIABILITY.items()),
        subtypes_of_folds=_subtypes_of_folds(card, settings.folds),
    )
    replace_with(path, text.encode())


def _rounded(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _doubted(settings: Settings, doubtful: int) -> str:
    """What is said of that many labels in doubt, and of the epochs that unlearn them."""
    epochs = settings.doubting_epochs
    if not doubtful:
        return MORE.format(epochs=epochs) if epochs else ""
    taught = OF_TEACHERS if settings.teacher_share else ""
    return DOUBTED.format(doubtful=doubtful, learned=LEARNED.format(epochs=epochs, taught=taught) if epochs else "")


def _gate_row(card: Card, kind: str) -> str:
    name = {"mild": "mildly changed"}.get(kind, kind.replace("_", " "))
    unfamiliar = _cell(card, f"{kind}_unfamiliar") if f"{kind}_unfamiliar" in card.figures else ""
    return f"| {name} | {_cell(card, f'{kind}_rejected')} | {unfamiliar} |"


def _subtypes_of_folds(card: Card, folds: int) -> str:
    """The table of each fold, or nothing where labels tell no subtypes."""
    rows = []
    for fold in range(folds):
        keys = [f"{kind}_subtype_{key}_fold_{fold}" for key in ("auc", "accuracy") for kind in ("plain", "stressed")]
        if keys[0] in card.figures:
            rows.append(f"| {fold + 1} | " + " | ".join(_cell(card, key) for key in keys) + " |")
    return SUBTYPES_OF_FOLDS.format(rows="\n".join(rows)) if rows else ""


def _row(card: Card, key: str, title: str) -> str:
    return f"| {title} | " + " | ".join(_cell(card, f"{kind}_{key}") for kind in ("plain", "stressed")) + " |"


def _cell(card: Card, key: str) -> str:
    return str(Interval(*card.figures[key]))
