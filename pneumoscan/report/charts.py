"""Plots of matplotlib as parts of a page: colours of its theme, no style that its policy forbids, ids of their own."""

from collections.abc import Iterator
from html import escape
from xml.etree import ElementTree

COLOURS = {
    "#000000": "var(--text)",
    "#ffffff": "var(--surface)",
    "#666666": "var(--muted)",
    "#ebebeb": "var(--line)",
    "#0072b2": "var(--blue)",
}
"""What is painted in the colours of the page, by how `pneumoscan.plots` paints it."""


def inline(svg: str, name: str, told: str) -> str:
    """A plot as HTML.

    Args:
        svg: as `pneumoscan.plots.as_svg` makes it; it holds nothing from outside.
        name: of the plot on the page, a word, with which its ids begin.
        told: what it shows, for those who do not see it; text.
    """
    root = ElementTree.fromstring(svg)
    used = {target for element in root.iter() for target in _targets(element)}
    for element in root.iter():
        for child in [each for each in element if _local(each.tag) in ("metadata", "style")]:
            element.remove(child)
        element.tag = _local(element.tag)
        element.attrib = {key: value for key, value in _attributes(element, name) if key != "id" or value in used}
        if "id" in element.attrib:
            element.set("id", f"{name}-{element.get('id')}")
        if element.text is not None and not element.text.strip():
            element.text = None
        element.tail = None
    drawing = "".join(ElementTree.tostring(child, "unicode") for child in root)
    return (
        f'<svg class="chart" viewBox="{root.get("viewBox")}" role="img" aria-label="{escape(told)}" '
        f'fill="var(--text)" stroke-linejoin="round"><title>{escape(told)}</title>{drawing}</svg>'
    )


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _targets(element: ElementTree.Element) -> Iterator[str]:
    """The ids that an element refers to."""
    for key, value in element.items():
        if _local(key) == "href":
            yield value.removeprefix("#")
        elif value.startswith("url(#"):
            yield value[5:-1]


def _attributes(element: ElementTree.Element, name: str) -> Iterator[tuple[str, str]]:
    """Its attributes; every declaration of its style, which the policy would forbid, as one of them."""
    for key, value in element.items():
        if key == "style":
            for declaration in filter(str.strip, value.split(";")):
                what, _, how = map(str.strip, declaration.partition(":"))
                if what != "font-family":  # the page's
                    yield what, COLOURS.get(how, how)
        elif _local(key) == "href":
            yield "href", f"#{name}-{value.removeprefix('#')}"
        elif value.startswith("url(#"):
            yield key, f"url(#{name}-{value[5:]}"
        else:
            yield _local(key), " ".join(value.split())
