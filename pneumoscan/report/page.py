"""The shell of every page: one HTML file that needs nothing else, and in which nothing but its own code can run.

Owns the content security policy, how data gets into a page, theme and basic styles (`page.css`, `page.js`). Whatever
comes from outside, file names above all, reaches a page in one of two ways: through `escape` into HTML, or as JSON, of
which scripts make text (`textContent`), never HTML.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib import resources
from string import Template

from pneumoscan.formats import printable

NOTICE = "Research use only. Not a medical device."

_SHELL = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>$title</title>
<style>$style</style>
<script>$theme</script>
</head>
<body>
<header class="top">
<h1><span class="brand">pneumoscan</span> $heading</h1>
<p class="notice">$notice</p>
<button id="theme" class="plain" type="button" aria-pressed="false">Dark theme</button>
</header>
<main>
$main
</main>
$data<script>$script</script>
</body>
</html>
""")


def asset(name: str) -> str:
    """The text of a file that lies beside this module."""
    return (resources.files("pneumoscan.report") / name).read_text("utf-8")


def text(words: str) -> str:
    """Text from outside as HTML, inert whatever it holds."""
    return escape(printable(words))


def list_of_facts(told: Iterable[tuple[str, str]]) -> str:
    """Names and what is told of them as the content of a list of facts, which ends with when the page was made."""
    made = ("Page made", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    return "".join(f"<div><dt>{text(name)}</dt><dd>{text(words)}</dd></div>" for name, words in (*told, made))


def page(
    heading: str,
    main: str,
    *,
    data: Mapping[str, object] | None = None,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    linked_images: bool = False,
) -> bytes:
    """A whole page.

    Args:
        heading: what the page is, text.
        main: the page's content, HTML that holds nothing from outside but what went through `escape`; no `style` or
            `on…` attributes, which the policy forbids.
        data: what scripts find as JSON in the elements of these ids.
        styles, scripts: files beside this module, after `page.css` and `page.js`.
        linked_images: whether pictures may be files that lie elsewhere; otherwise they must be data URLs.
    """
    style = "\n".join(asset(name) for name in ("page.css", *styles))
    theme = asset("page.js")
    script = "\n".join(asset(name) for name in scripts)
    return _SHELL.substitute(
        policy=_policy([theme, script], style, linked_images),
        title=f"{escape(heading)} · pneumoscan",
        heading=escape(heading),
        notice=NOTICE,
        style=style,
        theme=theme,
        main=main,
        data="".join(_data_block(name, value) for name, value in (data or {}).items()),
        script=script,
    ).encode()


def _policy(scripts: Sequence[str], style: str, linked_images: bool) -> str:
    """Nothing may be loaded, sent or run, except for the very scripts and styles of the page."""
    directives = (
        "default-src 'none'",
        "script-src " + " ".join(_digest(script) for script in scripts),
        "style-src " + _digest(style),
        "img-src data:" + (" 'self' file:" if linked_images else ""),
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(directives)


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _data_block(name: str, value: object) -> str:
    """JSON as ASCII without `<`, so that nothing in it ends the element or begins a comment."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{escape(name)}">{text}</script>\n'
