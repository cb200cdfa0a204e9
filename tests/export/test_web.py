"""Catches a page that classifies otherwise than its model, that asks for what is elsewhere, or that leaves a browser behind.

What runs in a browser needs Chromium, and LiteRT.js from npm in `.clients/litertjs`, where `make clients` puts it, or in the
folder that the variable LITERTJS names.
"""

import base64
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import ROOT, assert_refused, only
from PIL import Image

from keras_resnet import UserError
from keras_resnet.export.config import ExportConfig
from keras_resnet.export.formats.context import ConversionContext, Samples
from keras_resnet.export.formats.tflite.format import TFLITE
from keras_resnet.export.formats.web import application, browser, chromium, litertjs
from keras_resnet.export.formats.web.chromium import Page
from keras_resnet.export.formats.web.format import WEB
from keras_resnet.export.formats.web.reading import Application
from keras_resnet.export.formats.web.runner import WebRunner
from keras_resnet.export.runtime import format_of, load_predictor
from keras_resnet.export.targets import select_targets
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing, open_image

NODE_MODULES = Path(os.environ.get("LITERTJS", ROOT / ".clients" / "litertjs"))
QUANTIZED = {"none": "model.tflite", "fp16": "model_fp16.tflite", "int8": "model_int8.tflite"}


@pytest.fixture(scope="module")
def runtime():
    """The folder with LiteRT.js, where there is a browser to run it in."""
    if browser.find_browser() is None:
        pytest.skip("needs Chromium, Chrome or Edge")
    try:
        litertjs.find_runtime(NODE_MODULES)
    except UserError:
        pytest.skip("needs LiteRT.js from npm: make clients")
    return str(NODE_MODULES)


@pytest.fixture(scope="module")
def write(exported, run, tmp_path_factory):
    """Writes a page with one of the run's models; options are those of `ExportConfig`."""
    metadata = ClassifierMetadata.read_from(run.workdir / "model.keras")

    def write(quantization="none", samples=None, **options):
        folder = tmp_path_factory.mktemp("pages") / "web"
        options = {"web_runtime": None, "web_single_file": False, **options}
        context = ConversionContext(None, None, metadata, type("Options", (), options), folder.parent, {}, samples)
        WEB.write(exported.folder / QUANTIZED[quantization], folder, context)
        return folder

    return write


@pytest.fixture(scope="module")
def folder(write, runtime):
    """A page with the float model, in a folder."""
    images = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 1)).astype(np.uint8)
    samples = Samples(images, np.array([3, 5]), {"probabilities": np.eye(10, dtype=np.float32)[[3, 5]]})
    return write(web_runtime=runtime, samples=samples)


@pytest.fixture(scope="module")
def page(folder):
    """It, in a browser."""
    with Page(browser.find_browser(), Application(folder)) as page:
        yield page


def changed(folder, copy, name, old, new):
    """A copy of a page in which one of its sources is another."""
    shutil.copytree(folder, copy, copy_function=os.link)
    text = (folder / name).read_text()
    assert old in text
    (copy / name).unlink()
    (copy / name).write_text(text.replace(old, new))
    return copy


def in_base64(content):
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    ("quantization", "single"), [("none", False), ("fp16", False), ("int8", False), ("none", True), ("int8", True)]
)
def test_the_page_computes_what_its_model_does_in_litert(quantization, single, write, runtime, exported, rng):
    path = write(quantization, web_runtime=runtime, web_single_file=single)
    assert len(list(path.iterdir())) == 1 or not single
    predictor, expected = load_predictor(path), load_predictor(exported.folder / QUANTIZED[quantization])
    images = rng.integers(0, 256, (5, 8, 8, 1)).astype(np.uint8)
    try:
        assert predictor.inspect().note.startswith("The page was run in ")
        assert predictor.metadata == expected.metadata
        assert predictor.inspect().operators == expected.inspect().operators
        tolerance = 2 / 256 if quantization == "int8" else 1e-5  # relaxed SIMD may round integers another way
        np.testing.assert_allclose(only(predictor.run(images)), only(expected.run(images)), rtol=0, atol=tolerance)
        assert 0 < predictor.seconds(images[:1]) < 60
    finally:
        predictor._runner.close()


def test_a_single_file_is_found_in_a_folder_of_any_name(write, runtime, tmp_path):
    """Its address is a `file://` one, which Python and browsers do not write alike."""
    path = shutil.copytree(write(web_runtime=runtime, web_single_file=True), tmp_path / "a b#ä[1]%20+~'&" / "web")
    predictor = load_predictor(path)
    predictor._runner.close()
    assert predictor.inspect().note.startswith("The page was run in ")


def test_a_page_that_prepares_images_otherwise_than_evaluation_does_not_pass(folder, tmp_path):
    wrong = changed(folder, tmp_path / "web", "preprocess.js", "const reach = support * stretch", "const reach = support")
    with pytest.raises(UserError, match="the page prepares a 53x37 image otherwise than evaluation, by "):
        WebRunner(wrong)


def test_a_page_that_asks_for_what_is_elsewhere_does_not_pass(folder, tmp_path):
    asks = changed(folder, tmp_path / "asks", "camera.js", "const REASONS", 'fetch("https://example.com/a");\nconst REASONS')
    policy = "connect-src https: "
    asks = changed(asks, tmp_path / "web", "index.html", "connect-src ", policy)
    with pytest.raises(UserError, match=r"the page asks for https://example\.com/a, which is not one of its files"):
        WebRunner(asks)


def test_the_policy_of_the_page_forbids_requests_to_elsewhere(page):
    """So that a page which somebody has changed does not send the images away unnoticed."""
    with pytest.raises(UserError, match="Failed to fetch"):
        page.evaluate('() => fetch("https://example.com/")')
    with pytest.raises(UserError, match="TypeError"):
        page.evaluate('() => import("https://example.com/a.js")')
    assert page.foreign_requests == []


READ = """
async (base64, channels) => {
  const { readPixels } = await import("./decode.js");
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const { data, width, height } = await readPixels(new Blob([bytes]), channels);
  return [width, height, Array.from(data)];
}
"""


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def blotches(height, width, mode="RGB", seed=0):
    """Blotches: neither flat, where every decoder agrees, nor noise, of which JPEG leaves nothing."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 6 + 2, width // 6 + 2, 4)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(blotches(20, 31), "JPEG", exif=exif)


def invisible_colors():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 31, 4))
    pixels[..., 3] = np.random.default_rng(1).choice([0, 1, 128, 255], (20, 31))
    return encoded(Image.fromarray(pixels.astype(np.uint8)), "PNG")


def sixteen_bits():
    return Image.fromarray((np.asarray(blotches(60, 81, "L")).astype(np.uint16) << 8) + 200)


DECODED = {
    "jpeg": lambda: encoded(blotches(60, 81), "JPEG"),
    "jpeg, every pixel's color": lambda: encoded(blotches(60, 81), "JPEG", quality=95, subsampling=0),
    "jpeg, progressive": lambda: encoded(blotches(60, 81), "JPEG", progressive=True),
    "jpeg, gray": lambda: encoded(blotches(60, 81, "L"), "JPEG"),
    "jpeg, four inks": lambda: encoded(blotches(60, 81, "CMYK"), "JPEG"),
    "png": lambda: encoded(blotches(60, 81), "PNG"),
    "png, gray": lambda: encoded(blotches(60, 81, "L"), "PNG"),
    "png, 1 bit": lambda: encoded(blotches(60, 81, "1"), "PNG"),
    "png, 16 bits": lambda: encoded(sixteen_bits(), "PNG"),
    "png, transparent": lambda: encoded(blotches(60, 81, "RGBA"), "PNG"),
    "png, transparent gray": lambda: encoded(blotches(60, 81, "LA"), "PNG"),
    "png, palette": lambda: encoded(blotches(60, 81, "P"), "PNG", transparency=3),
    "webp": lambda: encoded(blotches(60, 81), "WEBP"),
    "bmp": lambda: encoded(blotches(60, 81), "BMP"),
    "gif, two frames": lambda: encoded(blotches(60, 81, "P"), "GIF", save_all=True, append_images=[blotches(60, 81, "P", 1)]),
    "png, colors that cannot be seen": invisible_colors,
    "webp, transparent": lambda: encoded(blotches(60, 81, "RGBA"), "WEBP", lossless=True, exact=True),
    **{f"jpeg, orientation {number}": lambda number=number: turned(number) for number in range(1, 9)},
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", DECODED)
def test_the_browser_decodes_files_to_the_pixels_that_evaluation_reads(name, channels, page):
    """Catches premultiplied transparency, managed colors, and photographs that lie on their sides."""
    content = DECODED[name]()
    expected = open_image(io.BytesIO(content), channels)
    width, height, pixels = page.evaluate(READ, in_base64(content), channels)
    assert (width, height) == expected.size
    np.testing.assert_array_equal(pixels, np.asarray(expected).ravel())


HAND_OVER = """
async (base64, how) => {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const transfer = new DataTransfer();
  for (const name of ["a.png", "b.png"]) transfer.items.add(new File([bytes], name, { type: "image/png" }));
  const before = document.querySelectorAll(".best").length;
  if (how === "choose") {
    const input = document.getElementById("files");
    input.files = transfer.files;
    input.dispatchEvent(new Event("change"));
  } else if (how === "drop") {
    document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
  } else {
    document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer }));
  }
  while (document.querySelectorAll(".best").length < before + 2) await new Promise((done) => setTimeout(done, 10));
  const card = document.querySelector("#results .top").closest(".card");
  return {
    name: card.querySelector(".name").textContent,
    labels: [...card.querySelectorAll(".label")].map((label) => label.textContent),
    widths: [...card.querySelectorAll(".bar")].map((bar) => bar.style.width),
    note: card.querySelector(".note").textContent,
  };
}
"""


@pytest.mark.parametrize("how", ["choose", "drop", "paste"])
def test_images_come_by_choice_drop_and_paste_and_are_classified_as_evaluation_does(how, page, exported):
    content = encoded(blotches(30, 41, "L"), "PNG")
    shown = page.evaluate(HAND_OVER, in_base64(content), how)
    predictor = load_predictor(exported.folder / "model.tflite")
    pixels = predictor.metadata.preprocessing.load_image(io.BytesIO(content))
    [expected] = predictor.probabilities(pixels[np.newaxis])
    best = np.argsort(-expected, kind="stable")[:5]
    assert shown["name"] == "b.png"
    assert shown["labels"] == [predictor.metadata.labels[index] for index in best]
    widths = [float(width.removesuffix("%")) for width in shown["widths"]]
    np.testing.assert_allclose(widths, 100 * expected[best], atol=1e-2)
    assert " ms for the network" in shown["note"]


def test_what_is_not_an_image_is_named_and_the_next_one_is_classified(page):
    text = """async () => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(["no image"], "broken.png", { type: "image/png" }));
      document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer }));
      while (!document.querySelector(".failed")) await new Promise((done) => setTimeout(done, 10));
      return document.querySelector(".failed").textContent;
    }"""
    assert page.evaluate(text).startswith("This cannot be read as an image")


def test_what_is_dropped_on_a_page_without_its_model_leaves_the_reason_there(write):
    """The message went, nothing came in its place, and an error that nobody caught was thrown."""
    with Page(browser.find_browser(), Application(write())) as page:
        said = page.evaluate("""async () => {
          const status = document.getElementById("status");
          while (!status.classList.contains("error")) await new Promise((done) => setTimeout(done, 10));
          const thrown = [];
          addEventListener("unhandledrejection", (event) => thrown.push(event.reason.message));
          const transfer = new DataTransfer();
          transfer.items.add(new File(["no image"], "a.png", { type: "image/png" }));
          document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
          document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer }));
          await new Promise((done) => setTimeout(done, 100));
          return [status.textContent, ...thrown];
        }""")
    assert len(said) == 1
    assert "npm install" in said[0]


def test_names_without_spaces_do_not_make_the_page_wider_than_a_phone(page):
    text = """() => {
      document.querySelector(".lead").textContent = "very_long_name_".repeat(20);
      return [document.querySelector(".lead").scrollWidth, innerWidth];
    }"""
    width, window = page.evaluate(text)
    assert width <= window


CAMERA = """
async (error) => {
  const canvas = document.createElement("canvas");
  canvas.getContext("2d").fillRect(0, 0, 50, 50);
  const getUserMedia = async () => {
    if (error) throw new DOMException("", error);
    return canvas.captureStream(30);
  };
  const mediaDevices = error === "insecure" ? undefined : { getUserMedia };
  Object.defineProperty(navigator, "mediaDevices", { value: mediaDevices, configurable: true });
  document.getElementById("status").textContent = "";
  document.getElementById("camera").click();
  const live = document.getElementById("live");
  const status = document.getElementById("status");
  while (!(error ? status.textContent : live.querySelector(".best"))) await new Promise((done) => setTimeout(done, 10));
  const shown = !live.hidden;
  if (shown) document.getElementById("stop").click();
  return [status.textContent, shown, live.hidden, document.getElementById("camera").disabled];
}
"""


def test_the_camera_is_classified_and_stops_and_a_refusal_says_so(page):
    assert page.evaluate(CAMERA, "") == ["", True, True, False]
    for error, message in (("NotAllowedError", "The camera was refused"), ("insecure", "https:// or from localhost only")):
        text, shown, *_ = page.evaluate(CAMERA, error)
        assert message in text
        assert not shown


def test_samples_are_shown_with_what_keras_gives(page, folder):
    assert len(json.loads((folder / "samples.json").read_text())) == 2
    click = """async () => {
      document.querySelector(".sample").click();
      const name = () => document.querySelector("#results .top")?.closest(".card").textContent ?? "";
      while (!name().includes("Differs from Keras")) await new Promise((done) => setTimeout(done, 10));
      return name();
    }"""
    text = page.evaluate(click)
    assert "sample: 3" in text
    assert "Differs from Keras by at most 0." in text or "at most 1.0" in text


def test_no_image_is_published_unasked(write):
    assert json.loads((write() / "samples.json").read_text()) == []


def test_whoever_publishes_images_is_told(folder, write):
    predictor = load_predictor(folder)
    note = predictor.inspect().note
    predictor._runner.close()
    assert note.endswith("Samples of the test split are published with it: 2.")
    assert "test split" not in load_predictor(write()).inspect().note


def test_a_page_is_not_made_of_outputs_that_it_cannot_show(tmp_path):
    """LiteRT.js has no tensors of int8, which logits and features of an int8 file are: the page passed where no browser was."""
    for output in (("logits",), ("probabilities", "features"), ("probabilities", "gradcam")):
        with pytest.raises(UserError, match=r"a web page shows probabilities, and --output is .*: leave web out of --formats"):
            ExportConfig(tmp_path / "model.keras", tmp_path / "out", formats=("web",), output=output)


def test_a_page_without_its_runtime_says_how_to_get_it_and_its_model_is_verified(write, runtime, rng):
    path = write()
    assert json.loads((path / "package.json").read_text())["dependencies"]["@litertjs/core"] == litertjs.VERSION
    predictor = load_predictor(path)
    assert "The page was not run in a browser: it has no runtime yet" in predictor.inspect().note
    assert only(predictor.run(rng.integers(0, 256, (3, 8, 8, 1)).astype(np.uint8))).shape == (3, 10)
    with Page(browser.find_browser(), Application(path)) as page:
        said = page.evaluate("""async () => {
          const status = document.getElementById("status");
          while (!status.classList.contains("error")) await new Promise((done) => setTimeout(done, 10));
          return status.textContent;
        }""")
    assert "run `npm install` in the folder of this page" in said


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
def test_npm_puts_the_runtime_where_the_page_looks_for_it(write, runtime, tmp_path):
    """The script that runs after an installation, on packages that are there already."""
    path = write()
    shutil.copytree(litertjs.find_runtime(NODE_MODULES), path / "node_modules" / "@litertjs")
    subprocess.run(["npm", "run", "--silent", "postinstall"], cwd=path, check=True)
    assert Application(path).has_runtime
    assert all((path / litertjs.FOLDER / name).is_file() for name in litertjs.FILES)
    assert not list((path / litertjs.FOLDER).rglob("*threaded*"))


def test_without_a_browser_the_model_is_verified_and_the_report_says_so(write, monkeypatch, rng):
    path = write("int8")
    monkeypatch.setattr("keras_resnet.export.formats.web.runner.find_browser", lambda: None)
    predictor = load_predictor(path)
    assert only(predictor.run(rng.integers(0, 256, (3, 8, 8, 1)).astype(np.uint8))).shape == (3, 10)
    note = "The page was not run in a browser: no browser was found (CHROME_PATH names one). Its model was run in LiteRT."
    assert predictor.inspect().note == note


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_a_browser_that_does_not_start_is_not_the_pages_fault(folder, tmp_path, monkeypatch):
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\necho no display >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv(browser.VARIABLE, str(program))
    predictor = load_predictor(folder)
    assert "The page was not run in a browser: " in predictor.inspect().note
    assert "ended with exit status 3 (no display)" in predictor.inspect().note


def test_a_browser_that_is_not_there_is_named(monkeypatch, write, tmp_path):
    monkeypatch.setenv(browser.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"CHROME_PATH is .*none, which is not a program"):
        load_predictor(write())


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_a_browser_that_does_not_end_is_ended(tmp_path, monkeypatch):
    """With the processes that it has started."""
    program = tmp_path / "chromium"
    program.write_text(f"#!/bin/sh\nsleep 600 & echo $$ $! > {tmp_path}/started\nwhile :; do sleep 600; done\n")
    program.chmod(0o755)
    monkeypatch.setattr(chromium, "START", 5.0)
    monkeypatch.setattr(chromium, "END", 5.0)
    with pytest.raises(chromium.BrowserUnavailableError, match=r"has not answered Browser.getVersion within 5 seconds"):
        Page(program, None).__enter__()
    assert not [number for number in (tmp_path / "started").read_text().split() if is_running(int(number))]


def is_running(process):
    """Whether a process is there, and not only a record of it that nobody has read."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def short_path():
    """A folder for temporary files whose path is short, as people's are; pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="web-") as folder:
        yield Path(folder)


@pytest.mark.skipif(os.name == "nt", reason="sockets of Windows have no path")
def test_a_long_path_of_temporary_files_does_not_keep_the_browser_from_starting(folder, tmp_path, monkeypatch):
    """Its socket has a path of at most 108 letters."""
    long = tmp_path / ("long" * 20)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    with Page(browser.find_browser(), Application(folder)) as page:
        assert page.version
    assert not list(long.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="processes are killed otherwise there")
def test_a_killed_process_leaves_no_browser_and_no_profile(folder, short_path):
    """As verification does it: the process of an artifact is killed when it is done."""
    program = f"""
import pathlib, time
from keras_resnet.export.formats.web.runner import WebRunner
runner = WebRunner(pathlib.Path({str(folder)!r}))
print(runner._page._process.pid, flush=True)
time.sleep(600)
"""
    environment = {**os.environ, "TMPDIR": str(short_path), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True) as process:
        started = psutil.Process(int(process.stdout.readline()))
        family = [started.pid, *(child.pid for child in started.children(recursive=True))]
        assert len(family) > 2
        assert list(short_path.iterdir())
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (list(short_path.iterdir()) or any(map(is_running, family))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not list(short_path.iterdir())
    assert not any(map(is_running, family))


def test_of_the_quantizations_that_are_wanted_the_page_has_the_smallest():
    assert list(select_targets(["web"])) == ["web_int8"]
    assert list(select_targets(["tflite", "web"], ["none", "fp16"])) == ["tflite", "tflite_fp16", "web_fp16"]
    assert {target.file for target in WEB.targets} == {"web"}
    assert {target.embeds for target in WEB.targets} <= {target.name for target in TFLITE.targets}


def test_the_folders_of_a_page_and_of_a_saved_model_are_told_apart(write, exported):
    assert format_of(write()).name == "web"
    assert format_of(exported.folder / "saved_model").name == "saved_model"


def test_a_network_whose_images_no_browser_decodes_is_refused(exported, tmp_path):
    two = ClassifierMetadata("flat", "none", ("a", "b", "c"), Preprocessing(8, 8, 2, (0.5, 0.5), (0.5, 0.5)))
    context = ConversionContext(None, None, two, None, tmp_path, {})
    with pytest.raises(UserError, match="a web page shows images of 1 or 3 channels, and the model takes 2"):
        WEB.write(exported.folder / "model.tflite", tmp_path / "web", context)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--web_runtime={0}"], "has no LiteRT.js for the page: --web_runtime names a folder in which `npm install @litertjs/"),
        (["--web_single_file"], "--web_single_file puts LiteRT.js into the page: --web_runtime names a folder in which"),
        (["--sample_images=-1"], "sample_images is -1; it is at least 0"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_writes_nothing(flags, message, run, in_process, tmp_path):
    flags = [flag.format(tmp_path) for flag in flags]
    model = f"--model_path={run.workdir / 'model.keras'}"
    done = in_process("export", model, "--formats=web", f"--output_dir={tmp_path / 'out'}", *flags)
    assert_refused(done, message)
    assert not (tmp_path / "out").exists()


def test_a_runtime_that_lacks_a_file_is_named(tmp_path):
    (tmp_path / "@litertjs" / "core").mkdir(parents=True)
    (tmp_path / "@litertjs" / "core" / "package.json").write_text("{}")
    with pytest.raises(UserError, match=r"lacks core.dist.index\.js, which the page needs"):
        litertjs.find_runtime(tmp_path)


@pytest.mark.slow
def test_the_command_writes_verifies_and_replaces_a_page(run, data_dir, runtime, in_process, tmp_path):
    """Catches an export whose next quantization is refused for the folder of the last one, and a report without the browser."""
    flags = ["export", f"--model_path={run.workdir / 'model.keras'}", f"--data_dir={data_dir}", "--formats=web"]
    flags += [f"--web_runtime={runtime}", "--sample_images=3", f"--output_dir={tmp_path / 'out'}", "--verification_images=20"]
    for quantization in ("none", "int8"):
        done = in_process(*flags, f"--quantize={quantization}")
        assert done.returncode == 0, done.err
        assert "The page was run in " in done.out
        assert len(json.loads((tmp_path / "out" / "web" / "samples.json").read_text())) == 3
    assert "The page was run in " in (tmp_path / "out" / "report.html").read_text()
    done = in_process("evaluate", f"--model_path={tmp_path / 'out' / 'web'}", f"--data_dir={data_dir}")
    assert done.returncode == 0, done.err


def test_the_modules_are_joined_in_the_order_of_their_imports():
    """Catches a single file in which a name is used before it is there, and a new module that the folder lacks."""
    sources = Path(application.__file__).with_name("page").iterdir()
    assert {path.name for path in sources} == {*application.MODULES, application.STYLE, application.PAGE}
    for number, name in enumerate(application.MODULES):
        needed = {line.split('"')[1].removeprefix("./") for line in application.LOCAL_IMPORT.findall(application.source(name))}
        assert needed <= set(application.MODULES[:number])
    assert "import {" not in application.joined_modules().replace("//   import {", "")
