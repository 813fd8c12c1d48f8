"""Figures drawn on the pages against independent counts: confidence curves, confusion matrix, runs of a comparison."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from tests.evaluation import test_detection_report
from tests.evaluation.test_report import HOSTILE, Page, made, picture, predictions
from tests.support import report_pages

from lince.annotations import Classes, get_class_colour
from lince.api.compare import _read_details
from lince.evaluation.classification.comparison import compare_classifiers
from lince.evaluation.classification.metrics import compute_classification_metrics
from lince.evaluation.detection.metrics import compute_detection_metrics, compute_mean_ap, compute_summary
from lince.evaluation.report import report_to_dict
from lince.evaluation.report.charts import draw_curves, draw_rate_curve
from lince.evaluation.report.comparison_view import build_details_table
from lince.evaluation.report.detection.charts import choose_drawn_classes, draw_confidence_charts
from lince.evaluation.report.facts import RunDetails
from lince.evaluation.report.html import get_jinja_environment
from lince.evaluation.threshold_curve import THRESHOLDS
from lince.number_format import MISSING_VALUE
from lince.training.classification.matrix_photos import MAX_CELL_ERRORS, MAX_ERROR_PHOTOS, select_matrix_cells

reference = pytest.importorskip("sklearn.metrics")


def test_the_curves_of_a_classifier_are_those_of_one_that_abstains():
    answers = predictions(("a", "b", "c", "d"), 150, skill=1.2)
    curve = answers.compute_metrics().confidence_curve
    assert curve is not None
    confidence, guess = answers.probabilities.max(axis=1), answers.probabilities.argmax(axis=1)
    for index in range(0, 101, 7):
        shown = confidence >= np.float32(THRESHOLDS[index])
        abstaining = np.where(shown, guess, 99)
        precision, recall, f1, _support = reference.precision_recall_fscore_support(
            answers.truth, abstaining, labels=[0, 1, 2, 3], average="micro", zero_division=np.nan
        )
        assert curve.shown[index] == shown.sum()
        np.testing.assert_allclose(
            [curve.precision[index], curve.recall[index], curve.f1[index]], [precision, recall, f1], equal_nan=True
        )


@pytest.mark.parametrize("faults", [0.0, 0.5])
def test_the_curves_of_a_detector_are_its_metrics_at_every_threshold(faults):
    names = test_detection_report.NAMES
    truth = test_detection_report.objects(25, 3, 0)
    answers = test_detection_report.answers(truth, 3, faults)
    metrics = compute_detection_metrics(truth, answers, Classes(names))
    for index in (0, 1, 39, 55, 70, 88, 100):
        level = float(np.float32(THRESHOLDS[index]))
        at_level = compute_detection_metrics(truth, answers, Classes(names), thresholds=[level] * 3)
        for score, given in zip(metrics.scores, at_level.scores, strict=True):
            curve = score.confidence_curve
            assert (curve.shown[index], curve.correct[index]) == (given.predicted, given.correct)
            for figure in ("precision", "recall", "f1"):
                value, expected = getattr(curve, figure)[index], getattr(given, figure)
                assert np.isnan(value) if expected is None else value == expected


def test_the_dots_of_a_detector_are_at_the_figures_of_its_table():
    scores = test_detection_report.metrics(0.5).scores
    (f1_chart, _precision, _recall) = draw_confidence_charts(scores)
    dots = [attrs for tag, attrs in Page(str(f1_chart)).elements if tag == "circle"]
    assert [attrs["class"] for attrs in dots] == ["point class0", "point class1", "point class2"]
    for attrs, score in zip(dots, scores, strict=True):
        assert float(attrs["cx"]) == pytest.approx(52 + 300 * score.threshold, abs=0.01)
        assert float(attrs["cy"]) == pytest.approx(330 - 300 * score.f1, abs=0.01)


def test_a_class_keeps_its_colour_where_another_has_no_objects():
    truth = test_detection_report.objects(20, 2, 0)
    shifted = dataclasses.replace(truth, class_ids=truth.class_ids + 1)  # the first class has no object
    answers = [
        dataclasses.replace(item, class_ids=item.class_ids + 1) for item in test_detection_report.answers(truth, 2, 0.3)
    ]
    scores = compute_detection_metrics(shifted, answers, Classes(("none", "b", "c"))).scores
    assert choose_drawn_classes(scores) == [1, 2]
    charts = draw_confidence_charts(scores)
    assert "curve class1" in charts[0]
    assert "curve class0" not in charts[0]
    style = get_jinja_environment().get_template("style.css").render()
    for class_id in range(8):
        assert f".class{class_id} {{ --c: #{bytes(get_class_colour(class_id)).hex()}; }}" in style


def test_the_summary_of_an_epoch_agrees_with_the_metrics():
    truth = test_detection_report.objects(25, 3, 0)
    answers = test_detection_report.answers(truth, 3, 0.5)
    classes = Classes(test_detection_report.NAMES)
    summary = compute_summary(truth, answers, classes)
    assert (summary["map50"], summary["map50_95"]) == compute_mean_ap(truth, answers, classes)
    best = (0.0, 0.0, 0.0)
    for level in np.unique(np.concatenate([item.scores for item in answers])).tolist():
        scores = compute_detection_metrics(truth, answers, classes, thresholds=[level] * 3).scores
        shown, right, total = (
            sum(getattr(score, key) for score in scores) for key in ("predicted", "correct", "support")
        )
        best = max(best, (2 * right / (shown + total), right / shown, right / total))
    assert (summary["precision"], summary["recall"]) == pytest.approx(best[1:])


def test_the_pairs_of_the_confusion_matrix_are_on_their_images():
    truth = test_detection_report.objects(25, 3, 0)
    answers = test_detection_report.answers(truth, 3, 0.5)
    metrics = compute_detection_metrics(truth, answers, Classes(test_detection_report.NAMES))
    pairs = metrics.confusion_pairs
    assert pairs.count(3).tolist() == metrics.confusion.tolist()
    for i in range(len(pairs)):
        detections = answers[pairs.images[i]]
        if pairs.rows[i] < 3:
            assert truth.class_ids[pairs.truth_rows[i]] == pairs.rows[i]
            assert pairs.truth_rows[i] in range(*truth.slice_of_image(int(pairs.images[i])).indices(10**6))
        if pairs.columns[i] < 3:
            (row,) = np.flatnonzero(
                (detections.boxes == pairs.boxes[i]).all(axis=1) & (detections.class_ids == pairs.columns[i])
            )
            assert detections.scores[row] == np.float32(pairs.scores[i])
        else:
            assert np.isnan(pairs.scores[i])


@pytest.mark.parametrize("count", [3, 40])
def test_each_cell_shows_images_of_its_own_and_counts_all(count):
    answers = predictions(tuple(f"class {i}" for i in range(count)), 600, skill=1.0)
    cells = select_matrix_cells(answers, lambda i: answers.names[i].encode())
    expected = reference.confusion_matrix(answers.truth, answers.predicted_class_ids, labels=range(count))
    assert {(cell.row, cell.column): cell.count for cell in cells} == {
        (int(i), int(j)): int(expected[i, j]) for i, j in zip(*expected.nonzero(), strict=True)
    }
    position = {name: i for i, name in enumerate(answers.names)}
    for cell in cells:
        names = [photo.caption for photo in cell.photos] + list(cell.more_names)
        assert len(set(names)) == len(names) <= cell.count
        for name in names:
            assert (answers.truth[position[name]], answers.predicted_class_ids[position[name]]) == (
                cell.row,
                cell.column,
            )
        assert all(photo.image == photo.caption.encode() for photo in cell.photos)
    errors = [cell for cell in cells if cell.row != cell.column]
    assert max(len(cell.photos) for cell in errors) <= MAX_CELL_ERRORS
    assert sum(len(cell.photos) for cell in errors) <= MAX_ERROR_PHOTOS
    assert errors[0].photos


def test_every_button_opens_something_and_every_number_is_used_once():
    for html in (report_pages.classification(), report_pages.detection((HOSTILE, "b", "כלב"))):
        elements = Page(html).elements
        ids = [attrs["id"] for _tag, attrs in elements if "id" in attrs]
        assert len(set(ids)) == len(ids)
        targets = [attrs["popovertarget"] for _tag, attrs in elements if "popovertarget" in attrs]
        assert set(targets) <= set(ids)
        assert "<script" not in html
        assert {tag for tag, _attrs in elements} & {"script", "iframe", "object"} == set()


def test_one_photo_and_one_class_are_enough_for_a_page():
    metrics = compute_classification_metrics(np.array([0]), np.eye(2)[[0]], Classes(("a", "b")))
    words = Page(report_pages.render_html(made(("a", "b"), metrics=metrics))).words
    assert "nan" not in words.lower()
    assert "Precision, recall and F1 against the confidence" in words


def test_a_wrong_prediction_tells_the_probability_of_the_true_class():
    shown = dataclasses.replace(picture(), truth_probability=0.034)
    report = made(images=dataclasses.replace(made().images, worst=(shown,)))
    assert re.search(r"actual: roses\s+3\.4%", Page(report_pages.render_html(report)).words)


def test_axes_do_not_leave_what_is_possible():
    for value, low, high in ((0.0, 0.0, 0.05), (1.0, 0.95, 1.0)):
        chart = draw_curves([report_pages_series(value)], "Accuracy", None, relative=True)
        ticks = [float(text.rstrip("%")) / 100 for text in re.findall(r">(-?[\d.]+)%</text>", str(chart))]
        assert (min(ticks), max(ticks)) == pytest.approx((low, high))


def report_pages_series(value: float):
    from lince.evaluation.report.charts import ChartSeries

    return ChartSeries("validation", "val", ((1.0, value), (2.0, value)))


def test_the_learning_rate_is_drawn_from_two_epochs_on():
    assert draw_rate_curve(({"epoch": 1, "rate": 0.1},)) is None
    constant = draw_rate_curve(({"epoch": 1, "rate": 0.001}, {"epoch": 2, "rate": 0.001}))
    ticks = [float(text) for text in re.findall(r">([\d.]+)</text>", str(constant)) if float(text) < 1]
    assert max(ticks) <= 0.002  # not a flat line at the bottom of a wide axis
    assert "curve rate" in str(draw_rate_curve(({"epoch": 1, "rate": 0.1}, {"epoch": 2, "rate": 0.05})))


def test_a_comparison_tells_how_each_run_was_trained(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(report_to_dict(made(head=report_pages.HEAD))))
    details = _read_details(tmp_path)
    assert details is not None
    assert details.to_dict() == {
        "recipe": "transfer", "model": "mobilenetv2_100", "train_images": 900, "epochs": 6, "seconds": 15.75,
    }  # fmt: skip
    assert details.head == report_pages.HEAD.to_dict()
    (tmp_path / "report.json").write_text('{"task": "classify"}')  # as an older version might have written
    assert _read_details(tmp_path) == RunDetails("", "", None, None)
    assert _read_details(tmp_path / "evaluation") is None
    runs = {name: predictions(("a", "b")) for name in ("one", "two")}
    comparison = dataclasses.replace(compare_classifiers(runs), details={"one": details})
    rows = build_details_table(comparison).rows
    assert rows[0] == ("one", "transfer", "mobilenetv2_100", "900", "6", "16 s")
    assert rows[1] == ("two", *[MISSING_VALUE] * 5)
    assert [run["details"] and run["details"]["recipe"] for run in comparison.to_dict()["runs"]] == ["transfer", None]


def test_the_page_of_a_comparison_draws_the_curves_of_each_run():
    page = Page(report_pages.comparison())
    curves = [attrs["class"] for tag, attrs in page.elements if tag == "polyline"]
    assert curves[:4] == ["curve class0 dashed", "curve class0"] * 2  # loss and accuracy of the one with epochs
    assert curves[4:] == ["curve class1 dashed", "curve class1"]  # the head of the other, by training images
    for words in ("fine-tuning", "tf_efficientnet_lite0", "5 min", "14 s"):
        assert words in page.words
