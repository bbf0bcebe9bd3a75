import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from tests.demo_images import fetch
from tests.tiny_model import write_model

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

# Correctness is tested here, not speed: a busy machine must fail no test.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# A shell or nohup may have had them ignored, which programs that are tested would inherit.
for name, handler in (("SIGINT", signal.default_int_handler), ("SIGTERM", signal.SIG_DFL), ("SIGHUP", signal.SIG_DFL)):
    if hasattr(signal, name):  # Windows has no SIGHUP
        signal.signal(getattr(signal, name), handler)

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def demo_images() -> list[Path]:
    """16 real chest X-rays, sorted: 8 normal ones, then 8 with pneumonia."""
    folder = ROOT / ".cache" / "demo"
    fetch(folder)
    return sorted(folder.glob("*.jpeg"))


@pytest.fixture(scope="session")
def dataset() -> Path:
    """The folder that PNEUMOSCAN_DATA names, with `chest_xray_224` and `originals`."""
    if "PNEUMOSCAN_DATA" not in os.environ:
        pytest.skip("PNEUMOSCAN_DATA is not set")
    return Path(os.environ["PNEUMOSCAN_DATA"])


@pytest.fixture
def flat(tmp_path: Path) -> Callable[[str, int], Path]:
    """Makes a picture of one brightness, of which the tiny model says p(pneumonia) = brightness / 255."""

    def make(name: str, brightness: int) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (40, 30), brightness).save(path)
        return path

    return make


@pytest.fixture
def many(flat: Callable[[str, int], Path], tmp_path: Path) -> Callable[[int], Path]:
    """Makes a folder of that many pictures, all links to one of p(pneumonia) = 0.2."""

    def make(count: int) -> Path:
        folder = tmp_path / "many"
        first = flat("many/0000000.png", 51)
        for number in range(1, count):
            os.link(first, folder / f"{number:07}.png")
        return folder

    return make


@pytest.fixture
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the program as a user would, in a process of its own, with its output captured as in a pipe."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pneumoscan", *map(os.fspath, map(_text, arguments))]
        settings = {"capture_output": True, "encoding": "utf-8", "errors": "surrogateescape", "timeout": 120}
        return subprocess.run(command, check=False, **(settings | options))  # type: ignore[call-overload]

    return run


@pytest.fixture
def unheard() -> Iterator[int]:
    """The end of a pipe to write to, which nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def let_others_in(folder: Path) -> None:
    """Lets other users reach a folder; pytest keeps them out."""
    for each in (folder, *folder.parents):
        if not each.stat().st_mode & 0o001:
            each.chmod(each.stat().st_mode | 0o011)


def _text(argument: object) -> str | os.PathLike[str]:
    return argument if isinstance(argument, str | os.PathLike) else str(argument)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Chrome"]:
    """A headless Chromium for all tests of pages, which may neither download nor call anybody."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        lacking("Chromium and its driver")
    options = ChromeOptions()
    options.binary_location = chromium
    for switch in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "window-size=1280,900",
        f"user-data-dir={tmp_path_factory.mktemp('browser')}",
    ):  # fmt: skip
        options.add_argument(f"--{switch}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = Chrome(options=options, service=ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which finds what keeps people from using a page."""
    source = ROOT / ".cache" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
    if not source.exists():
        lacking("axe-core")
    return source.read_text()


def lacking(what: str) -> NoReturn:
    """Skips a test of pages, but fails it where they must run."""
    message = f"{what} not found; get it with: make browser"
    if os.environ.get("PNEUMOSCAN_BROWSER_TESTS") == "required":
        pytest.fail(message)
    pytest.skip(message)
