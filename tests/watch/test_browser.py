"""The page in a real browser, beside a real training.

``LABWRIGHT_SCREENSHOT=FILE`` also takes the picture of the documentation: the bundled sample, trained a second time.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from labwright.testing.commands import Command, until
from labwright.testing.tiny import tiny_sequences, tiny_study
from tests.watch import made
from tests.watch.served import Served, served

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
PICTURE = os.environ.get("LABWRIGHT_SCREENSHOT")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with chromedriver on this machine")
LONG_S = 3600.0
SETS = ("train.batch_size=2", "train.accelerator=cpu", "run.on.workers=1", "run.on.threads=1")


class Page:
    """An open page."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, server: Served, token: str | None = None) -> None:
        token = server.token_file.read_text().strip() if token is None else token
        self.driver.get("about:blank")  # a change behind the # alone would not load the page anew
        self.driver.get(f"{server.url}/#token={token}")

    def texts(self, selector: str) -> list[str]:
        """The shown text of all elements that fit, hidden ones too."""
        try:
            return [str(one.get_attribute("textContent")) for one in self.driver.find_elements(By.CSS_SELECTOR, selector)]
        except StaleElementReferenceException:
            return self.texts(selector)

    def text(self, selector: str) -> str:
        return " ".join(self.texts(selector))

    def wait(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        try:
            until(lambda: bool(condition()), seconds)
        except TimeoutError as error:
            raise AssertionError(f"in vain; the page shows: {self.text('body')[:2000]}; {self.console()}") from error

    def points(self) -> int:
        """Points of the first curve, as plotly holds them."""
        return int(self.driver.execute_script("return document.querySelector('.plot')?.data?.[0].x.length ?? 0"))

    def console(self) -> list[dict[str, Any]]:
        """What the browser complained about since the last call."""
        return [entry for entry in self.driver.get_log("browser") if "403" not in entry["message"]]  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    profile = tmp_path_factory.mktemp("profile")
    words = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,1500")
    for word in (*words, f"--user-data-dir={profile}"):
        options.add_argument(word)
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=Service(DRIVER)) as made_driver:
        made_driver.set_script_timeout(20)
        yield made_driver


@pytest.fixture
def page(driver: webdriver.Chrome) -> Page:
    opened = Page(driver)
    opened.console()
    return opened


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return tiny_study(tmp_path / "study", tiny_sequences(tmp_path / "study" / "data"))


def train(study: Path, *sets: str, **options: Any) -> Command:
    words = [word for one in (*SETS, *sets) for word in ("--set", one)]
    return Command(["train", study, *words], study.parent / f"said-{time.monotonic_ns()}", **options)


@pytest.mark.slow
def test_a_training_is_seen_live_and_can_be_stopped_and_goes_on(page: Page, study: Path, tmp_path: Path) -> None:
    command = train(study, "train.epochs=100000", "train.checkpoint_every_s=1")
    try:
        with served(study, "--allow-actions", state=tmp_path) as server:
            page.open(server)
            page.wait(lambda: "running" in page.texts(".state .word") and page.points() > 1)
            assert page.driver.current_url == f"{server.url}/", "the token is gone from the address"
            assert page.driver.get_cookies() == []
            assert page.text("#name").startswith("train-")
            amount, points = page.text(".bar .amount"), page.points()
            page.wait(lambda: page.text(".bar .amount") != amount and page.points() > points)
            assert page.driver.title.startswith("running · ")
            assert page.driver.find_elements(By.CSS_SELECTOR, "[data-panel=curves] svg.main-svg")
            assert "speed" in page.text(".card .name")
            assert any("J" in value for value in page.texts("[data-panel=energy] .card .value"))
            assert "# attempt 1 of train-" in page.text(".lines")
            assert "ago" in page.text(".state time")

            page.driver.find_element(By.ID, "stop").click()
            page.driver.switch_to.alert.accept()
            assert command.wait(60) == 75, command.said()
            page.wait(lambda: page.texts(".state .word") == ["stopped"])
            assert "SIGTERM came" in page.text(".state .words")
            assert "labwright step" in page.text("[data-panel=commands] code")

            command = train(study, "train.epochs=100000", "train.checkpoint_every_s=1")
            page.wait(lambda: page.texts(".state .word") == ["running"] and "attempt 2 of 2" in page.text(".state .fact"))
            page.wait(lambda: page.driver.execute_script("return document.querySelector('.plot').layout.shapes.length") == 1)
            assert page.console() == []
    finally:
        command.kill()


def test_the_page_comes_back_when_the_server_does(page: Page, tmp_path: Path) -> None:
    run = made.run_folder(tmp_path / "runs" / "train-1", {"0001": [made.start(time.time())]})
    with served(run.folder, state=tmp_path) as server:
        page.open(server)
        page.wait(lambda: page.text("#name") == "train-1")
        server.process.kill()
        page.wait(lambda: "Not connected" in page.text("#notice"))
        assert "Runs go on without this page" in page.text("#notice")
        assert page.text("#name") == "train-1", "what was shown stays"
    port = server.url.rpartition(":")[2]
    with served(run.folder, "--port", port, state=tmp_path) as again:
        assert again.url == server.url
        page.wait(lambda: "the token is missing or wrong" in page.text("#notice"))
        page.driver.find_element(By.NAME, "token").send_keys(again.token_file.read_text().strip())
        page.driver.find_element(By.CSS_SELECTOR, "#ask button").click()
        page.wait(lambda: page.text("#notice") == "" and page.texts(".state .word") == ["running"])


def test_a_wrong_token_shows_nothing(page: Page, tmp_path: Path) -> None:
    made.run_folder(tmp_path / "runs" / "train-secret", {"0001": [made.start(time.time())]})
    with served(tmp_path / "runs", state=tmp_path) as server:
        page.open(server, "wrong")
        page.wait(lambda: page.text("#notice").startswith("403"))
        assert "train-secret" not in page.driver.page_source
        page.open(server, "")
        page.wait(lambda: page.text("#notice").startswith("403"))
        assert "train-secret" not in page.driver.page_source


def test_another_site_in_the_same_browser_gets_nothing(page: Page, tmp_path: Path) -> None:
    made.run_folder(tmp_path / "runs" / "train-secret", {"0001": [made.start(time.time())]})
    with served(tmp_path / "runs", state=tmp_path) as server:
        page.open(server)
        page.wait(lambda: page.text("#name") == "train-secret")
        page.driver.get("data:text/html,<title>elsewhere</title>")
        ask = """
            const [url, headers, done] = arguments;
            fetch(url, {headers}).then(async (answer) => done(await answer.text()), (error) => done(`refused: ${error}`));
        """
        for headers in ({}, server.headers):
            answer = page.driver.execute_async_script(ask, f"{server.url}/api/runs", headers)
            assert answer.startswith("refused"), answer
        page.driver.execute_script("document.body.append(Object.assign(document.createElement('iframe'), {src: arguments[0]}))", server.url)
        page.driver.switch_to.frame(0)
        assert not page.driver.find_elements(By.ID, "run"), "the page cannot be framed"
        page.driver.switch_to.default_content()


def test_scripts_in_a_journal_are_text(page: Page, tmp_path: Path) -> None:
    bad, now = made.HOSTILE, time.time()
    records = [
        made.start(now, host=bad),
        made.metric(now, 1, phase=bad, part=bad, **{bad: 1.0}),
        made.progress(now, 1, 2, title=bad, **{bad: bad}),
        made.energy(now, 1.0, method=bad, scope=bad, stage=bad),
        {"t": now, "kind": "finding", "code": bad, "severity": bad, "place": bad, "text": bad},
    ]
    run = made.run_folder(tmp_path / "runs" / "train-1", {"0001": records}, name=bad, sweep=bad, options={bad: bad})
    (run.folder / "journal" / "0001.log").write_text(f"{bad}\n")
    with served(tmp_path / "runs", state=tmp_path) as server:
        page.open(server)
        page.wait(lambda: bad in page.text(".lines") and page.points() == 1)
        for place in ("#overview", "[data-panel=alive]", "[data-panel=progress]", "[data-panel=energy]", "[data-panel=details]"):
            assert bad in page.text(place), place
        page.driver.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.driver.find_elements(By.CSS_SELECTOR, "main img, main script:not([type='application/json'])") == []
        assert "taken" not in page.driver.title
        assert page.console() == []


def test_tables_sort_and_logs_filter_also_while_news_come(page: Page, tmp_path: Path) -> None:
    for number, rate in enumerate((3, 1, 2)):
        made.run_folder(
            tmp_path / "runs" / f"train-{number}", {"0001": [made.start(time.time())]}, created=str(number), sweep=f"rate={rate}"
        )
    log = tmp_path / "runs" / "train-0" / "journal" / "0001.log"
    log.write_text("epoch 1\nwarning: slow\n")
    with served(tmp_path / "runs", state=tmp_path) as server:
        page.open(server)
        link = "//nav//a[@title='train-0']"
        page.wait(lambda: page.driver.find_elements(By.XPATH, link))
        page.driver.find_element(By.XPATH, link).click()
        page.wait(lambda: "warning: slow" in page.text(".lines"))
        points = "[data-panel=siblings] tbody td:nth-child(2)"
        head = page.driver.find_element(By.CSS_SELECTOR, "[data-panel=siblings] th:nth-child(2)")
        page.driver.execute_script("arguments[0].click()", head)
        assert page.texts(points) == ["rate=3", "rate=2", "rate=1"]
        page.driver.execute_script("arguments[0].click()", head)
        assert page.texts(points) == ["rate=1", "rate=2", "rate=3"]
        page.driver.find_element(By.CSS_SELECTOR, "input.filter").send_keys("WARN")
        with log.open("a") as stream:
            stream.write("epoch 2\nwarning: slower\n")
        page.wait(lambda: "slower" in page.text(".lines"))
        assert page.texts(".lines > div:not([hidden])") == ["warning: slow", "warning: slower"]
        assert page.texts(points) == ["rate=1", "rate=2", "rate=3"]


@pytest.mark.slow
@pytest.mark.skipif(PICTURE is None, reason="LABWRIGHT_SCREENSHOT names no file for the picture")
def test_the_picture_of_the_documentation(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "T98G cells"
    assert Command(["demo", "cells", "--to", folder, "--quiet"], tmp_path / "demo").wait(LONG_S) == 0
    before = set(folder.glob("runs/train-*"))
    # The second training learns more slowly, and is stopped once on its way.
    words = ["train", folder / "study.yaml", "--sweep", "train.learning_rate=1e-3", "--set", "train.epochs=24"]
    command = Command(words, tmp_path / "first")
    try:
        until(lambda: any(steps(run) >= 70 for run in set(folder.glob("runs/train-*")) - before), LONG_S)
        command.stop()
        assert command.wait() == 75
        command = Command(words, tmp_path / "second")
        with served(folder, state=tmp_path) as server:
            page.open(server)
            page.wait(lambda: any(f" {percent} %" in page.text(".bar .amount") for percent in range(68, 76)), LONG_S)
            height = page.driver.execute_script("return document.querySelector('[data-panel=energy]').getBoundingClientRect().bottom")
            page.driver.set_window_size(1400, int(height) + 160)
            time.sleep(3)
            page.driver.save_screenshot(str(PICTURE))
            # A palette is plenty, and a fraction of the bytes.
            colours = Image.open(str(PICTURE)).convert("RGB").quantize(256, kmeans=2, dither=Image.Dither.NONE)
            colours.save(str(PICTURE), optimize=True)
    finally:
        command.kill()
    assert Path(str(PICTURE)).stat().st_size <= 300_000


def steps(run: Path) -> int:
    """Of the newest checkpoint."""
    return max((int(path.name) for path in run.glob("checkpoints/*/[0-9]*")), default=0)
