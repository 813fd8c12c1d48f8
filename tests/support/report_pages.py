"""Pages to look at: reports, a check and a comparison with everything in them, made from generated data."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
from PIL import Image
from tests.evaluation import test_detection_report, test_report, test_segmentation_report
from tests.support import box_photos

import lince
from lince.annotations import Classes
from lince.checks import run_checks
from lince.checks.check_page import render_html as render_check
from lince.evaluation.classification.comparison import compare_classifiers
from lince.evaluation.report import (
    MatrixCell,
    MatrixPhoto,
    SegmentationReportImage,
    SegmentationReportImages,
    render_comparison_html,
    render_html,
)
from lince.evaluation.report.classification.head_charts import HeadCurves, HeadSizePoint
from lince.evaluation.report.facts import RunDetails
from lince.evaluation.segmentation.metrics import compute_segmentation_metrics

LONG = "a class whose name has eighty characters, which no column of a table was made for"[:80]
NAMES = ("niño", "כלב", LONG)
HEAD = HeadCurves(
    (HeadSizePoint(40, 1.0, 0.7), HeadSizePoint(80, 0.98, 0.8), HeadSizePoint(160, 0.97, 0.84)),
    50,
    {1e-5: 0.5, 1e-4: 0.4, 1e-3: 0.45},
    1e-4,
    3,
)


def photo(level: int = 120, size: tuple[int, int] = (90, 120)) -> bytes:
    """Return a grey JPEG."""
    stream = io.BytesIO()
    Image.fromarray(np.full((*size, 3), level, np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def make_cells(counts: np.ndarray) -> tuple[MatrixCell, ...]:
    """Return one photo for each cell that has something."""
    return tuple(
        MatrixCell(
            int(row),
            int(column),
            int(counts[row, column]),
            (MatrixPhoto(photo(), f"test/{row}_{column}.jpg", "confidence 91%"),),
            ("test/another.jpg",) if counts[row, column] > 1 else (),
        )
        for row, column in zip(*counts.nonzero(), strict=True)
    )


def classification(names: tuple[str, ...] = NAMES) -> str:
    """Return the report page of a classifier, with a head's curves and photos behind the confusion matrix."""
    metrics = test_report.predictions(names, max(60, 8 * len(names)), skill=1.5).compute_metrics()
    report = test_report.made(names, metrics=metrics, head=HEAD)
    images = dataclasses.replace(report.images, cells=make_cells(metrics.confusion))
    return render_html(dataclasses.replace(report, images=images))


def detection(names: tuple[str, ...] = NAMES) -> str:
    """Return the report page of a detector, with crops behind the confusion matrix."""
    report = test_detection_report.made(names)
    images = dataclasses.replace(report.images, cells=make_cells(report.metrics.confusion))
    history = tuple(
        {**epoch, "val_loss": 8.0 / epoch["epoch"], "val_precision": 0.5, "val_recall": 0.1 * epoch["epoch"]}
        for epoch in report.history
    )
    return render_html(dataclasses.replace(report, images=images, history=history))


def segmentation(names: tuple[str, ...] = NAMES[:2]) -> str:
    """Return the report page of a segmentation model, with photos of the worst and the best."""
    metrics = compute_segmentation_metrics(test_segmentation_report.make_counts(), Classes(names))
    picture = SegmentationReportImage(photo(90), photo(120), photo(150), "test/niño 1.jpg", 0.4, 0.3)
    best = dataclasses.replace(picture, caption="test/2.jpg", miou=1.0, wrong_share=0.0)
    legend = tuple(zip(names, ("#e69f00", "#0072b2"), strict=True))
    images = SegmentationReportImages((picture,) * 3, (best,), legend, photo(), "flip\ncolour")
    history = test_segmentation_report.make_history()
    return render_html(test_segmentation_report.make_report(metrics, images=images, history=history))


def comparison() -> str:
    """Return the page of a comparison of three classifiers: of two the report is known."""
    runs = {name: test_report.predictions(NAMES, seed=seed) for seed, name in enumerate(("first", "second", LONG))}
    history = test_report.made().history
    details = {
        "first": RunDetails("finetune", "mobilenetv2_100", 900, 300.0, history),
        "second": RunDetails("transfer", "tf_efficientnet_lite0", 900, 14.0, (), HEAD.to_dict()),
    }
    return render_comparison_html(dataclasses.replace(compare_classifiers(runs), details=details))


def check(folder: Path) -> str:
    """Return the page of the check of a small dataset with boxes, some of them twice, made in ``folder``."""
    root = box_photos.yolo(folder, {"train": 6, "val": 2})
    for labels in sorted((root / "labels").glob("*/*.txt"))[:3]:
        labels.write_text(labels.read_text() + "\n" + labels.read_text().splitlines()[0])
    return render_check(run_checks(lince.open(root)))
