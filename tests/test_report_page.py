"""The worklist as people meet it: in a real browser, which must load nothing and complain of nothing."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from pneumoscan import Scanner, heatmap
from pneumoscan.cli.pages import write_page
from pneumoscan.formats import printable
from pneumoscan.records import ErrorCode, Label, Record, Status
from pneumoscan.report.worklist import Worklist
from tests.records import failed, scored

Flat = Callable[[str, int], Path]


REJECTED = replace(
    failed("wards/cat.jpeg", "does not look like a chest X-ray that the model may judge"),
    status=Status.REJECTED,
    error=ErrorCode.NOT_A_CHEST_XRAY,
    outlier_score=9.0,
)
RECORDS = (
    scored("wards/a10.jpeg", 0.2),
    scored("wards/b.jpeg", 0.95),
    failed("wards/broken.jpeg", "the file is empty"),
    scored("wards/a9.jpeg", 0.55, review=True),
    scored("wards/c.jpeg", 0.7),
    REJECTED,
    scored("wards/d.jpeg", 0.01, review=True, message="unfamiliar"),
)


class Page:
    """What a reader sees and does."""

    def __init__(self, chrome: Chrome) -> None:
        self.chrome = chrome

    def open(self, file: Path) -> None:
        self.chrome.get(file.as_uri())
        self.chrome.execute_script("localStorage.clear()")

    def one(self, selector: str) -> WebElement:
        return self.chrome.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        self.one(selector).click()

    def press(self, *keys: str) -> None:
        for key in keys:
            ActionChains(self.chrome).send_keys(key).perform()

    def text(self, selector: str) -> str:
        return self.one(selector).text

    def run(self, script: str, *arguments: object) -> Any:
        return self.chrome.execute_script(script, *arguments)

    @property
    def names(self) -> list[str]:
        """The files that are listed, from above."""
        return self.run("return [...document.querySelectorAll('.row .open')].map(each => each.textContent)")

    @property
    def focused(self) -> str:
        return self.run("return document.activeElement.textContent")

    @property
    def viewed(self) -> str | None:
        """The file in the large view, where that is open."""
        return self.text("#view-name") if self.one("#viewer").get_attribute("open") is not None else None

    @property
    def seen_heat(self) -> int:
        return self.run("return [...document.querySelectorAll('.heat')].filter(each => each.checkVisibility()).length")

    def until(self, condition: Callable[[], object]) -> None:
        WebDriverWait(self.chrome, 30).until(lambda _: condition())

    def prefer(self, theme: str, medium: str = "screen") -> None:
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium, "features": features})
        self.settle()

    def settle(self) -> None:
        """Waits until all colours are those that will stay: they change smoothly."""
        self.chrome.execute_async_script(
            "requestAnimationFrame(() => requestAnimationFrame(() =>"
            " Promise.all(document.getAnimations().map(each => each.finished)).then(() => arguments[0]())))"
        )


@pytest.fixture
def page(browser: Chrome) -> Iterator[Page]:
    """A page to be opened; afterwards nothing may have been loaded, and nothing may have gone wrong."""
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    yield Page(browser)
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "DEBUG"] == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    assert [url for url in sent if not url.startswith(("file:///", "data:image/"))] == []
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def written(folder: Path, records: Iterator[Record] | tuple[Record, ...], **options: Any) -> Path:
    worklist = Worklist()
    for record in records:
        worklist.add(record)
    assert write_page(worklist, folder / "report.html", folder, None, {}, quiet=True, **options)
    return folder / "report.html"


@pytest.fixture
def listed(page: Page, tmp_path: Path) -> Page:
    page.open(written(tmp_path, RECORDS))
    return page


@pytest.fixture
def pictured(page: Page, flat: Flat, tiny_model: Path, tmp_path: Path) -> Page:
    """The page of three pictures with heatmaps, the most urgent one `c.png`."""
    worklist = Worklist()
    pictures = [flat(f"{name}.png", brightness) for name, brightness in (("a", 51), ("b", 153), ("c", 204))]
    for record, _, heat in Scanner(tiny_model, device="cpu").scan_pictures(pictures):
        worklist.add(record, heat)
    assert write_page(worklist, tmp_path / "report.html", tmp_path, None, {}, quiet=True)
    page.open(tmp_path / "report.html")
    return page


class TestTheList:
    def test_begins_with_the_most_urgent_and_ends_with_what_has_no_score(self, listed: Page) -> None:
        assert listed.names == ["b.jpeg", "c.jpeg", "a9.jpeg", "a10.jpeg", "d.jpeg", "cat.jpeg", "broken.jpeg"]

    def test_tells_verdict_score_and_note_of_each(self, listed: Page) -> None:
        rows = listed.chrome.find_elements(By.CSS_SELECTOR, ".row")
        assert rows[0].text.split("\n") == ["b.jpeg", "wards/", "Pneumonia", "bacterial", "95.0%", "0.50"]
        assert "Review" in rows[2].text and "ambiguous probability" in rows[2].text
        assert "unlike the training pictures" in rows[4].text
        assert rows[6].text.split("\n") == ["broken.jpeg", "wards/", "Error", "empty file: the file is empty"]

    def test_is_sorted_by_any_column_either_way(self, listed: Page) -> None:
        listed.click("[data-sort=path]")
        by_name = ["a9.jpeg", "a10.jpeg", "b.jpeg", "broken.jpeg", "c.jpeg", "cat.jpeg", "d.jpeg"]
        assert listed.names == by_name
        assert listed.one("[role=columnheader].name").get_attribute("aria-sort") == "ascending"
        listed.click("[data-sort=path]")
        assert listed.names == by_name[::-1]
        listed.click("[data-sort=probability]")
        listed.click("[data-sort=probability]")
        assert listed.names == ["d.jpeg", "a10.jpeg", "a9.jpeg", "c.jpeg", "b.jpeg", "cat.jpeg", "broken.jpeg"]

    @pytest.mark.parametrize(
        ("tile", "count", "names"),
        [
            ("pneumonia", "3", ["b.jpeg", "c.jpeg", "a9.jpeg"]),
            ("review", "2", ["a9.jpeg", "d.jpeg"]),
            ("normal", "2", ["a10.jpeg", "d.jpeg"]),
            ("rejected", "1", ["cat.jpeg"]),
            ("error", "1", ["broken.jpeg"]),
        ],
    )
    def test_shows_what_a_tile_counts(self, listed: Page, tile: str, count: str, names: list[str]) -> None:
        assert listed.text(f"[data-filter={tile}] .number") == count
        listed.click(f"[data-filter={tile}]")
        assert listed.names == names
        assert listed.text("#shown") == f"{len(names)} of 7 pictures"

    def test_is_searched_by_name_folder_and_message(self, listed: Page) -> None:
        search = listed.one("#search")
        for words, names in {
            "A9": ["a9.jpeg"],
            "is empty": ["broken.jpeg"],
            "wards/c": ["c.jpeg", "cat.jpeg"],
        }.items():
            search.clear()
            search.send_keys(words)
            assert listed.names == names

    def test_that_fits_nothing_offers_everything(self, listed: Page) -> None:
        listed.one("#search").send_keys("nowhere")
        assert listed.names == []
        listed.click("#reset")
        assert len(listed.names) == 7


class TestKeys:
    def test_of_heat_are_told_only_where_there_is_heat(self, page: Page, listed: Page) -> None:
        assert not listed.one(".of-heat").is_displayed()


def test_no_probability_is_shown_as_certain(page: Page, tmp_path: Path) -> None:
    page.open(written(tmp_path, [scored("a.jpeg", 0.99996), scored("b.jpeg", 0.0004)]))
    assert page.run("return [...document.querySelectorAll('.row .value')].map(each => each.textContent)") == [
        ">99.9%", "<0.1%",
    ]  # fmt: skip
    page.click(".open")
    assert page.text("#view-score") == ">99.9%"


def test_one_picture_is_no_pictures(page: Page, tmp_path: Path) -> None:
    page.open(written(tmp_path, [scored("a.jpeg", 0.5)]))
    assert page.text("#shown") == "1 picture"


def test_without_scripts_nothing_is_shown_that_needs_them(page: Page, tmp_path: Path) -> None:
    page.open(written(tmp_path, RECORDS))
    page.run("document.documentElement.removeAttribute('data-theme')")  # as it is until a script has run
    names = ("#theme", ".tools", "#list", ".histogram")
    assert [page.one(name).is_displayed() for name in names] == [False, False, False, True]
    assert '<html lang="en">' in (tmp_path / "report.html").read_text()  # scripts tell the theme


class TestTheLargeView:
    def test_opens_on_a_click_and_tells_what_is_known(self, listed: Page) -> None:
        listed.click(".row:nth-child(3)")
        assert listed.viewed == "a9.jpeg"
        text = listed.text("#viewer")
        for each in (
            "55.0%",
            "Review",
            "normal\n45.0%",
            "20 pixels",
            "tiny-1",
            "picture not found",
            "Research use",
        ):
            assert each in text

    def test_is_walked_through_with_keys(self, listed: Page) -> None:
        listed.press("j", "j", Keys.ENTER)
        assert listed.viewed == "c.jpeg"
        listed.press("j", Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
        assert listed.viewed == "d.jpeg"
        listed.press("k", Keys.ARROW_LEFT)
        assert listed.viewed == "a9.jpeg"
        listed.press(Keys.ESCAPE)
        assert (listed.viewed, listed.focused) == (None, "a9.jpeg")

    def test_ends_where_the_list_does(self, listed: Page) -> None:
        listed.click(".row:nth-child(7)")
        listed.press("j")
        assert listed.viewed == "broken.jpeg"
        assert listed.one("#next").get_attribute("disabled")

    def test_shows_the_picture_as_wide_as_it_is_with_its_heatmap(self, pictured: Page) -> None:
        pictured.click(".row")
        pictured.until(lambda: pictured.run("return document.querySelector('#frame .xray').naturalWidth"))
        sizes = pictured.run(
            "return [...document.querySelectorAll('#frame img')]"
            ".map(each => [each.clientWidth, each.clientHeight, each.naturalWidth])"
        )
        assert [width for *_, width in sizes] == [512, 8]
        assert sizes[0][:2] == sizes[1][:2]
        assert sizes[0][0] / sizes[0][1] == pytest.approx(40 / 30, rel=0.01)

    def test_and_list_lose_their_heatmaps_at_a_key_and_get_them_back(self, pictured: Page) -> None:
        assert pictured.seen_heat == 3
        pictured.press("h")
        assert pictured.seen_heat == 0
        assert pictured.one(".tools .heat-switch").get_attribute("aria-pressed") == "false"
        pictured.click(".row")
        pictured.press("h")
        assert pictured.one("#frame .heat").is_displayed()


class TestNarrowScreens:
    @pytest.fixture
    def narrow(self, listed: Page) -> Iterator[Callable[[int], None]]:
        def narrow(width: int) -> None:
            size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
            listed.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            listed.run("document.querySelector('[data-filter=all]').click()")
            listed.settle()

        yield narrow
        listed.chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    @pytest.mark.parametrize("width", [320, 390, 500, 740, 800, 1000])
    def test_need_no_scrolling_sideways_and_cut_no_note(
        self, listed: Page, narrow: Callable[[int], None], width: int
    ) -> None:
        narrow(width)
        assert listed.run("const page = document.documentElement; return page.scrollWidth - page.clientWidth") <= 0
        within = (
            "return [...document.querySelectorAll('.row')].filter(row => { const note = row.querySelector('.remark');"
            " const [r, n] = [row, note].map(each => each.getBoundingClientRect());"
            " return note.scrollHeight > note.clientHeight + 1 || n.bottom > r.bottom || n.top < r.top; }).length"
        )
        assert listed.run(within) == 0
        overlapping = (
            "return [...document.querySelectorAll('.row')].filter(row => {"
            " const [verdict, score] = ['.verdict .badge', '.score .value']"
            ".map(each => row.querySelector(each)?.getBoundingClientRect());"
            " return score && verdict.right > score.left && verdict.bottom > score.top && score.bottom > verdict.top;"
            " }).length"
        )
        assert listed.run(overlapping) == 0


class TestForcedColours:
    def test_show_which_tile_is_chosen(self, listed: Page) -> None:
        features = [{"name": "forced-colors", "value": "active"}]
        listed.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        outline = "return getComputedStyle(document.querySelector(`[data-filter=${arguments[0]}]`)).outlineStyle"
        assert [listed.run(outline, tile) for tile in ("all", "review")] == ["solid", "none"]


class TestTheScaleOfHeat:
    def test_is_as_strong_as_the_heat_on_the_picture(self, pictured: Page) -> None:
        pictured.click(".open")
        opacity = "return [...document.querySelectorAll('dialog .heat')].map(each => getComputedStyle(each).opacity)"
        assert pictured.run(opacity) == ["0.75", "0.75"]
        pictured.run("const s = document.getElementById('strength'); s.value = 20; s.dispatchEvent(new Event('input'))")
        assert pictured.run(opacity) == ["0.2", "0.2"]
        stops = (
            "return [...document.querySelectorAll('#heat stop')].map(each => Number(each.getAttribute('stop-opacity')))"
        )
        found = pictured.run(stops)
        assert (found[0], found[-1]) == (0, heatmap.OPACITY)


class TestTheTheme:
    def ground(self, page: Page) -> str:
        return page.run("return getComputedStyle(document.body).backgroundColor")

    def test_is_what_the_system_prefers_until_the_reader_chooses(self, listed: Page) -> None:
        listed.prefer("light")
        light = self.ground(listed)
        listed.prefer("dark")
        listed.until(lambda: self.ground(listed) != light)
        dark = self.ground(listed)
        listed.click("#theme")
        assert self.ground(listed) == light
        listed.prefer("light")
        listed.click("#theme")
        assert self.ground(listed) == dark

        def is_dark_again() -> bool:
            listed.chrome.refresh()
            return self.ground(listed) == dark

        listed.until(is_dark_again)  # Chromium stores the choice a moment later

    def test_is_light_on_paper_where_every_row_is(self, page: Page, tmp_path: Path) -> None:
        page.open(written(tmp_path, (scored(f"{i}.jpeg", i / 1000) for i in range(300))))
        light = self.ground(page)
        page.click("#theme")
        assert self.ground(page) != light
        assert len(page.names) < 100
        page.prefer("dark", medium="print")
        page.until(lambda: len(page.names) == 300)
        assert self.ground(page) in ("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)")
        page.prefer("dark")
        page.until(lambda: len(page.names) < 100)

    def test_cuts_no_note_on_paper(self, page: Page, tmp_path: Path) -> None:
        page.open(written(tmp_path, [failed("a.gif", message="it is of no use to anybody " * 20)]))
        is_whole = (
            "const note = document.querySelector('.row .remark'); return note.scrollHeight <= note.clientHeight + 1"
        )
        assert not page.run(is_whole)
        page.prefer("light", medium="print")
        assert page.run(is_whole)

    def test_tells_on_paper_that_there_are_more_rows(self, page: Page, tmp_path: Path) -> None:
        page.open(written(tmp_path, (scored(f"{i}.jpeg", i / 2000) for i in range(1500))))
        page.prefer("light", medium="print")
        page.until(lambda: len(page.names) == 1000)
        visible = "return document.getElementById('shown').innerText"
        assert page.run(visible) == "1,500 pictures, of which the first 1,000 are printed"
        page.prefer("light")
        page.until(lambda: page.run(visible) == "1,500 pictures")


HOSTILE = (
    "<img src=x onerror=document.title='hacked'>.png",
    "</script><script>document.title='hacked'</script>.png",
    "javascript:document.title='hacked'.png",
    "\"'><svg onload=document.title='hacked'>.png",
    "<!--<script>.png",
    "${document.title='hacked'}$main.png",
    "line\u2028\u2029\n\rends.png",
    "right\u202eto left.png",
    "%2e%2e?#&amp;.png",
    os.fsdecode(b"latin-\xff.png"),
)


@pytest.mark.parametrize("images", ["embed", "link"])
def test_no_name_of_a_file_breaks_or_runs_anything(
    page: Page, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in HOSTILE:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (40, 30), 204).save(name)
    records = [*Scanner(tiny_model, device="cpu").scan(HOSTILE, walk=False), failed("<b>.png", "<b>bold</b>")]
    assert [record.label for record in records] == [Label.PNEUMONIA] * len(HOSTILE) + [None]
    page.open(written(tmp_path, (*records,), images=images))
    assert page.chrome.title == "Worklist · pneumoscan"
    assert {printable(Path(name).name) for name in HOSTILE} | {"<b>.png"} == set(page.names)
    page.until(
        lambda: (
            page.run("return [...document.querySelectorAll('.row .xray')].filter(e => e.naturalWidth).length")
            == len(HOSTILE)
        )
    )
    page.click(".row")
    page.press(*"j" * len(HOSTILE))
    assert page.text("#view-remark") == "empty file: <b>bold</b>"
    assert not page.run("return document.querySelectorAll('b, [onload], [onerror]').length")
    assert page.run("return document.scripts.length") == 4
    assert page.chrome.title == "Worklist · pneumoscan"


def test_ten_thousand_records_are_listed_and_reached(page: Page, tmp_path: Path) -> None:
    page.open(written(tmp_path, (scored(f"ward/{i:05}.jpeg", i / 10_000) for i in range(10_000))))
    assert page.text("#shown") == "10,000 pictures"
    assert page.names[0] == "09999.jpeg"
    assert len(page.names) < 100
    page.run("scrollTo(0, document.body.scrollHeight)")
    page.until(lambda: "00000.jpeg" in page.names)
    page.one("#search").send_keys("0777")
    assert page.names[:2] == ["07779.jpeg", "07778.jpeg"]
    assert page.text("#shown") == "11 of 10,000 pictures"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_keeps_people_from_using_the_page(pictured: Page, axe: str, theme: str) -> None:
    pictured.prefer(theme)
    pictured.run(axe)

    def findings() -> list[tuple[str, str]]:
        found = pictured.chrome.execute_async_script("axe.run().then(arguments[0])")["violations"]
        return [(each["id"], node["html"]) for each in found for node in each["nodes"] if each["impact"] != "minor"]

    assert findings() == []
    pictured.click(".row")
    pictured.settle()
    assert findings() == []
