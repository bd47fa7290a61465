"""The page in a browser, and visitors at once: real requests to a running server.

.ci/peers runs these tests, in an environment with gradio and playwright.
"""

from __future__ import annotations

import json
import shutil
import socket
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from glip.apis import Predictor
from glip.config import demo_file
from tests.test_web.conftest import SETTINGS

pytestmark = pytest.mark.browser
gradio_client = pytest.importorskip("gradio_client", reason="gradio is not installed")
pytest.importorskip("gradio", reason="gradio is not installed")

MODEL = "glip_nano_shapes"
SHAPES = demo_file("shapes.jpg")
WAIT = 60_000  # milliseconds


@pytest.fixture(scope="module")
def url():
    from glip.web.server import running

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running(replace(SETTINGS, port=port)) as address:
        yield address


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(weights=MODEL, device="cpu")


@pytest.fixture
def page(url):
    """The page; it fails for errors and requests to other hosts."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    problems: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page(viewport=dict(width=1200, height=900))
        opened.set_default_timeout(WAIT)
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.on("request", lambda request: note_foreign(request.url, url, problems))
        opened.goto(url)
        opened.wait_for_selector("#detect-text textarea")
        yield opened
        browser.close()
    assert not problems


def note_foreign(target: str, url: str, problems: list[str]) -> None:
    if not target.startswith((url, "data:", "blob:")):
        problems.append(target)


def open_tab(page, name: str, part: str) -> None:
    page.get_by_role("tab", name=name).click()
    page.set_input_files(f"#{part}-image input[type=file]", str(SHAPES))


def tags(page, part: str) -> list[str]:
    return sorted(page.locator(f"#{part}-result .glip-box").all_inner_texts())


def expected(predictor: Predictor, prompt, score_thr: float) -> list[str]:
    predictor.set_image(SHAPES)
    found = predictor.predict(prompt, score_thr=score_thr).pred_instances
    return sorted(
        f"{name} {score:.2f}"
        for name, score in zip(found.label_names, found.scores.tolist(), strict=True)
    )


def test_detect(page, predictor):
    open_tab(page, "Detect", "detect")
    page.wait_for_selector("#detect-result .glip-box")
    prompt = "red star . green triangle . purple square ."
    assert tags(page, "detect") == expected(predictor, prompt, 0.6)
    page.fill("#detect-text textarea", "red ring . banana .")
    page.wait_for_selector("#detect-result .glip-absent")
    assert tags(page, "detect") == expected(predictor, "red ring . banana .", 0.6)
    assert "image kept" in page.locator("#detect-status").inner_text()
    page.locator("#detect-threshold input[type=number]").fill("0.2")
    page.locator("#detect-threshold input[type=number]").press("Tab")
    low = expected(predictor, "red ring . banana .", 0.2)
    page.wait_for_function(
        "count => document.querySelectorAll('#detect-result .glip-box').length === count",
        arg=len(low),
    )
    assert tags(page, "detect") == low
    with page.expect_download() as found:
        page.get_by_role("button", name="JSON").first.click()
    record = json.loads(Path(found.value.path()).read_text())
    assert len(record["scores"]) == len(low)
    assert record["score_thr"] == 0.2


def test_caption_and_boxes_highlight_each_other(page):
    open_tab(page, "Caption", "caption")
    page.fill("#caption-text textarea", "A red star and a blue heart.")
    page.wait_for_selector("#caption-result mark.glip-absent:has-text('blue heart')")
    marked = page.locator("#caption-result mark")
    assert marked.all_inner_texts() == ["red star", "blue heart"]
    box = page.locator("#caption-result .glip-box")
    assert box.count() == 1
    marked.first.hover()
    page.wait_for_selector("#caption-result .glip-box.glip-on")
    page.locator("#caption-text textarea").hover()
    page.wait_for_selector("#caption-result .glip-box:not(.glip-on)")
    box.hover()
    page.wait_for_selector("#caption-result mark.glip-on")
    assert page.locator("#caption-result .glip-chip.glip-absent").inner_text().startswith("blue")


def test_compare(page, predictor):
    open_tab(page, "Compare", "compare")
    page.wait_for_selector("#left-result .glip-box")
    page.wait_for_selector("#right-result .glip-box")
    for side, text in (("left", "red star ."), ("right", "red ring .")):
        page.fill(f"#{side}-text textarea", text)
        page.wait_for_function(
            "([side, name]) => [...document.querySelectorAll(`#${side}-result .glip-chip`)]"
            ".map(each => each.innerText).join().startsWith(name)"
            " && document.querySelectorAll(`#${side}-result .glip-chip`).length === 1",
            arg=[side, text[:-2]],
        )
        assert tags(page, side) == expected(predictor, text, 0.6)


def test_folder(page, tmp_path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as file:
        file.write(SHAPES, "a.jpg")
    page.get_by_role("tab", name="Folder").click()
    page.set_input_files("#folder-archive input[type=file]", str(tmp_path / "images.zip"))
    page.wait_for_selector("#folder-archive >> text=images")
    page.get_by_role("button", name="Label", exact=True).click()
    with page.expect_download() as found:
        page.locator("#folder-labels a").first.click()
    with zipfile.ZipFile(found.value.path()) as labels:
        coco = json.loads(labels.read("annotations.json"))
    assert [image["file_name"] for image in coco["images"]] == ["a.jpg"]
    assert len(coco["annotations"]) == 4


def test_ten_visitors_at_once(url, predictor, tmp_path):
    """Each has an image and a prompt of its own, and gets the answer of both."""
    from PIL import Image

    names = ["red star", "green triangle", "purple square", "red ring", "orange ring"] * 2
    whole = Image.open(SHAPES)
    whole.load()  # threads may not do so at once

    def visit(number: int) -> tuple[int, dict]:
        path = tmp_path / f"{number}.png"
        whole.crop((0, 0, 640 - 4 * number, 768 - 6 * number)).save(path)
        client = gradio_client.Client(url, verbose=False, download_files=str(tmp_path / "got"))
        image = gradio_client.handle_file(str(path))
        client.predict(image, "Class names", f"{names[number]} .", MODEL, api_name="/detect")
        answers = client.predict(0.3, api_name="/show_detect")
        return number, json.loads(Path(answers[2]["value"]).read_text())

    with ThreadPoolExecutor(10) as pool:
        found = dict(pool.map(visit, range(10)))
    for number, record in found.items():
        predictor.set_image(tmp_path / f"{number}.png")
        sample = predictor.predict(f"{names[number]} .", score_thr=0.3)
        want = json.loads(sample.to_json())
        assert record["image"] == f"{number}.png"
        assert (record["width"], record["height"]) == (want["width"], want["height"])
        assert record["label_names"] == want["label_names"]
        assert record["scores"] == pytest.approx(want["scores"], abs=1e-4)


def test_paths_and_urls_are_refused(url):
    """Without gradio's client, which uploads a path that it is given."""
    import httpx

    for path in ("/etc/passwd", str(SHAPES), f"{url}theme.css", "http://127.0.0.1:9/a.png"):
        image = dict(path=path, meta=dict(_type="gradio.FileData"))
        data = [image, "Class names", "a .", MODEL]
        call = httpx.post(f"{url}gradio_api/call/detect", json=dict(data=data)).json()
        with httpx.stream("GET", f"{url}gradio_api/call/detect/{call['event_id']}") as events:
            assert next(events.iter_lines()) == "event: error"
    for path in (SHAPES, "/etc/passwd"):
        assert httpx.get(f"{url}gradio_api/file={path}").status_code == 403
    large = dict(files=("a.png", bytes(SETTINGS.max_bytes + 100_000)))
    assert httpx.post(f"{url}gradio_api/upload", files=large).status_code == 413
