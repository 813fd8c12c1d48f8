"""The report of semantic segmentation: its three forms, its pictures, and what its diagnosis says and does not say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lince import images
from lince.annotations import Classes
from lince.class_maps import VOID
from lince.datasets import open_dataset
from lince.evaluation.report import (
    DataSummary,
    ModelFacts,
    SegmentationReport,
    render_comparison_html,
    render_html,
    render_markdown,
    report_to_dict,
)
from lince.evaluation.segmentation.comparison import compare_segmenters
from lince.evaluation.segmentation.metrics import SegmentationMetrics, compute_segmentation_metrics
from lince.evaluation.segmentation.packed_map import PackedMap
from lince.evaluation.segmentation.pixel_counts import PixelCounts, count_pixels
from lince.evaluation.segmentation.predictions import SegmentationPredictions
from lince.findings import Severity
from lince.i18n import use_language
from lince.inference import drawing
from lince.notebook.segmentation import examples
from lince.training.segmentation.report_images import draw_errors, draw_labels, select_example_images

CLASSES = Classes(("<b>cat</b>", "dog"))


def make_counts(count: int = 40, wrong_rows: int = 1, void_rows: int = 0, side: int = 40) -> list[PixelCounts]:
    """Return photos with a square of either class, of which ``wrong_rows`` rows are predicted as background."""
    counts = []
    for i in range(count):
        truth = np.zeros((side, side), np.uint8)
        truth[8:24, 8 : 24 + i % 4] = 1 + i % 2
        predicted = truth.copy()
        predicted[8 : 8 + wrong_rows] = 0
        truth[:void_rows] = VOID
        counts.append(count_pixels(truth, predicted, 2))
    return counts


def make_report(metrics: SegmentationMetrics | None = None, **fields: Any) -> SegmentationReport:
    """Return the report of a good model, with other ``fields``."""
    names = CLASSES.names
    data = DataSummary(
        "data", "masks", 140, 140, {"train": 90, "val": 10, "test": 40},
        {"train": dict.fromkeys(names, 45), "val": dict.fromkeys(names, 5), "test": dict.fromkeys(names, 20)}, "f00",
    )  # fmt: skip
    values: dict[str, Any] = {
        "title": "Área",
        "task": "segment",
        "recipe": "transfer",
        "metrics": metrics or compute_segmentation_metrics(make_counts(), CLASSES),
        "data": data,
        "model": ModelFacts("net", "hub", "Apache-2.0", 1000, 10, 2000, "224 × 224 × 3"),
        "train_miou": 0.96,
        "val_miou": 0.95,
    }
    return SegmentationReport(**{**values, **fields})


def make_history() -> tuple[dict[str, float], ...]:
    """Return four epochs of training."""
    return tuple(
        {"epoch": i, "train_loss": 1 / i, "val_loss": 1.2 / i, "val_miou": 1 - 0.5 / i, "rate": 0.1, "seconds": 2.0}
        for i in range(1, 5)
    )


def list_codes(report: SegmentationReport) -> list[str]:
    return [finding.code for finding in report.findings]


@pytest.mark.parametrize("language", ["en", "es", "pt"])
def test_the_report_has_three_forms_in_three_languages(language: str) -> None:
    with use_language(language):
        report = make_report(history=make_history(), timings={"total": 12.0})
        page, text, record = render_html(report), render_markdown(report), report_to_dict(report)
    assert "<b>cat" not in page
    assert "&lt;b&gt;cat" in page
    assert page.count("<section") >= 6
    assert text.count("\n## ") >= 6
    assert {"en": "Mean IoU", "es": "IoU", "pt": "IoU"}[language] in page
    test = json.loads(json.dumps(record, allow_nan=False))["test"]
    assert test["count"] == 40
    assert test["miou"]["low"] <= test["miou"]["value"] <= test["miou"]["high"]
    assert test["mean_over"] == ["background", *CLASSES.names]
    assert record["val"] == {"miou": 0.95}
    assert (language == "en") == ("Metrics per class" in page)


def test_an_evaluation_has_no_diagnosis_and_no_training() -> None:
    page = render_html(make_report(is_evaluation=True, run="runs/a"))
    assert 'id="diagnosis"' not in page
    assert 'id="training-details"' not in page
    assert "evaluation of runs/a" in page


def test_many_classes_are_shortened() -> None:
    classes = Classes(tuple(f"class {i}" for i in range(60)))
    truth = np.arange(61, dtype=np.uint8).repeat(20).reshape(61, 20)
    metrics = compute_segmentation_metrics([count_pixels(truth, truth, 60)] * 8, classes)
    page = render_html(make_report(metrics))
    assert "The other 41 classes" in page
    assert "Full matrix" in page
    assert "Confusion matrix" not in render_markdown(make_report(metrics))
    assert "61 classes, the background among them" in page


def test_a_good_model_is_blamed_for_nothing() -> None:
    report = make_report()
    assert list_codes(report) == ["all_well"]
    assert report.findings[0].severity is Severity.GOOD


def test_a_small_test_set_is_told_with_how_many_would_do() -> None:
    counts = make_counts(8)
    counts[0] = replace(counts[0], cells=np.array([[0, 1, 1300], [1, 0, 300]]))
    report = make_report(compute_segmentation_metrics(counts, CLASSES))
    finding = next(item for item in report.findings if item.code == "small_test_set")
    assert finding.figures["needed"] > finding.figures["count"] == 8


def test_a_class_that_is_never_predicted_is_serious() -> None:
    counts = []
    for i in range(40):
        truth = np.zeros((40, 40), np.uint8)
        truth[:16] = 1 + i % 2
        counts.append(count_pixels(truth, np.where(truth == 2, 1, truth).astype(np.uint8), 2))
    report = make_report(compute_segmentation_metrics(counts, CLASSES))
    never = next(item for item in report.findings if item.code == "never_answered")
    assert never.severity is Severity.SERIOUS
    assert never.figures["classes"] == ["dog"]
    weak = next(item for item in report.findings if item.code == "weak_classes")
    assert list(weak.figures["classes"]) == ["dog"]  # the IoU of the other is not surely below one half


def test_a_model_that_says_background_everywhere_is_no_better_than_that() -> None:
    counts = make_counts(wrong_rows=16)
    report = make_report(compute_segmentation_metrics(counts, CLASSES))
    finding = report.findings[0]
    assert finding.code == "no_better_than_commonest"
    assert finding.figures["commonest"] == "background"
    assert finding.figures["value"] == pytest.approx(finding.figures["share"])


def test_overfitting_needs_more_than_the_interval() -> None:
    metrics = compute_segmentation_metrics(make_counts(wrong_rows=5), CLASSES)
    assert "overfitting" in list_codes(make_report(metrics, train_miou=0.99))
    assert "overfitting" not in list_codes(make_report(metrics, train_miou=metrics.miou.high))
    assert "overfitting" not in list_codes(make_report(metrics, train_miou=None))


def test_much_void_is_told() -> None:
    assert "void_pixels" not in list_codes(make_report(compute_segmentation_metrics(make_counts(void_rows=6), CLASSES)))
    report = make_report(compute_segmentation_metrics(make_counts(void_rows=12), CLASSES))
    finding = next(item for item in report.findings if item.code == "void_pixels")
    assert finding.figures["share"] == pytest.approx(12 / 40)
    assert "void in the labels" in render_html(report)


def test_small_objects_are_told_where_they_are_badly_found() -> None:
    def measure(wrong: int) -> SegmentationReport:
        counts = []
        for _i in range(40):
            truth = np.zeros((200, 200), np.uint8)
            truth[50:56, 50:60] = 1
            truth[100:150] = 2
            predicted = truth.copy()
            predicted[50 : 50 + wrong, 50:60] = 0
            counts.append(count_pixels(truth, predicted, 2))
        return make_report(compute_segmentation_metrics(counts, CLASSES))

    assert "tiny_classes" not in list_codes(measure(1))
    finding = next(item for item in measure(3).findings if item.code == "tiny_classes")
    assert finding.figures["classes"] == {CLASSES.names[0]: pytest.approx(60 / 40_000)}


def write_data(root: Path) -> Path:
    """Write six photos of 60 x 90 pixels, each with a square of a class and two rows of void pixels."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for i in range(6):
        mask = np.zeros((60, 90), np.uint8)
        mask[20:40, 20:50] = 1 + i % 2
        mask[18:20, 20:50] = VOID
        cv2.imwrite(str(root / "masks" / f"{i}.png"), mask)
        cv2.imwrite(str(root / "images" / f"{i}.png"), np.full((60, 90, 3), (200, 60, 20), np.uint8))
    (root / "classes.txt").write_text("1 cat\n2 dog\n", "utf-8")
    return root


def make_predictions(root: Path) -> tuple[Any, SegmentationPredictions]:
    """Return the dataset, and predictions of which photo ``i`` misses ``i`` columns of its square."""
    dataset = open_dataset(root)
    counts, maps = [], []
    for i in range(6):
        truth = cv2.imread(str(root / "masks" / f"{i}.png"), cv2.IMREAD_UNCHANGED)
        predicted = np.where(truth == VOID, 0, truth).astype(np.uint8)
        predicted[20:40, 20 : 20 + i] = 0
        counts.append(count_pixels(truth, predicted, 2))
        maps.append(PackedMap.pack(predicted))
    names = tuple(dataset.images.get_name(row) for row in range(6))
    keys = tuple(dataset.images.compute_key(row) for row in range(6))
    return dataset, SegmentationPredictions(keys, names, tuple(counts), dataset.classes, None, tuple(maps))


def test_the_pictures_show_labels_predictions_and_wrong_pixels(tmp_path: Path) -> None:
    dataset, predictions = make_predictions(write_data(tmp_path / "niño"))
    pictures = select_example_images(dataset, np.arange(6), predictions)
    assert [Path(picture.caption).stem for picture in pictures.worst] == ["5", "4", "3", "2", "1"]
    assert [Path(picture.caption).stem for picture in pictures.best] == ["0"]
    assert [name for name, _colour in pictures.legend] == ["cat", "dog", "void"]
    worst = pictures.worst[0]
    assert worst.wrong_share == pytest.approx(100 / (60 * 90 - 60))
    sizes = {images.read_size(data) for data in (worst.truth, worst.predicted, worst.wrong)}
    assert sizes == {(60, 90)}
    page = render_html(make_report(images=pictures))
    assert page.count("data:image/jpeg") == 18
    assert "wrong: 1.9% of the pixels" in page
    assert select_example_images(dataset, np.arange(6), replace(predictions, maps=None)).worst == ()


def test_the_classes_of_the_data_may_have_another_order(tmp_path: Path) -> None:
    dataset, predictions = make_predictions(write_data(tmp_path / "data"))
    turned = replace(predictions.reorder_classes(Classes(("dog", "cat"))), maps=predictions.maps)
    swapped = tuple(PackedMap.pack(np.array([0, 2, 1], np.uint8)[item.unpack()]) for item in predictions.maps or ())
    first = select_example_images(dataset, np.arange(6), predictions)
    second = select_example_images(dataset, np.arange(6), replace(turned, maps=swapped))
    assert [item.wrong for item in first.worst] == [item.wrong for item in second.worst]


def test_wrong_pixels_have_one_colour_and_void_is_striped() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    is_wrong = np.zeros((40, 40), bool)
    is_wrong[5:9, 5:9] = True
    drawn = draw_errors(photo, is_wrong)
    assert (drawn[is_wrong] == drawing.WRONG_COLOUR).all()
    assert (np.ptp(drawn[~is_wrong].astype(int), axis=1) == 0).all()  # grey
    labels = np.zeros((40, 40), np.uint8)
    labels[:8] = VOID
    striped = draw_labels(photo, labels)
    np.testing.assert_array_equal(striped[8:], photo[8:])
    assert 0 < (striped[:8] != photo[:8]).any(axis=2).mean() < 1


def test_notebooks_show_the_worst_photos_with_their_labels(tmp_path: Path) -> None:
    dataset, predictions = make_predictions(write_data(tmp_path / "data"))
    predictions.save(tmp_path / "predictions.csv")
    read = SegmentationPredictions.load(tmp_path / "predictions.csv")
    test = read.compute_metrics().to_dict()
    table = examples.build_class_table(test)
    assert [row[0] for row in table.rows] == ["dog", "cat"]
    (worst_title, worst), (_title, best) = examples.list_examples(read, test)
    assert worst_title == "Images with most errors"
    assert ([index for index, _draw in worst], [index for index, _draw in best]) == ([5, 4, 3, 2, 1], [0])
    picture = worst[0][1](dataset, 5)
    assert "wrong: 1.9% of the pixels" in picture.caption
    assert (best[0][1](dataset, 0).mark, picture.mark) == ("right", "")


def test_a_comparison_has_a_page() -> None:
    better, worse = (
        SegmentationPredictions(
            tuple(f"{i:032x}" for i in range(40)),
            tuple(f"{i}.png" for i in range(40)),
            tuple(make_counts(wrong_rows=rows)),
            CLASSES,
        )
        for rows in (1, 6)
    )
    comparison = compare_segmenters({"old": worse, "new": better})
    page = render_comparison_html(comparison)
    assert "new is better than old" in page
    assert "IoU per class" in page
    view = comparison.build_view()
    assert len({len(row) for row in view.classes.rows} | {len(view.classes.header)}) == 1
