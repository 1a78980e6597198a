"""The pages as a person uses them, in a browser without a window."""

import os
import shutil
import time

import pytest

from serving import KEY, PATIENCE, make_media, serving, tiny_detector

pytestmark = pytest.mark.slow
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture(params=[True, False], ids=["with script", "without script"], scope="module")
def browser(request):
    """Chromium, where it and its driver are installed; it talks to this machine only."""
    webdriver = pytest.importorskip("selenium.webdriver")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no chromium, or no driver of it")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "no-proxy-server"):
        options.add_argument(f"--{word}")
    if not request.param:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(PATIENCE)
    yield driver
    driver.quit()


@pytest.fixture
def until(browser):
    """Waits for the one element that a selector finds."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    def found(selector):
        return WebDriverWait(browser, PATIENCE).until(lambda driver: driver.find_element(By.CSS_SELECTOR, selector))

    return found


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return tiny_detector(tmp_path_factory.mktemp("box"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_media(tmp_path_factory.mktemp("media"))["video"]


def choose(browser, until, url, file):
    browser.get(url)
    until("input[type=file]").send_keys(os.fspath(file))
    until("#upload button").click()


def blocked(browser):
    """What the browser refused to load or run."""
    return [entry["message"] for entry in browser.get_log("browser") if "Content Security Policy" in entry["message"]]


def test_choose_a_file_read_the_report_delete_it(browser, until, detector, clip, tmp_path):
    with serving(tmp_path / "served", detector, KEY) as server:
        url = str(server.client.base_url)
        browser.get(url)
        until("#key").send_keys(KEY)
        until("form button").click()
        until("#upload")
        choose(browser, until, url, clip)
        link = until("a.button")
        assert until("bdi.file").text == "clip.mp4" and until(".verdict h1").text
        link.click()
        assert until("#verdict h1").text and "clip.mp4" in until("main").text
        assert browser.current_url.endswith("/report")
        browser.back()
        until("form[action$=delete] button").click()
        until("#upload")
        assert "None yet." in until("main").text
        assert server.client.get("/api/jobs").json()["total"] == 0
        assert blocked(browser) == []


def test_a_refusal_is_told_on_the_page(browser, until, detector, tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    with serving(tmp_path / "served", detector) as server:
        choose(browser, until, str(server.client.base_url), tmp_path / "notes.png")
        told = until("#said:not(:empty), [role=alert]")
        until_true(lambda: "neither a picture nor a video" in told.text)


def drop(browser, form, files):
    """Drag files over the form, as a desktop hands them to the browser, and let go of them there."""
    box = form.rect
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [os.fspath(file) for file in files], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, **place, "data": data})
        if kind == "dragOver":
            assert "over" in form.get_attribute("class")


@pytest.mark.parametrize("browser", [True], ids=["with script"], indirect=True)
def test_drop_a_file_on_the_page(browser, until, detector, clip, tmp_path):
    with serving(tmp_path / "served", detector) as server:
        browser.get(str(server.client.base_url))
        drop(browser, until("#upload"), [clip, clip])
        until_true(lambda: "One file at a time" in until("#said").text)
        assert server.client.get("/api/jobs").json()["total"] == 0
        assert "over" not in until("#upload").get_attribute("class").split()
        drop(browser, until("#upload"), [clip])
        assert until("bdi.file").text == "clip.mp4" and until("a.button")
        assert server.client.get("/api/jobs").json()["total"] == 1
        assert blocked(browser) == []


def until_true(condition):
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)
