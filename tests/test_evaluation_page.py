"""The page of an evaluation as people meet it: in a real browser, which must load nothing and complain of nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path

import pytest
from PIL import Image

from pneumoscan import Scanner, evaluation, plots
from pneumoscan.cli.evaluation_page import write_evaluation
from pneumoscan.evaluation import Cases, Figure
from pneumoscan.formats import printable
from pneumoscan.labels import Labelled, pair
from pneumoscan.records import Label
from tests import test_report_page as shared
from tests.test_report_page import HOSTILE, Page

from selenium.webdriver import ActionChains, Keys  # isort: skip
from selenium.webdriver.common.by import By  # isort: skip

page = shared.page
evaluate = partial(evaluation.evaluate, rounds=20)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pneumoscan.cli.evaluation_page.as_svg", partial(plots.as_svg, rounds=20))


def written(
    folder: Path,
    model: Path,
    shows: dict[str, Label],
    thresholds: Sequence[float] = (0.5,),
    at: Sequence[float] | None = None,
) -> tuple[Path, Cases]:
    """The page of pictures in the current directory, scanned with these thresholds in turn."""
    scanner = Scanner(model, device="cpu")
    records = [
        replace(record, threshold=threshold)
        for record, threshold in zip(scanner.scan(shows, walk=False), cycle(thresholds), strict=False)
    ]
    pairing = pair([Labelled(path, label, None, path) for path, label in shows.items()], records)
    cases = Cases.of(pairing.scored)
    target = folder / "eval.html"
    assert write_evaluation(target, pairing, cases, evaluate(cases, at), {}, {}, lambda: scanner, quiet=True)
    return target, cases


BRIGHTNESS = {Label.NORMAL: (0, 20, 51, 90, 140, 200), Label.PNEUMONIA: (10, 100, 120, 153, 204, 230, 255)}


@pytest.fixture
def made(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Cases]:
    """Thirteen pictures; the worst mistakes are normal-200, normal-140, pneumonia-10, -100 and -120."""
    monkeypatch.chdir(tmp_path)
    shows = {}
    for label, each in BRIGHTNESS.items():
        for brightness in each:
            name = f"{label.lower()}-{brightness}.png"
            Image.new("L", (40, 30), brightness).save(name)
            shows[name] = label
    return written(tmp_path, tiny_model, shows)


@pytest.fixture
def opened(page: Page, made: tuple[Path, Cases]) -> Iterator[Page]:
    page.open(made[0])
    return page


def choose(page: Page, threshold: str) -> None:
    page.click("#threshold")
    ActionChains(page.chrome).key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).send_keys(threshold).perform()


def live(page: Page) -> dict[str, tuple[str, str, str]]:
    """What the explorer shows: value, interval and denominator by name."""
    rows = page.run(
        "return [...document.querySelectorAll('#live tr')].map(row => ['th', '.value', '.interval', '.of']"
        ".map(part => row.querySelector(part).textContent))"
    )
    return {name: (value, interval, of) for name, value, interval, of in rows}


def counts(page: Page) -> dict[str, int]:
    names = ("true_negative", "false_positive", "false_negative", "true_positive")
    return {name: int(page.text(f"#{name}")) for name in names}


def words(figure: Figure) -> tuple[str, str, str]:
    if figure.value is None:
        return "-", "", f"0 {figure.of}"
    return f"{figure.value:.3f}", f"{figure.low:.3f} to {figure.high:.3f}", f"{figure.cases} {figure.of}"


class TestTheThresholdExplorer:
    @pytest.mark.parametrize("threshold", ["0", "0.0393", "0.2", "0.35", "0.5", "0.5491", "0.9", "1"])
    def test_tells_at_any_threshold_what_an_evaluation_would(
        self, opened: Page, made: tuple[Path, Cases], threshold: str
    ) -> None:
        choose(opened, threshold)
        verdicts = evaluate(made[1], [float(threshold)]).at[-1]
        assert counts(opened) == verdicts.confusion
        shown = live(opened)
        for name in ("sensitivity", "specificity", "ppv", "npv", "accuracy"):
            found = shown[name.upper() if name in ("ppv", "npv") else name]
            assert found == words(verdicts.figures[name])
        assert shown["F1"] == (f"{verdicts.figures['f1'].value:.3f}", "", "")

    def test_begins_at_the_recorded_threshold_and_goes_back_to_it(self, opened: Page, made: tuple[Path, Cases]) -> None:
        at_first = live(opened)
        assert counts(opened) == evaluate(made[1]).at[0].confusion
        assert not opened.one("#reset").is_enabled()
        choose(opened, "0.1")
        assert live(opened) != at_first
        opened.click("#reset")
        assert live(opened) == at_first
        assert opened.one("#threshold").get_attribute("value") == "0.5"

    def test_speaks_of_no_recorded_threshold_where_there_are_several(
        self, page: Page, made: tuple[Path, Cases], tiny_model: Path, tmp_path: Path
    ) -> None:
        page.open(made[0])
        assert "those at the recorded threshold" in page.text("main")
        shows = {path.name: Label(path.name.split("-")[0].upper()) for path in tmp_path.glob("*-*.png")}
        page.open(written(tmp_path, tiny_model, shows, [0.5, 0.49])[0])
        assert "recorded threshold" not in page.text("main")

    def test_is_told_on_paper_as_it_was_set(self, opened: Page) -> None:
        choose(opened, "0.35")
        opened.prefer("light", medium="print")
        assert opened.one("#threshold").is_displayed()
        assert opened.one("#threshold").get_attribute("value") == "0.35"
        assert not opened.one("#slider").is_displayed()
        assert not opened.one("#reset").is_displayed()

    def test_is_moved_with_the_keyboard_and_says_where_it_is(self, opened: Page) -> None:
        opened.run("document.getElementById('slider').focus()")
        opened.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        assert opened.one("#threshold").get_attribute("value") == "0.502"
        assert opened.one("#slider").get_attribute("aria-valuetext") == "0.502"
        opened.press(Keys.HOME)
        assert live(opened)["sensitivity"][0] == "1.000"
        assert opened.run("return document.getElementById('said').textContent") == (
            "At the threshold 0: sensitivity 1.000, specificity 0.000"
        )

    def test_takes_nothing_that_is_no_threshold(self, opened: Page) -> None:
        before = live(opened)
        choose(opened, "1.5")
        assert live(opened)["sensitivity"] != before["sensitivity"]  # "1" was a threshold on the way
        opened.press(Keys.TAB)
        assert opened.one("#threshold").get_attribute("value") == "1"

    def test_takes_the_nearest_threshold_at_which_it_knows_the_counts(
        self, opened: Page, made: tuple[Path, Cases]
    ) -> None:
        choose(opened, "0.78431")  # just below the score of normal-200
        opened.press(Keys.TAB)
        assert opened.one("#threshold").get_attribute("value") == "0.7843"
        assert counts(opened) == evaluate(made[1], [0.7843]).at[1].confusion

    def test_takes_a_threshold_as_it_is_that_the_page_names(self, opened: Page, made: tuple[Path, Cases]) -> None:
        named = evaluate(made[1]).at[-1]
        assert named.threshold != round(named.threshold, 4)
        choose(opened, str(named.threshold))
        opened.press(Keys.TAB)
        assert opened.one("#threshold").get_attribute("value") == str(named.threshold)
        assert counts(opened) == named.confusion

    def test_says_that_a_threshold_chosen_here_flatters(self, opened: Page) -> None:
        assert "makes them look better than they are" in opened.text("main")


class TestTheGallery:
    def viewed(self, page: Page) -> str | None:
        return page.text("#view-name") if page.one("#viewer").get_attribute("open") is not None else None

    def test_shows_both_kinds_the_surest_first(self, opened: Page) -> None:
        names = opened.run("return [...document.querySelectorAll('.mistake .name')].map(each => each.textContent)")
        assert names == [
            "normal-200.png", "normal-140.png", "pneumonia-10.png", "pneumonia-100.png", "pneumonia-120.png",
        ]  # fmt: skip

    def test_is_walked_through_with_keys(self, opened: Page) -> None:
        opened.run("document.querySelector('.mistake').focus()")
        opened.press(Keys.ARROW_RIGHT, Keys.ENTER)
        assert self.viewed(opened) == "normal-140.png"
        assert "shows normal, called PNEUMONIA; probability of pneumonia 0.549" in opened.text("#viewer")
        opened.press(Keys.ARROW_RIGHT, "j", "j", "j", "k")
        assert (self.viewed(opened), opened.text("#place")) == ("pneumonia-100.png", "4 of 5")
        opened.press(Keys.ESCAPE)
        assert self.viewed(opened) is None
        assert "pneumonia-100.png" in opened.focused

    def test_opens_on_a_click_and_enlarges_the_picture_in_its_own_proportions(self, opened: Page) -> None:
        opened.click(".mistake")
        assert self.viewed(opened) == "normal-200.png"
        small, large = (
            opened.run(
                "const box = arguments[0].getBoundingClientRect(); return [box.width, box.height]", opened.one(part)
            )
            for part in (".mistake image", "#stage image")
        )
        assert large[0] / large[1] == pytest.approx(40 / 30, rel=0.01)
        assert large[0] > 2 * small[0]

    def test_and_large_view_lose_their_heatmaps_at_a_key_and_get_them_back(self, opened: Page) -> None:
        assert opened.seen_heat == 5
        opened.press("h")
        assert opened.seen_heat == 0
        opened.click(".mistake")
        opened.press("h")
        assert opened.one("#stage .heat").is_displayed()


def test_no_name_of_a_file_breaks_or_runs_anything(
    page: Page, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in HOSTILE:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (40, 30), 204).save(name)
    shows = dict.fromkeys(HOSTILE, Label.NORMAL) | {"<b>gone</b>.png": Label.NORMAL}
    page.open(written(tmp_path, tiny_model, shows)[0])
    names = page.run("return [...document.querySelectorAll('.mistake .name')].map(each => each.textContent)")
    assert set(names) == {printable(name).rsplit("/", 1)[-1] for name in HOSTILE}
    page.click(".mistake")
    page.press(*"j" * len(HOSTILE))
    page.press(Keys.ESCAPE)
    page.click("summary")
    assert "<b>gone</b>.png (NORMAL): not_found" in page.text("details li")
    assert not page.run("return document.querySelectorAll('b, [onload], [onerror]').length")
    assert page.run("return document.scripts.length") == 3
    assert page.chrome.title == "Evaluation · pneumoscan"


def test_no_threshold_is_lost_on_paper(
    page: Page, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, brightness in (("ill.png", 204), ("sound.png", 51)):
        Image.new("L", (40, 30), brightness).save(name)
    labels = {"ill.png": Label.PNEUMONIA, "sound.png": Label.NORMAL}
    page.open(written(tmp_path, tiny_model, labels, at=[each / 10 for each in range(1, 9)])[0])
    table = "const card = document.querySelector('.wide'), cells = card.querySelectorAll('thead th'); return "
    is_in_sight = "getComputedStyle(card).overflowX === 'visible' || card.scrollWidth <= card.clientWidth"
    assert page.run(f"{table} cells.length") >= 9
    page.prefer("light", medium="print")
    assert page.run(f"{table} {is_in_sight}")
    page.prefer("light")


def test_without_scripts_there_is_no_threshold_to_set(opened: Page) -> None:
    opened.run("document.documentElement.removeAttribute('data-theme')")  # as it is until a script has run
    assert [opened.one(name).is_displayed() for name in ("#slider", "#threshold", ".chart")] == [False, False, True]


def test_no_mistake_is_shown_as_a_certain_one(page: Page, tiny_model: Path, tmp_path: Path) -> None:
    Image.new("L", (40, 30), 255).save(tmp_path / "a.png")
    shows = {str(tmp_path / "a.png"): Label.NORMAL}
    page.open(written(tmp_path, tiny_model, shows)[0])
    assert page.text(".mistake .score") == ">0.999"


def test_the_names_of_figures_stay_in_sight_when_a_wide_table_is_scrolled(opened: Page) -> None:
    opened.run("document.querySelector('.wide').style.width = '20rem'")
    left = "return document.querySelector('.wide tbody th').getBoundingClientRect().left"
    card = "return document.querySelector('.wide').getBoundingClientRect().left"
    opened.run("document.querySelector('.wide').scrollLeft = 400")
    assert opened.run("return document.querySelector('.wide').scrollLeft") > 50
    assert opened.run(left) >= opened.run(card)


def test_every_plot_is_seen_on_paper_in_the_light_theme(opened: Page) -> None:
    opened.click("#theme")
    opened.prefer("dark", medium="print")
    charts = opened.chrome.find_elements(By.CSS_SELECTOR, ".chart")
    assert len(charts) == 5
    assert all(each.is_displayed() and each.size["width"] > 200 for each in charts)
    assert opened.run("return getComputedStyle(document.querySelector('.chart text')).fill") == "rgb(23, 27, 33)"


def test_every_name_is_whole_on_paper(
    page: Page, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    long = f"{'1.2.826.0.1.' * 15}png"
    for name, brightness in ((long, 204), ("sound.png", 51)):
        Image.new("L", (40, 30), brightness).save(name)
    page.open(written(tmp_path, tiny_model, dict.fromkeys((long, "sound.png", "gone.png"), Label.NORMAL))[0])
    is_whole = "const name = document.querySelector('.mistake .name'); return name.scrollHeight <= name.clientHeight"
    assert not page.run(is_whole)
    assert not page.one("details li").is_displayed()
    page.prefer("light", medium="print")
    page.until(lambda: page.one("details li").is_displayed())
    assert "gone.png (NORMAL): not_found" in page.text("details li")
    assert page.run(is_whole)
    assert page.text(".mistake .name") == long
    page.prefer("light")
    page.until(lambda: not page.one("details li").is_displayed())


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_keeps_people_from_using_the_page(opened: Page, axe: str, theme: str) -> None:
    opened.prefer(theme)
    opened.run(axe)

    def findings() -> list[tuple[str, str]]:
        found = opened.chrome.execute_async_script("axe.run().then(arguments[0])")["violations"]
        return [(each["id"], node["html"]) for each in found for node in each["nodes"] if each["impact"] != "minor"]

    assert findings() == []
    opened.click(".mistake")
    assert findings() == []
