"""Catches a wrong confusion matrix, mistakes that are not the worst, and a page that is broken or not self-contained."""

import re

import numpy as np
import pytest
from page import Page
from PIL import Image

from keras_resnet.html import png
from keras_resnet.metrics import top_k_accuracy
from keras_resnet.training.reporting import plots, report
from keras_resnet.training.reporting.confusion_matrix import shades
from keras_resnet.training.reporting.evaluation import COLUMNS, Evaluation, confusion_matrix, worst_mistakes
from keras_resnet.training.reporting.image_grid import contact_sheet

RECORDS = [{"epoch": 1, "loss": 2.0, "accuracy": 0.3, "val_loss": 1.5, "val_accuracy": 0.4, "learning_rate": 0.1}]


def probabilities(predicted, classes, confidence=0.9):
    """(N, classes) with `confidence`, a number or one per image, for the `predicted` class and the rest evenly spread."""
    confidence = np.broadcast_to(confidence, len(predicted))
    scores = np.repeat(((1 - confidence) / (classes - 1))[:, np.newaxis], classes, axis=1)
    scores[np.arange(len(predicted)), predicted] = confidence
    return scores


def write(tmp_path, predicted, labels, class_names, *, records=RECORDS, shape=(8, 8, 1), **overrides):
    labels, scores = np.array(labels), probabilities(np.array(predicted), len(class_names))
    path = tmp_path / "report.html"
    arguments = {
        "title": "ResNet20V2 on digits",
        "config": {"model": "ResNet20V2", "recipe": {"batch_size": 64, "milestones": []}, "block": None},
        "records": records,
        "evaluation": Evaluation.of(scores, labels, class_names),
        "images": np.random.default_rng(0).integers(0, 256, (len(labels), *shape)).astype(np.uint8),
        "labels": labels,
        "probabilities": scores,
        "facts": [("wall time", "19 s")],
    }
    report.write_report(path, **{**arguments, **overrides})
    assert list(tmp_path.iterdir()) == [path]
    return Page(path)


def test_the_confusion_has_a_row_per_true_class():
    found = confusion_matrix(np.array([0, 0, 0, 1, 2, 2]), np.array([0, 1, 1, 1, 0, 2]), 4)
    assert found.tolist() == [[1, 2, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]


def test_per_class_results_are_right_and_say_where_there_is_nothing_to_measure():
    labels, predicted = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 1, 1, 1, 0, 2])
    found = Evaluation.of(probabilities(predicted, 4), labels, ("cat", "dog", "emu", "fox"))
    assert found.support.tolist() == [3, 1, 2, 0]
    np.testing.assert_allclose(found.accuracy, [1 / 3, 1, 1 / 2, np.nan])
    np.testing.assert_allclose(found.precision, [1 / 2, 1 / 3, 1, np.nan])
    assert found.top1 == 0.5
    assert found.loss == pytest.approx(-(3 * np.log(0.9) + 3 * np.log(0.1 / 3)) / 6)
    assert found.top5 is None, "four classes have no fifth"
    assert found.rows() == [
        ("cat", "3", "33.33%", "50.00%", "dog (2)"),
        ("dog", "1", "100.00%", "33.33%", ""),
        ("emu", "2", "50.00%", "100.00%", "cat (1)"),
        ("fox", "0", "-", "-", ""),
    ]
    assert all(len(row) == len(COLUMNS) for row in found.rows())
    assert found.top_confusions(9) == [(0, 1, 2), (2, 0, 1)]
    assert found.top_confusions(1) == [(0, 1, 2)]


def test_top_five_counts_the_fifth_and_not_the_sixth():
    scores = np.array([[0.3, 0.25, 0.2, 0.15, 0.07, 0.03]])
    assert [top_k_accuracy(scores, np.array([label]), 5) for label in range(6)] == [1, 1, 1, 1, 1, 0]
    assert Evaluation.of(scores, np.array([4]), "abcdef").top5 == 1


def test_the_worst_mistakes_are_wrong_and_in_the_order_of_their_confidence(rng):
    labels, predicted = rng.integers(0, 5, 100), rng.integers(0, 5, 100)
    confidence = rng.uniform(0.3, 1, 100)
    found = worst_mistakes(probabilities(predicted, 5, confidence), labels, 10)
    wrong = np.flatnonzero(labels != predicted)
    assert found.tolist() == sorted(wrong, key=lambda index: -confidence[index])[:10]
    assert len(worst_mistakes(probabilities(labels, 5), labels, 10)) == 0


def test_the_page_shows_what_it_was_given(tmp_path):
    page = write(tmp_path, [0, 1, 1, 2], [0, 0, 1, 2], ("cat", "dog", "emu"))
    text = "".join(page.text)
    for expected in ("75.00%", "19 s", "recipe.batch_size", "64", "ResNet20V2 on digits", "Confusion matrix"):
        assert expected in text
    assert "1 of 2 images of cat classified as dog" in [cell.get("title") for cell in page.all("td")]
    (mistake,) = [image for image in page.all("img") if image["alt"] == "cat"]
    assert mistake["class"] == "pixelated"
    assert "images are classified correctly" not in text


def test_the_page_loads_nothing_from_outside(tmp_path):
    page = write(tmp_path, [0, 1, 1, 2], [0, 0, 1, 2], ("cat", "dog", "emu"))
    assert not {"script", "link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}
    for tag, attributes in page.elements:
        for name in {"src", "srcset", "href", "data", "background", "poster"} & set(attributes):
            assert attributes[name].startswith("data:image/png;base64,"), f"{tag} {name}"
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|@import|url\(", content)


def test_names_and_values_that_look_like_html_are_text(tmp_path):
    evil = "<b>&\"'<script>alert(1)</script>"
    page = write(tmp_path, [0, 1, 1], [0, 0, 1], (evil, evil + "2"), title=evil, config={evil: evil}, facts=[(evil, evil)])
    assert not page.all("script")
    assert "".join(page.text).count(evil) >= 8
    assert {attributes["alt"] for attributes in page.all("img")} == {"training curves", evil}
    assert any(evil in cell.get("title", "") for cell in page.all("td"))


def test_a_network_without_a_mistake_has_a_page(tmp_path):
    page = write(tmp_path, [0, 1], [0, 1], ("cat", "dog"))
    assert "All 2 images are classified correctly." in "".join(page.text)
    assert [cell.get("class") for cell in page.all("td") if "class" in cell] == ["hit", "hit"]


def test_a_network_that_is_always_wrong_shows_the_first_of_its_mistakes(tmp_path):
    page = write(tmp_path, [1] * 50, [0] * 50, ("cat", "dog"))
    assert len([image for image in page.all("img") if image["alt"] == "cat"]) == report.MISTAKES
    assert "32 of 50" in "".join(page.text)


def test_many_classes_make_an_image_the_confusions_and_the_worst_class_first(tmp_path):
    names = tuple(f"class {index}" for index in range(200))
    labels = np.repeat(np.arange(199), 3)  # the last class has no image
    predicted = labels.copy()
    predicted[21:24] = 150
    page = write(tmp_path, predicted, labels, names, shape=(32, 32, 3))
    text = "\n".join(page.text)
    assert text.index("3 of 3") < text.index("Results by class") < text.index("class 7\n3\n", text.index("Results by class"))
    assert not [table for table in page.all("table") if table.get("class") == "confusion"]
    rows = text[text.index("most often confused with") :]
    assert rows.index("class 7\n") < rows.index("class 0\n") < rows.index("class 199\n")
    assert [image["alt"] for image in page.all("img")].count("confusion matrix") == 1


def test_one_mistake_among_thousands_is_still_seen():
    counts = np.diag([5000, 5000, 5000])
    counts[0, 1], counts[1, 2] = 1, 400
    shade = shades(counts)
    assert shade[1, 2] == shade.max() > shade[0, 1] > 0.02
    assert shade[2, 0] == 0
    assert shades(np.zeros((2, 2), int)).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("records", [[], [{"test": {"loss": 1.0}}]])
def test_without_an_epoch_there_are_no_curves(records, tmp_path):
    page = write(tmp_path, [0, 1], [0, 1], ("cat", "dog"), records=records)
    assert not page.all("picture")
    plots.draw_curves(records, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_curves_have_no_line_for_what_was_not_recorded():
    records = [{"epoch": epoch, "loss": 1 / epoch, "accuracy": 0.5, "val_accuracy": None} for epoch in (1, 2, 3)]
    figure = plots.curves([*records, {"test": {"loss": 1.0}}])
    lines = {axes.get_title(): [line.get_xydata().tolist() for line in axes.lines] for axes in figure.axes}
    assert lines == {"loss": [[[1, 1], [2, 1 / 2], [3, 1 / 3]]], "accuracy": [[[1, 0.5], [2, 0.5], [3, 0.5]]]}
    assert [axes.get_legend() for axes in figure.axes] == [None, None]


def test_a_gap_in_the_curve_is_left_out_and_the_validation_has_its_own_line():
    records = [
        {"epoch": epoch, "loss": 1.0, "val_loss": loss} for epoch, loss in ((1, 2.0), (2, float("nan")), (3, None), (4, 1.0))
    ]
    (axes,) = plots.curves(records, dark=True).axes
    assert [line.get_label() for line in axes.lines] == ["training", "validation"]
    assert axes.lines[1].get_xydata().tolist() == [[1, 2], [4, 1]]


def test_a_report_that_fails_leaves_the_old_one(tmp_path):
    (tmp_path / "report.html").write_text("old")
    with pytest.raises(IndexError):
        write(tmp_path, [0, 1], [0, 0], ("cat", "dog"), images=np.zeros((0, 8, 8, 1), np.uint8))
    assert (tmp_path / "report.html").read_text() == "old"


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_is_the_image_it_was_made_of(channels, rng, tmp_path):
    image = rng.integers(0, 256, (5, 7, channels)).astype(np.uint8)
    (tmp_path / "image.png").write_bytes(png(image))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "image.png")).reshape(5, 7, channels), image)


def test_a_contact_sheet_keeps_the_images_in_reading_order(rng):
    images = rng.integers(1, 256, (5, 8, 6, 3)).astype(np.uint8)
    sheet = contact_sheet(images, columns=3, tile=16)
    assert sheet.shape == (2 * 16, 3 * 12, 3)
    np.testing.assert_array_equal(sheet[16:32:2, 12:24:2], images[4])
    assert not sheet[16:, 24:].any()
    np.testing.assert_array_equal(contact_sheet(images[:1], tile=1), images[0])
