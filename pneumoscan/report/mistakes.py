"""The gallery of mistakes: the wrong verdicts of which the model was surest, with their pictures."""

from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest
from html import escape

from pneumoscan.formats import printable, rounded
from pneumoscan.labels import Pair
from pneumoscan.records import Label

SHOWN = 24
"""Of each kind, at most."""


def worst(pairs: Iterable[Pair]) -> tuple[list[Pair], list[Pair]]:
    """The false positives of the highest, and the false negatives of the lowest probability; of equals, the first."""
    wrong = [each for each in pairs if each.is_wrong]
    positives = [each for each in wrong if each.record.label == Label.PNEUMONIA]
    negatives = [each for each in wrong if each.record.label == Label.NORMAL]
    return nlargest(SHOWN, positives, key=_probability), nlargest(
        SHOWN, negatives, key=lambda each: -_probability(each)
    )


def _probability(pair: Pair) -> float:
    return pair.record.probability or 0.0


def gallery(mistakes: Sequence[Pair], pictures: Sequence[Mapping[str, str]]) -> str:
    """Buttons, of which a script makes a large view, as HTML.

    Args:
        mistakes: what to show.
        pictures: for each, the data URLs of its `image` and its `heat` where there are such, or why there is no
            picture as `missing`.
    """
    return "\n".join(_button(mistake, picture) for mistake, picture in zip(mistakes, pictures, strict=True))


def _button(mistake: Pair, picture: Mapping[str, str]) -> str:
    labelled, record = mistake
    path = printable(record.path)
    name = path.rsplit("/", 1)[-1]
    shows = f"{labelled.subtype} pneumonia" if labelled.subtype else labelled.label.lower()
    score = escape(rounded(_probability(mistake), ".3f"))
    told = f"shows {shows}, called {record.label}; probability of pneumonia {score}"
    review = '<span class="flagged">flagged for review</span>' if record.review else ""
    return (
        f'<button type="button" class="mistake" title="{escape(path)}" data-path="{escape(path)}" '
        f'data-told="{told}">'
        f"{_picture(picture, name, record.width or 1, record.height or 1)}"
        f'<span class="score">{score}</span>'
        f'<span class="shows">{shows}</span>{review}'
        f'<span class="name">{escape(name)}</span></button>'
    )


def _picture(picture: Mapping[str, str], name: str, width: int, height: int) -> str:
    """The picture under its heat, in its own proportions however large it is shown."""
    if "image" not in picture:
        return f'<span class="xray missing">{escape(picture.get("missing", ""))}</span>'
    size = f'width="{width}" height="{height}" preserveAspectRatio="none"'
    heat = f'<image class="heat" href="{picture["heat"]}" {size}/>' if "heat" in picture else ""
    return (
        f'<svg class="xray" viewBox="0 0 {width} {height}" role="img" aria-label="Chest X-ray {escape(name)}">'
        f'<image href="{picture["image"]}" {size}/>{heat}</svg>'
    )
