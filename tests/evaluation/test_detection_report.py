"""Detection report: diagnosis rules, JSON, and the page in three languages."""

from __future__ import annotations

import dataclasses
import html
import io
import json
import re
from datetime import datetime
from functools import cache

import numpy as np
import pytest
from PIL import Image
from tests.evaluation.test_report_browser import CHROMIUM, opened

from lince.annotations import Classes, Detections, ObjectTable, RejectedItem
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.detection.metrics import DetectionMetrics, SizeScore, compute_detection_metrics
from lince.evaluation.detection.tide import BACKGROUND, ERROR_KINDS, LOCALISATION, ErrorStats, format_error_count
from lince.evaluation.diagnosis.detection.diagnosis import RULES, diagnose_detection
from lince.evaluation.diagnosis.detection.diagnosis_input import DetectionDiagnosisInput
from lince.evaluation.diagnosis.leak import LeakSummary
from lince.evaluation.report import (
    DataSummary,
    DetectionReport,
    DetectionReportImage,
    DetectionReportImages,
    ModelFacts,
    RecipeResult,
    render_html,
    render_markdown,
    report_to_dict,
    write_html,
    write_json,
    write_markdown,
)
from lince.findings import Severity

HOSTILE = "<script>alert('1')</script> & \"two\""
NAMES = ("helmet", "head", "person")
MANY = dict.fromkeys(NAMES, 400)


def objects(images: int, names: int, seed: int) -> ObjectTable:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 6, images)
    total = int(counts.sum())
    corner, side = rng.uniform(0, 300, (total, 2)), rng.uniform(12, 110, (total, 2))
    none = ObjectTable.empty(0)
    return ObjectTable(
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        class_ids=rng.integers(0, names, total).astype(np.int32),
        boxes=np.concatenate([corner, corner + side], axis=1),
        flags=np.zeros(total, np.uint8),
        ring_starts=np.zeros(total + 1, np.int64),
        point_starts=none.point_starts,
        points=none.points,
        masks=none.masks.from_strings([""] * total),
    )


def answers(truth: ObjectTable, names: int, faults: float, seed: int = 1) -> list[Detections]:
    """Return the truth with a share ``faults`` dropped, misclassified, displaced or added as false detections."""
    rng = np.random.default_rng(seed)
    found = []
    for image in range(len(truth.starts) - 1):
        span = truth.slice_of_image(image)
        boxes, ids = truth.boxes[span].copy(), truth.class_ids[span].copy()
        lot = rng.random(len(ids))
        boxes[(lot > faults / 3) & (lot < faults * 2 / 3)] += 14
        wrong = (lot > faults * 2 / 3) & (lot < faults)
        ids[wrong] = (ids[wrong] + 1) % names
        keep = lot > faults / 3
        if rng.random() < faults:
            boxes, ids = np.concatenate([boxes, [[350, 350, 400, 400]]]), np.append(ids, 0).astype(np.int32)
            keep = np.append(keep, True)
        scores = np.sort(rng.uniform(0.4, 0.99, len(ids)).astype(np.float32))[::-1]
        found.append(Detections(boxes[keep], ids[keep], scores[keep]))
    return found


@cache
def metrics(faults: float = 0.4, images: int = 60, names: tuple[str, ...] = NAMES) -> DetectionMetrics:
    truth = objects(images, len(names), 0)
    return compute_detection_metrics(truth, answers(truth, len(names), faults), Classes(names))


def photo(kind: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((90, 120, 3), 120, np.uint8)).save(stream, kind)
    return stream.getvalue()


def epochs(*values: float | None) -> tuple[dict[str, float | int | None], ...]:
    return tuple(
        {
            "epoch": i + 1,
            "train_loss": 9 / (i + 1),
            "train_box": 5 / (i + 1),
            "train_objectness": 3 / (i + 1),
            "train_classes": 1 / (i + 1),
            "val_map50": None if value is None else min(1.0, value * 1.5),
            "val_map50_95": value,
            "rate": 0.001,
            "seconds": 31.5,
        }
        for i, value in enumerate(values)
    )


def made(names: tuple[str, ...] = NAMES, **changes) -> DetectionReport:
    """Return a complete report on generated detections."""
    counts = {split: dict.fromkeys(names, 400) for split in ("train", "val", "test")}
    rejected = (
        RejectedItem("images/broken.jpg", "the file is cut off", "Copy it again."),
        RejectedItem("a.txt", "x", line=3),
    )
    shown = DetectionReportImage(
        photo(), photo("PNG"), f"test/{HOSTILE}.jpg", "2 objects missed, 1 box where nothing is"
    )
    report = DetectionReport(
        title="Hard hats",
        task="detect",
        recipe="finetune",
        metrics=metrics(names=names),
        data=DataSummary(
            "photos", "yolo", 499, 501, {"train": 400, "val": 49, "test": 50}, counts, "9f" * 16, rejected
        ),
        model=ModelFacts(
            "yolox-nano", "yolox_nano.pth", "Apache-2.0", 911_077, 911_077, 1_080_000_000, "416 × 416 BGR"
        ),
        train_boxes={**dict.fromkeys(names, 400), names[-1]: 26},
        history=epochs(None, 0.1, 0.2, 0.3, float("nan"), 0.34),
        timings={"open": 1.5, "train": 500.0, "total": 512.0},
        config={"model": "yolox-nano", "epochs": 6},
        environment={"python": "3.11", "cpu": {"cores": 2}},
        recipes=(
            RecipeResult("transfer", None, None, 90),
            RecipeResult("finetune", 0.5, ConfidenceInterval(0.5, 0.4, 0.6), 400, True),
        ),
        images=DetectionReportImages(
            (shown,), (dataclasses.replace(shown, detail=""),), photo(), "mosaic of four photos, flip, colour"
        ),
        notes=("Stopped after epoch 6.",),
        created_at=datetime(2026, 1, 2, 3, 4),
    )
    return dataclasses.replace(report, **changes)


def costing(kind: str, gain: float) -> DetectionMetrics:
    errors = tuple(ErrorStats(name, 7, gain if name == kind else 0.001) for name in ERROR_KINDS)
    return dataclasses.replace(metrics(0.0), error_stats=errors)


def sized(small: float) -> DetectionMetrics:
    sizes = (SizeScore("small", 40, small, small), SizeScore("medium", 0, None, None), SizeScore("large", 40, 0.9, 0.6))
    return dataclasses.replace(metrics(0.0), size_scores=sizes)


def lacking() -> DetectionMetrics:
    """Return good metrics of a set whose test images show no person."""
    truth = objects(60, 2, 0)
    return compute_detection_metrics(truth, answers(truth, 2, 0.0), Classes(NAMES))


LEAK = LeakSummary("mAP50-95", 5, 60, ConfidenceInterval(0.6, 0.5, 0.7), ConfidenceInterval(0.55, 0.45, 0.65))
CASES = {
    "leak": (
        DetectionDiagnosisInput(metrics(0.0), MANY, leak=LEAK),
        DetectionDiagnosisInput(metrics(0.0), MANY),
    ),
    "few_boxes": (
        DetectionDiagnosisInput(metrics(0.0), {**MANY, "person": 26}),
        DetectionDiagnosisInput(metrics(0.0), MANY),
    ),
    "untested_objects": (DetectionDiagnosisInput(lacking(), MANY), DetectionDiagnosisInput(metrics(0.0), MANY)),
    "few_test_images": (
        DetectionDiagnosisInput(metrics(0.0, 29), MANY),
        DetectionDiagnosisInput(metrics(0.0, 30), MANY),
    ),
    "confused_objects": (DetectionDiagnosisInput(metrics(0.6), MANY), DetectionDiagnosisInput(metrics(0.1), MANY)),
    "small_objects": (DetectionDiagnosisInput(sized(0.5), MANY), DetectionDiagnosisInput(sized(0.8), MANY)),
    "costly_errors": (
        DetectionDiagnosisInput(costing(LOCALISATION, 0.05), MANY),
        DetectionDiagnosisInput(costing(LOCALISATION, 0.02), MANY),
    ),
    "still_learning": (
        DetectionDiagnosisInput(metrics(0.0), MANY, epochs(0.1, 0.2, 0.3, float("nan"), 0.4)),
        DetectionDiagnosisInput(metrics(0.0), MANY, epochs(0.1, 0.4, 0.4, 0.4, 0.4)),
    ),
    "past_its_best": (
        DetectionDiagnosisInput(metrics(0.0), MANY, epochs(0.1, 0.4, 0.38, 0.37, 0.36, 0.35)),
        DetectionDiagnosisInput(metrics(0.0), MANY, epochs(0.1, 0.4, 0.4, 0.39, 0.4, 0.395)),
    ),
}


@pytest.mark.parametrize("code", CASES)
def test_each_rule_fires_exactly_when_it_should(code):
    wrong, right = (diagnose_detection(evidence) for evidence in CASES[code])
    assert code in {finding.code for finding in wrong}
    assert code not in {finding.code for finding in right}
    said = next(finding for finding in wrong if finding.code == code)
    assert said.title
    assert said.text
    assert said.advice
    assert "nan" not in said.text.lower()
    json.dumps(said.to_dict(), allow_nan=False)


def test_every_rule_has_its_case():
    assert len(RULES) == len(CASES)


def test_a_good_detector_gets_a_single_positive_finding():
    (only,) = diagnose_detection(DetectionDiagnosisInput(metrics(0.0), MANY))
    assert (only.code, only.severity) == ("all_well", Severity.GOOD)


def test_the_rare_class_is_named_first_with_advice():
    first = made().findings[0]
    assert "person has 26 boxes: label about 100 more" in first.text
    assert first.severity is Severity.SERIOUS


def test_each_costly_kind_of_error_has_its_own_advice():
    advice = {
        kind: diagnose_detection(DetectionDiagnosisInput(costing(kind, 0.2), MANY))[1].advice for kind in ERROR_KINDS
    }
    assert len(set(advice.values())) == len(ERROR_KINDS)
    assert "background photos" in advice[BACKGROUND][0]
    both = dataclasses.replace(
        metrics(0.0), error_stats=tuple(ErrorStats(kind, 7, 0.1) for kind in (LOCALISATION, BACKGROUND))
    )
    assert len(diagnose_detection(DetectionDiagnosisInput(both, MANY))[1].advice) == 2


def test_the_json_holds_the_names_that_scripts_rely_on_and_no_nan(awkward):
    write_json(made(), awkward / "report.json")
    told = json.loads((awkward / "report.json").read_text("utf-8"), parse_constant=pytest.fail)
    assert told["task"] == "detect"
    assert set(told["test"]["map50"]) == set(told["test"]["map50_95"]) == {"value", "low", "high"}
    assert [score["name"] for score in told["test"]["classes"]] == list(NAMES)
    assert {"ap50", "ap50_95", "support"} <= set(told["test"]["classes"][0])
    assert told["train"]["boxes"]["person"] == 26
    assert told["val"]["map50_95"] == 0.34
    assert told["history"][4]["val_map50_95"] is None
    assert told["data"]["left_out"] == 2
    assert told == json.loads(json.dumps(report_to_dict(made())))


@pytest.mark.parametrize("language", ["en", "es", "pt"])
def test_page_and_markdown_hold_the_figures_in_every_language(language, monkeypatch, awkward):
    monkeypatch.setenv("LINCE_LANG", language)
    report = made((HOSTILE, "head", "person"))
    write_html(report, awkward / "report.html")
    write_markdown(report, awkward / "report.md")
    page, text = ((awkward / name).read_text("utf-8") for name in ("report.html", "report.md"))
    assert f'lang="{language}"' in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(?<!\\)<script", text)
    for part in ("yolox-nano", "Apache-2.0", "mAP50-95", "lince predict", "broken.jpg"):
        assert part in page
    assert "nan" not in re.findall(r">([^<]*)<", page.lower())
    value = f"{100 * report.metrics.map50.value:.1f}"
    figure = value if language == "en" else value.replace(".", ",")
    assert figure in page
    assert figure in text
    assert " of from " not in page


def test_a_report_with_nothing_to_show_beside_its_figures_still_opens():
    bare = made(history=(), recipes=(), images=DetectionReportImages(), timings={}, config={}, environment={}, notes=())
    page = render_html(bare)
    assert 'id="curves"' not in page
    assert 'id="recipes"' not in page
    assert "<img" not in page
    assert bare.val_primary_metric is None
    assert "Learning curves" not in render_markdown(bare)


def test_the_commands_name_the_run_where_it_is_known_and_the_worst_images_are_named():
    known = made(run="runs/mi red ñ")
    for text in (html.unescape(render_html(known)), render_markdown(known)):
        assert "lince predict 'runs/mi red ñ' PHOTOS" in text
        assert "lince evaluate 'runs/mi red ñ' DATA" in text
    text = render_markdown(made())
    assert "lince predict RUN PHOTOS" in text
    assert "| 2 objects missed, 1 box where nothing is |" in text.split("## Images with most errors")[1]
    assert "Images with most errors" not in render_markdown(made(images=DetectionReportImages()))


def test_errors_are_counted_in_whole_phrases():
    assert format_error_count(LOCALISATION, 1) == "1 box in the wrong location"
    assert format_error_count(BACKGROUND, 1234) == "1,234 boxes on the background"
    assert len({format_error_count(kind, number) for kind in ERROR_KINDS for number in (1, 2)}) == 2 * len(ERROR_KINDS)
    said = next(
        one
        for one in diagnose_detection(DetectionDiagnosisInput(costing(LOCALISATION, 0.2), MANY))
        if one.code == "costly_errors"
    )
    assert said.text == "7 boxes in the wrong location: without them mAP50 would be 20.0 points higher."


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_page_opens_without_network_and_fits_a_telephone(awkward):
    names = tuple(f"a class with quite a long name {i}" for i in range(14))
    report = render_html(made(names))
    measured = "document.title = 'wide ' + document.getElementById('f').contentDocument.documentElement.scrollWidth"
    page = awkward / "phone.html"
    page.write_text(
        f'<body onload="{measured}"><iframe id="f" width="360" height="800" srcdoc="{html.escape(report)}"></iframe>',
        "utf-8",
    )
    dom, addresses, console = opened(page, awkward)
    assert (addresses, console) == ([], [])
    found = re.search(r"<title>wide (\d+)</title>", dom)
    assert found is not None
    assert 300 < int(found[1]) <= 360
