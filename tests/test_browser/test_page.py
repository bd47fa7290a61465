"""The browser page in Chromium, from a local server: what it shows equals glip.runtime.

.ci/peers runs these tests, in an environment with playwright and with onnxruntime-web from npm.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glip.config import demo_file
from glip.runtime import DetInferencer
from tests.test_browser.test_build import build

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "build/npm/node_modules/onnxruntime-web"
MANY = " . ".join(f"{color} star {number}" for color in ("red", "blue") for number in range(20))
#: Chromium as root, without its own requests.
OPTIONS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """The small model, exported."""
    pytest.importorskip("onnx")
    from glip.cli.export import main

    if not RUNTIME.is_dir():
        pytest.skip("there is no onnxruntime-web: see docs/browser.md for the npm command")
    folder = tmp_path_factory.mktemp("export") / "nano"
    main(["--weights", "glip_nano_shapes", "--out", str(folder)])
    return folder


@pytest.fixture(scope="module")
def site(model, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("page") / "site"
    build("--model", str(model), "--out", str(out), "--onnxruntime-web", str(RUNTIME))
    return out


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def inferencer(model) -> DetInferencer:
    return DetInferencer(model)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass


@pytest.fixture(scope="module")
def open_page(chromium) -> Iterator:
    """Serve a folder and open it; errors of the page and requests to other hosts fail the test."""
    problems: list[str] = []
    servers, contexts = [], []

    def start(folder: Path, setup: str = ""):
        handler = functools.partial(QuietHandler, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        contexts.append(chromium.new_context(viewport=dict(width=1200, height=900)))
        page = contexts[-1].new_page()
        page.set_default_timeout(90_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        local = (url, "blob:", "data:")
        page.on("request", lambda r: None if r.url.startswith(local) else problems.append(r.url))
        if setup:
            page.add_init_script(setup)
        page.goto(url)
        return page

    yield start
    for context in contexts:
        context.close()
    for server in servers:
        server.shutdown()
        server.server_close()
    assert not problems


@pytest.fixture(scope="module")
def page(open_page, site):
    """The page, with the detections of its example; each test says what it needs."""
    opened = open_page(site)
    opened.wait_for_selector("#phrases li")
    return opened


def wait_for_status(page, pattern: str) -> str:
    page.wait_for_function(
        "pattern => new RegExp(pattern).test(document.getElementById('status').textContent)",
        arg=pattern,
    )
    return page.inner_text("#status")


def give(page, path: Path, text: str, threshold: float = 0.2) -> dict:
    """Choose an image, type names, and save the detections."""
    page.fill("#text", text)
    page.locator("#threshold").fill(str(threshold))
    page.set_input_files("#file", str(path))
    page.wait_for_function(
        "name => document.getElementById('size').textContent.startsWith(name)", arg=path.name
    )
    wait_for_status(page, r"boxes \d")
    return saved(page)


def saved(page) -> dict:
    page.evaluate("document.getElementById('details').open = true")
    with page.expect_download() as found:
        page.click("#save")
    return json.loads(Path(found.value.path()).read_text())


def compare(record: dict, path: Path, text: str, inferencer: DetInferencer, boxes: float) -> int:
    """Compare with Python, boxes to some pixels; returns the number of detections."""
    low = record["score_thr"]
    (want,) = inferencer(str(path), texts=text, custom_entities=True, score_thr=low)["predictions"]
    assert record["phrases"] == want["phrases"]
    assert record["label_names"] == want["label_names"]
    assert record["labels"] == want["labels"]
    if want["labels"]:
        assert np.abs(np.subtract(record["scores"], want["scores"])).max() < boxes / 50
        assert np.abs(np.subtract(record["bboxes"], want["bboxes"])).max() < boxes
    assert np.abs(np.subtract(record["presence"], want["presence"])).max() < boxes / 50
    return len(want["labels"])


def test_images(page, inferencer, tmp_path):
    """Decoded, turned upright and resized as Pillow does; transparent pixels keep their colours."""
    shapes = Image.open(demo_file("shapes.jpg")).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    turned = shapes.transpose(Image.Transpose.ROTATE_90)
    alpha = shapes.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(shapes.size))
    frames = [image.convert("P", palette=Image.Palette.ADAPTIVE) for image in (shapes, turned)]
    shapes.save(tmp_path / "a.jpg", quality=80)
    turned.save(tmp_path / "turned.jpg", quality=95, exif=exif)
    alpha.save(tmp_path / "alpha.png")
    shapes.resize((1300, 1500)).save(tmp_path / "large.png")
    shapes.crop((0, 300, 640, 500)).save(tmp_path / "wide.webp", lossless=True)
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    Image.new("RGB", (1, 1), "gray").save(tmp_path / "pixel.png")
    text = "red star . green triangle . purple square . ring . moon ."
    counts = {}
    for path in sorted(tmp_path.iterdir()):
        record = give(page, path, text)
        assert (record["image"], record["model"]) == (path.name, "glip_nano_shapes")
        # JPEG: decoders may differ by a level.
        boxes = 0.5 if path.suffix == ".jpg" else 0.02
        counts[path.name] = compare(record, path, text, inferencer, boxes)
    assert counts.pop("pixel.png") == 0
    assert min(counts.values()) >= 5


def test_names(page, inferencer):
    """Several captions, other scripts, underscores, parentheses, a name twice."""
    shapes = demo_file("shapes.jpg")
    for text in (MANY, "red star", "Red_Star. ring (two) . STAR . кот . 星 . 😀 . étoile . star"):
        assert compare(give(page, shapes, text), shapes, text, inferencer, 0.02) > 1
    assert "does not know “кот”, “星”, “😀”" in page.inner_text("#text-note")
    chips = page.locator("#phrases button").all_inner_texts()
    assert len(chips) == 8
    page.fill("#text", "star, ring")
    page.wait_for_selector("#text-note:has-text('read as one class name')")


def test_nothing_runs_twice(page, tmp_path):
    """A new text keeps the image, a known text its features; the threshold runs nothing."""
    first = "red star . green triangle . purple square ."
    page.fill("#text", first)
    wait_for_status(page, "Image kept, text .*, boxes")
    path = shutil.copy(demo_file("shapes.jpg"), tmp_path / "fresh.jpg")
    page.set_input_files("#file", str(path))
    wait_for_status(page, r"Image \d.*, text kept")
    page.fill("#text", "ring .")
    assert "Image kept, text 0" in wait_for_status(page, r"Image kept")
    page.fill("#text", first)
    before = wait_for_status(page, r"text kept")
    for threshold, count in ((0.9, 0), (0.1, 10), (0.6, 4)):
        page.locator("#threshold").fill(str(threshold))
        rows = page.locator("#boxes tr").count()
        assert rows == count if count < 10 else rows >= count
        assert page.inner_text("#threshold-value") == f"{threshold:.2f}"
        label = page.get_attribute("#canvas", "aria-label")
        assert label.startswith(f"fresh.jpg: {rows} detections")
    assert page.inner_text("#status") == before


DROP = """async (name) => {
  const content = await (await fetch("example/shapes.jpg")).blob();
  const data = new DataTransfer();
  data.items.add(new File([content], name, { type: "image/jpeg" }));
  const event = name.startsWith("drop")
    ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
  document.body.dispatchEvent(event);
}"""


def test_drop_paste_and_quick_typing(page, inferencer):
    for name in ("dropped.jpg", "pasted.jpg"):
        page.evaluate(DROP, name)
        page.wait_for_selector(f"#size:has-text('{name}')")
        # Each text replaces the one before it, whose run may have begun.
        for text in ("red", "red star", MANY, "ring ."):
            page.fill("#text", text)
            page.wait_for_timeout(270)
        page.wait_for_selector("#phrases li:nth-child(1):last-child:has-text('ring')")
        record = saved(page)
        assert record["image"] == name
        assert compare(record, demo_file("shapes.jpg"), "ring .", inferencer, 0.5) > 1


def test_errors_of_visitors(page, tmp_path):
    """Each says what to do; what was shown before stays."""
    give(page, demo_file("shapes.jpg"), "star . ring .")
    error = page.locator("#error")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "cut.png").write_bytes(demo_file("shapes.jpg").read_bytes()[:200])
    (tmp_path / "empty.png").touch()
    shapes = Image.open(demo_file("shapes.jpg"))
    shapes.save(tmp_path / "half.png")
    os.truncate(tmp_path / "half.png", 100_000)
    (tmp_path / "drawing.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="5"/></svg>'
    )
    Image.new("L", (16385, 2)).save(tmp_path / "long.png")
    for name, reason in {
        "notes.txt": "not an image",
        "cut.png": "not an image",
        "empty.png": "is empty",
        "drawing.svg": "a drawing without pixels",
        "half.png": "incomplete or damaged",
        "long.png": "at most 16384 on each side",
    }.items():
        page.set_input_files("#file", str(tmp_path / name))
        page.wait_for_selector(f"#error:has-text('{reason}')")
        assert name in error.inner_text()
        page.wait_for_selector("#phrases li")
        assert page.inner_text("#size").startswith("shapes.jpg")
    for text, reason in {
        " . ": "no class name, only periods",
        "star . (red) .": "is empty without its parentheses",
        "\u200b": "has no token",
        "x" * 50_001: "at most 50000",
        " ".join(["star"] * 255): "takes 257 tokens",
    }.items():
        page.fill("#text", text)
        page.wait_for_selector(f"#error:has-text('{reason}')")
        assert page.locator("#phrases li").count() == 0
    page.fill("#text", "")
    wait_for_status(page, "Type class names")
    page.fill("#text", "star")
    page.wait_for_selector("#phrases li")
    assert error.is_hidden()


def test_errors_of_the_host(open_page, site, tmp_path):
    """Files that are missing, of another version, or of another export."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(site, tmp_path / name))

    changes = {
        "no_model": ("There is no model", lambda folder: shutil.rmtree(folder / "model")),
        "version": ("of another version: expected the ONNX format 1, got onnx 2", _other_version),
        "mixed": (
            "answer.onnx does not belong to the model",
            lambda folder: shutil.copy(folder / "model/text.onnx", folder / "model/answer.onnx"),
        ),
        "runtime": (
            "onnxruntime-web is not in the folder",
            lambda folder: shutil.rmtree(folder / "onnxruntime"),
        ),
        "worker": ("cannot start its worker", lambda folder: (folder / "worker.js").unlink()),
    }
    for name, (reason, change) in changes.items():
        folder = copy(name)
        change(folder)
        page = open_page(folder)
        page.wait_for_load_state("networkidle")  # the example comes after some of the errors
        page.wait_for_selector(f"#error:has-text('{reason}')")
    page = open_page(site, "delete window.WebAssembly")
    page.wait_for_selector("#error:has-text('no WebAssembly')")


def _other_version(folder: Path) -> None:
    manifest = json.loads((folder / "model/manifest.json").read_text())
    manifest["format_version"] = 2
    (folder / "model/manifest.json").write_text(json.dumps(manifest))


def test_phone_and_keyboard(page):
    give(page, demo_file("shapes.jpg"), "star . ring .")
    page.set_viewport_size(dict(width=360, height=740))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.focus("#choose")
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.type"))
    assert [each for each in reached if each != "button"][:3] == ["example", "text", "threshold"]
    for role, name in (
        ("button", "Choose an image"),
        ("textbox", "Class names"),
        ("slider", "Score threshold"),
    ):
        assert page.get_by_role(role, name=name).count() == 1
    star = page.locator("#phrases button").first
    star.press("Enter")
    assert page.locator("#phrases button").first.get_attribute("aria-pressed") == "true"
