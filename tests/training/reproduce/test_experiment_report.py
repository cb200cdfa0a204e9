"""Catches a page that leaves out a run, says more than its numbers, breaks, or tells where it was made."""

import base64
import io
import json
import math
import re

import matplotlib.colors
import matplotlib.style
import numpy as np
import pytest
from made_up import MESSAGE, experiment, larger, reproduction, result, results
from page import Page
from PIL import Image

from keras_resnet.training.reproduce import plots, report
from keras_resnet.training.reproduce.claims import NO_RUNS, AtMost
from keras_resnet.training.reproduce.config import ReproduceConfig
from keras_resnet.training.reproduce.experiments import EXPERIMENTS
from keras_resnet.training.reproduce.reproduction import Reproduction
from keras_resnet.training.reproduce.results import DONE, RunResult

INF = math.inf


@pytest.fixture
def written(monkeypatch, tmp_path):
    """The page of made-up results of a row of the table, by default without what takes longest, its pictures."""

    def write(row, found, failed=(), pictures=False, **given):
        monkeypatch.setitem(EXPERIMENTS, "made_up", row)
        if not pictures:
            monkeypatch.setattr(report, "png", lambda draw, runs, dark: b"PNG")
            monkeypatch.setattr(report, "save", lambda draw, runs, path: path.touch())
        config = ReproduceConfig("made_up", "small", tmp_path, **given)
        report.write_report(Reproduction.of(config, found, failed), tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {"report.html", "curves.png"}
        page = Page(tmp_path / "report.html")
        page.all_text = " ".join("".join(page.text).split())
        return page

    return write


def rows(page):
    """The cells of the table of runs."""
    source = page.source.partition("<h2>Runs</h2>")[2].partition("</table>")[0]
    return [re.findall(r"<td>([^<]*)", line) for line in source.splitlines() if "<td>" in line]


CLAIMS = (larger("one", "two"), larger("two", "one"), larger("one", "three"))
FOUND = results(one=(9.0, 8.0, INF), two=(1.0, 2.0, 3.0), three=(1.5, 9.5, 8.5))


def test_every_claim_every_run_and_every_seed_is_on_the_page(written):
    page = written(experiment("one", "two", "three", claims=CLAIMS), FOUND)
    for text in ("one is larger than two.", "two is larger than one.", "one is larger than three."):
        assert text in page.all_text
    assert re.findall('<span class="outcome ([a-z]*)">([a-z ]*)<', page.source) == [
        ("shown", "shown"), ("opposite", "opposite shown"), ("", "not shown"),
    ]  # fmt: skip
    assert [row[:2] for row in rows(page)] == [[arm, str(seed)] for arm in ("one", "two", "three") for seed in range(3)]
    assert page.all_text.count(MESSAGE) == 1
    figures = dict(re.findall(r"<dt>([^<]*)<dd>([^<]*)", page.source))
    assert (figures["claims shown"], figures["opposite shown"], figures["runs"]) == ("1 of 3", "1", "9")
    assert figures["computing"] == "8 min"


def test_what_is_not_shown_is_said_with_its_reason_and_what_is_shown_without(written):
    page = written(experiment("one", "two", "three", claims=CLAIMS), FOUND)
    items = re.findall(r"<li>.*?</li>", page.source, re.DOTALL)
    assert ["It may be too short." in item for item in items] == [False, True, True]
    for item in items:
        assert "p = " in item
        assert "(3 and 3 runs)" in item
        assert "Figure 1" in item


def test_the_page_says_how_many_tests_there_were_and_that_nothing_was_corrected(written):
    many = written(experiment("one", "two", "three", claims=CLAIMS), FOUND).all_text
    assert "There are 3 such tests here, and no correction for that." in many
    assert "such tests" not in written(experiment("one", "two", claims=CLAIMS[:1]), FOUND).all_text


def test_the_medians_and_the_spread_are_those_of_the_runs(written):
    page = written(experiment("one", "two"), results(one=(3.0, 1.0, 2.0), two=(INF, 1.0, 2.0)))
    networks = page.source.partition("<h2>Networks</h2>")[2].partition("</table>")[0]
    assert "2.00 % (1.00 % to 3.00 %)" in networks
    assert "2.00 % (1.00 % to infinite)" in networks


def test_names_that_look_like_html_do_not_become_it(written):
    wild = '<b>"a" & <script>alert(1)</script>'
    row = experiment(wild, "two", claims=(larger(wild, "two", text=f"{wild} is larger.", reference=wild, otherwise=wild),))
    object.__setattr__(row, "question", wild)
    object.__setattr__(row, "reference", wild)
    found = [*results(**{wild: (1.0, 2.0, INF), "two": (3.0, 4.0, 5.0)}), RunResult("two", 3, {}, "diverged", wild)]
    page = written(row, found, failed=(wild,))
    assert page.all("script") == []
    assert {tag for tag, _ in page.elements} >= {"li", "table", "picture"}
    assert page.all_text.count(wild) >= 8


def test_partly_failed_results_give_a_page_that_names_what_failed(written):
    failed = ("two, seed 1: killed by SIGKILL", "three, seed 0: killed by SIGKILL")
    page = written(experiment("one", "two", "three", claims=CLAIMS), results(one=(1.0, 2.0, 3.0), two=(9.0,)), failed)
    for message in failed:
        assert message in page.all_text
    assert NO_RUNS in page.all_text
    assert len(rows(page)) == 4


def test_no_results_at_all_give_a_page_too(written):
    page = written(experiment("one", "two", claims=(*CLAIMS[:1], AtMost("It is.", "test_error", "one", 1, "T", "O"))), [])
    assert page.all_text.count(NO_RUNS) == 2
    assert rows(page) == []


def test_the_page_is_self_contained_with_a_picture_for_light_and_one_for_dark(written):
    page = written(experiment("one", "two"), results(one=(1.0, 2.0), two=(3.0, INF)), pictures=True)
    (dark,), (light,) = page.all("source"), page.all("img")
    assert dark["media"] == "(prefers-color-scheme: dark)"
    assert light["alt"]
    shades = []
    for uri in (dark["srcset"], light["src"]):
        kind, _, content = uri.partition("base64,")
        assert kind == "data:image/png;"
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGBA"))
        assert pixels[0, 0, 3] == 0, "a background of its own"
        ink = pixels[pixels[..., 3] == 255][:, :3]
        shades.append(np.median(ink.max(axis=1)))
    assert shades[0] > shades[1] + 100
    for attribute in ("href", "src", "srcset"):
        found = [attributes[attribute] for _, attributes in page.elements if attribute in attributes]
        assert all(value.startswith("data:") for value in found)


def test_no_path_of_the_machine_is_on_the_page(written, tmp_path):
    page = written(experiment("one"), results(one=(1.0, 2.0)), data_dir=str(tmp_path / "data"))
    assert str(tmp_path) not in page.source
    assert not re.search(r"(?<![\w.<])/(home|tmp|root|work|Users)/", page.source)


def test_the_command_on_the_page_asks_for_the_same(written):
    page = written(experiment("one", "two"), results(one=(1.0,)), dataset="cifar10", epochs=3, seeds=(4, 5))
    command = "keras-resnet reproduce --experiment=made_up --budget=small --dataset=cifar10 --epochs=3 --seeds=4,5"
    assert command in page.all_text
    assert "cifar10; 10% of the training split is held out" in page.all_text
    assert "digits;" not in page.all_text


def test_the_picture_in_the_folder_is_one(written, tmp_path):
    """Of more networks than the table has, and of one without a run."""
    written(experiment(*"abcdefghijklm"), results(**dict.fromkeys("abcdefghijkl", (1.0, 50.0, INF))), pictures=True)
    with Image.open(tmp_path / "curves.png") as image:
        assert image.size[0] > 800


def test_every_single_run_has_its_curve_and_its_dot():
    runs = {"one": results(one=(1.0, 2.0, INF)), "two": results(two=(3.0,)), "none": []}
    loss, error, end = plots.training_figure(runs).axes
    thin = [line for line in loss.lines if line.get_linewidth() < 1]
    assert sorted(len(line.get_xdata()) for line in thin) == [1, 2, 2, 2]
    assert len(error.lines) == len(loss.lines)
    dots = [line.get_xdata() for line in end.lines if line.get_marker() == "o"]
    assert [sorted(values) for values in dots] == [pytest.approx([1, 2, 100]), pytest.approx([3])]
    assert [text.get_text() for text in end.get_yticklabels()] == ["one", "two", "none"]


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_no_two_networks_of_a_plan_have_one_color(style):
    """Eleven shortcuts are compared in one picture."""
    most = max(len(plan.arms) for row in EXPERIMENTS.values() for plan in row.plans.values())
    with matplotlib.style.context(style):
        assert len({matplotlib.colors.to_hex(color) for color in plots.colors(most)[:most]}) == most


def flow(arm, seed, scale=1.0):
    moment = {
        "epoch": 0,
        "train_loss": None,
        "gradients": {
            "units": ["u1", "u2"], "output_gradient_rms": [scale, 0.0], "kernel_gradients": [1.0, None], "output_rms": [1, 2],
        },
        "contributions": {"units": ["u1", "u2"], "ratios": [0.5, 0.1], "deviations": [0.0]},
    }  # fmt: skip
    return RunResult(arm, seed, {}, DONE, seconds=3.0, flow=(moment, moment))


def test_gradients_have_a_page_of_their_own_kind(written):
    row = experiment("one", "two", claims=(larger("one", "two", measure="gradient_span_trained"),), trains=False)
    page = written(row, [flow("one", 0), flow("one", 1, 10.0), flow("two", 0)], pictures=True)
    assert report.FLOW_CAPTION in page.all_text
    assert [row[:3] for row in rows(page)] == [["one", "0", "done"], ["one", "1", "done"], ["two", "0", "done"]]
    assert "test error" not in page.all_text


def test_the_record_is_strict_json_with_all_claims_and_runs(monkeypatch, tmp_path):
    from keras_resnet.files import json_text

    found = reproduction(monkeypatch, tmp_path, experiment("one", "two", "three", claims=CLAIMS), FOUND, ["it failed"])
    record = json.loads(json_text(found.record()), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert [claim["outcome"] for claim in record["claims"]] == ["shown", "opposite shown", "not shown"]
    assert len(record["runs"]) == 9
    assert record["failed"] == ["it failed"]
    assert result("one", 0, 9.0).config.items() <= record["runs"][0]["config"].items()
