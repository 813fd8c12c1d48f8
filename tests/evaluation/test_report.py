"""Classification report: JSON schema, page content and escaping, Markdown, chart geometry."""

from __future__ import annotations

import dataclasses
import html
import io
import itertools
import json
import re
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lince import number_format
from lince.annotations import Classes, RejectedItem
from lince.errors import DataError
from lince.evaluation.classification.comparison import compare_classifiers
from lince.evaluation.classification.metrics import compute_classification_metrics
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.report import (
    ClassificationReport,
    ClassificationReportImage,
    ClassificationReportImages,
    DataSummary,
    ModelFacts,
    RecipeResult,
    build_classifier_table,
    build_recall_table,
    charts,
    describe_outcomes,
    render_comparison_html,
    render_comparison_markdown,
    render_html,
    render_markdown,
    report_to_dict,
    svg,
    write_html,
    write_json,
    write_markdown,
)
from lince.evaluation.report.html import keep_options

HOSTILE = "<script>alert('1')</script> & \"two\""
VOID = {"meta", "link", "img", "br", "line", "rect", "circle", "polyline"}


def picture(
    truth="roses", predicted="tulips", caption="test/a photo.jpg", overlay=False, kind="JPEG"
) -> ClassificationReportImage:
    stream = io.BytesIO()
    Image.fromarray(np.full((24, 32, 3), 120, np.uint8)).save(stream, kind)
    return ClassificationReportImage(
        stream.getvalue(), caption, truth, predicted, 0.913, stream.getvalue() if overlay else None
    )


def predictions(names: tuple[str, ...], count=240, skill=3.0, seed=0) -> ClassificationPredictions:
    rng = np.random.default_rng(seed)
    truth = (np.arange(count) % len(names)).astype(np.int32)
    logits = rng.normal(size=(count, len(names)))
    logits[np.arange(count), truth] += skill
    shares = np.exp(logits)
    shares = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    keys = tuple(f"{i:032x}" for i in range(count))
    return ClassificationPredictions(keys, tuple(f"test/{i}.jpg" for i in range(count)), truth, shares, Classes(names))


def made(names: tuple[str, ...] = ("daisy", "roses", "tulips"), **changes) -> ClassificationReport:
    """Return a complete report on generated predictions."""
    counts = {"train": dict.fromkeys(names, 300), "val": dict.fromkeys(names, 40), "test": dict.fromkeys(names, 80)}
    history = tuple(
        {
            "epoch": i + 1,
            "train_loss": 1 / (i + 1),
            "train_accuracy": 1 - 0.4 / (i + 1),
            "val_loss": 0.3 + 0.8 / (i + 1),
            "val_accuracy": 0.9 - 0.3 / (i + 1),
            "rate": 0.001,
            "seconds": 4.2,
        }
        for i in range(6)
    )
    report = ClassificationReport(
        title="Flowers",
        task="classify",
        recipe="transfer",
        metrics=predictions(names).compute_metrics(),
        data=DataSummary(
            "photos",
            "folders",
            3667,
            3670,
            {"train": 900, "val": 120, "test": 240},
            counts,
            "9f" * 16,
            (
                RejectedItem("train/roses/broken.jpg", "the file is cut off", "Copy it again."),
                RejectedItem("labels.csv", "unknown class", line=14),
                RejectedItem("notes.txt", "not an image"),
            ),
        ),
        model=ModelFacts(
            "mobilenetv2_100",
            "weights.pth",
            "Apache-2.0",
            2_230_277,
            3_843,
            300_774_272,
            "224 × 224 RGB",
        ),
        history=history,
        train_accuracy=0.99,
        val_accuracy=0.92,
        timings={"read": 3.5, "features": 12.25, "total": 15.75},
        config={"model": "small", "epochs": 20},
        environment={"python": "3.11", "cpu": {"cores": 2}},
        recipes=(
            RecipeResult("scratch", 0.7, ConfidenceInterval(0.71, 0.66, 0.76), 300.0),
            RecipeResult("transfer", None, None, 19, True),
        ),
        images=ClassificationReportImages(
            (picture(), picture(kind="PNG")),
            (picture(),),
            (picture("roses", "roses"),),
            (picture(overlay=True),),
            picture().image,
            "rotation ± 15°",
        ),
        notes=("Only a part of the data was used.",),
        created_at=datetime(2026, 1, 2, 3, 4),
    )
    return dataclasses.replace(report, **changes)


class Page(HTMLParser):
    """Parses a page, checks that its tags are closed in order, and collects its elements and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID or (self.open and self.open[-1] == "svg"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open[-1] != tag and self.open[-1] in VOID:
            self.open.pop()
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words += data


def test_scripts_find_what_they_rely_on(awkward):
    report = made()
    write_json(report, awkward / "report.json")
    found = json.loads((awkward / "report.json").read_text("utf-8"))
    assert found["task"] == "classify"
    assert set(found["test"]["accuracy"]) == {"value", "low", "high"}
    assert found["test"]["accuracy"]["value"] == report.metrics.accuracy.value
    assert [row["name"] for row in found["test"]["classes"]] == ["daisy", "roses", "tulips"]
    assert {"support", "precision", "recall", "f1"} <= set(found["test"]["classes"][0])
    assert found["timings"] == {"read": 3.5, "features": 12.25, "total": 15.75}
    assert (found["data"]["used"], found["data"]["left_out"]) == (3667, 3)
    assert found["data"]["rejected"][1]["line"] == 14
    assert found["environment"]["cpu"]["cores"] == 2
    assert found["model"]["licence"] == "Apache-2.0"
    assert found["diagnosis"][0]["code"]
    assert np.sum(found["test"]["confusion"]["counts"]) == 240
    assert found["recipes"][1]["test"] is None


def test_numbers_that_json_cannot_hold_become_null():
    history = ({"epoch": 1, "train_loss": float("nan"), "val_loss": float("inf")},)
    assert report_to_dict(made(history=history))["history"][0] == {"epoch": 1, "train_loss": None, "val_loss": None}


def test_the_page_starts_with_the_summary_and_has_every_section(awkward):
    report = made()
    write_html(report, awkward / "report.html")
    page = Page((awkward / "report.html").read_text("utf-8"))
    order = [attrs["id"] for tag, attrs in page.elements if tag == "section"]
    assert order == [
        "errors",
        "diagnosis",
        "recipes",
        "curves",
        "classes",
        "confusion",
        "calibration",
        "pictures",
        "data",
        "next",
        "training-details",
    ]
    assert page.words.index(number_format.format_percent(report.metrics.accuracy.value)) < page.words.index(
        "predictions are wrong"
    )
    for words in ("used 3,667 of 3,670", "labels.csv:14", "rotation ± 15°", "Apache-2.0", "12 s", "Only a part"):
        assert words in page.words
    anchors = {attrs["href"][1:] for tag, attrs in page.elements if tag == "a"}
    assert anchors <= {attrs.get("id") for _tag, attrs in page.elements}


def test_the_page_needs_nothing_from_anywhere():
    page = Page(render_html(made()))
    assert "script" not in {tag for tag, _attrs in page.elements}
    for _tag, attrs in page.elements:
        assert attrs.get("src", "data:").startswith("data:")
        assert attrs.get("href", "#")[0] == "#" or attrs["href"] == "data:,"
        assert not any(name.startswith("on") for name in attrs)
    assert "url(" not in render_html(made())


def test_the_page_is_accessible():
    page = Page(render_html(made()))
    images = [attrs for tag, attrs in page.elements if tag == "img"]
    assert len(images) == 7
    assert all(attrs["alt"] for attrs in images)
    assert all(attrs.get("aria-label") for tag, attrs in page.elements if tag == "svg")
    assert all(attrs.get("scope") for tag, attrs in page.elements if tag == "th")
    levels = [int(tag[1]) for tag, _attrs in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))


def test_hostile_names_are_escaped():
    names = (HOSTILE, "b|c", "d*e_f")
    report = made(
        names, title=HOSTILE, images=ClassificationReportImages((picture(HOSTILE, "b|c", HOSTILE),)), notes=(HOSTILE,)
    )
    html = render_html(report)
    assert "<script" not in html
    assert HOSTILE in Page(html).words
    markdown = render_markdown(report)
    assert "<script" not in markdown.replace(r"\<", "")
    assert r"b\|c" in markdown
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in markdown.split("## ")[6].splitlines() if line[:1] == "|"}
    assert widths == {5}
    comparison = compare_classifiers({HOSTILE: predictions(names), "other": predictions(names, seed=1)})
    assert "<script" not in render_comparison_html(comparison)
    assert HOSTILE in Page(render_comparison_html(comparison)).words


@pytest.mark.parametrize("count", [2, 5, 10, 37, 100])
def test_any_number_of_classes_fits(count):
    names = tuple(f"a class with a rather long name {i}" for i in range(count))
    page = Page(render_html(made(names, metrics=predictions(names, count * 8).compute_metrics())))
    cells = [attrs for tag, attrs in page.elements if tag == "td" and attrs.get("style", "").startswith("--a")]
    assert len(cells) >= count
    folded = [words for words in ("Full matrix", "Normalised", "The other 80 classes") if words in page.words]
    assert folded == {37: ["Normalised"], 100: ["Full matrix", "The other 80 classes"]}.get(count, [])


def test_a_report_without_optional_parts_is_complete():
    bare = made(
        history=(),
        recipes=(),
        images=ClassificationReportImages(),
        timings={},
        config={},
        environment={},
        train_accuracy=None,
        val_accuracy=None,
        notes=(),
    )
    page = Page(render_html(bare))
    ids = {attrs["id"] for tag, attrs in page.elements if tag == "section"}
    assert not ids & {"curves", "recipes", "pictures"}
    assert "Learning curves" not in render_markdown(bare)
    json.dumps(report_to_dict(bare), allow_nan=False)


def test_what_cannot_be_computed_is_a_dash_with_its_reason():
    metrics = compute_classification_metrics(np.array([0, 0, 1]), np.eye(3)[[0, 0, 0]], Classes(("a", "b", "c")))
    page = Page(render_html(made(("a", "b", "c"), metrics=metrics)))
    reasons = [attrs["title"] for tag, attrs in page.elements if tag == "td" and "title" in attrs]
    assert "no image was predicted as this class" in reasons
    assert "nan" not in page.words.lower()


def test_a_picture_of_another_kind_is_refused():
    with pytest.raises(DataError, match="neither JPEG nor PNG"):
        render_html(made(images=ClassificationReportImages((picture(kind="GIF"),))))


def test_the_markdown_has_the_same_content(awkward):
    report = made()
    write_markdown(report, awkward / "report.md")
    text = (awkward / "report.md").read_text("utf-8")
    assert text.startswith("# Flowers\n\n**" + number_format.format_percent(report.metrics.accuracy.value))
    for words in (
        "## Errors",
        "## Diagnosis",
        "## Metrics per class",
        "| roses |",
        "labels.csv:14",
        "cpu.cores",
    ):
        assert words in text
    assert text.count("\n## ") == 9


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("en", ["1,234,567", "9,999", "12.5%", "0.125", "2.2 M"]),
        ("es", ["1\u202f234\u202f567", "9999", "12,5\u202f%", "0,125", "2,2 M"]),
        ("pt", ["1.234.567", "9.999", "12,5%", "0,125", "2,2 M"]),
    ],
)
def test_numbers_are_written_as_in_the_language(monkeypatch, code, said):
    monkeypatch.setenv("LINCE_LANG", code)
    assert [
        number_format.format_count(1_234_567),
        number_format.format_count(9_999),
        number_format.format_percent(0.125),
        number_format.format_decimal(0.125),
        number_format.format_si_suffix(2_230_000),
    ] == said
    assert f'<html lang="{code}">' in render_html(made())


@pytest.mark.parametrize(("seconds", "said"), [(0.04, "0.0 s"), (9.96, "10 s"), (61, "1 min 1 s"), (3719, "1 h 1 min")])
def test_durations_take_the_unit_that_reads_best(seconds, said):
    assert number_format.format_duration(seconds) == said


@pytest.mark.parametrize("code", ["es", "pt"])
def test_the_page_is_translated_whole(monkeypatch, code):
    english = Page(render_html(made())).words
    monkeypatch.setenv("LINCE_LANG", code)
    other = Page(render_html(made())).words
    for words in ("Errors", "Metrics per class", "Training details", "test accuracy", "training"):
        assert words in english
        assert words not in other


def test_axes_hold_their_values_with_round_ticks():
    found = svg.make_axis([0.31, 1.87], 100, 0)
    assert found.ticks == (0.0, 0.5, 1.0, 1.5, 2.0)
    assert (found.to_pixels(0), found.to_pixels(2)) == (100, 0)
    assert svg.make_axis([1, 20], 0, 190, 8, integer_ticks=True).ticks[0] == 1
    flat = svg.make_axis([0.5, 0.5], 0, 10)
    assert flat.ticks[0] < 0.5 < flat.ticks[-1]


def test_the_curve_goes_through_its_points():
    page = Page(render_html(made()))
    lines = [attrs for tag, attrs in page.elements if tag == "polyline"]
    curves = [*["curve train", "curve val"] * 2, "curve rate"]
    assert [attrs["class"] for attrs in lines][:5] == curves
    falling = [float(point.split(",")[1]) for point in lines[0]["points"].split()]
    assert falling == sorted(falling)  # a falling loss has growing y coordinates
    assert len(falling) == 6


def test_runs_side_by_side_in_words_and_tables():
    names = ("daisy", "roses", "tulips")
    comparison = compare_classifiers({"old": predictions(names, skill=1.0), "new": predictions(names, skill=5.0)})
    runs, classes = build_classifier_table(comparison), build_recall_table(comparison)
    assert [row[0] for row in runs.rows] == ["old", "new"]
    assert runs.rows[0][3] == number_format.MISSING_VALUE
    assert runs.rows[1][3].startswith("+")
    assert {len(row) for row in runs.rows} == {len(runs.header)}
    assert [row[:2] for row in classes.rows] == [(name, "80") for name in names]
    assert describe_outcomes(comparison)[0].startswith("new is better than old by +")
    back = compare_classifiers({"new": predictions(names, skill=5.0), "old": predictions(names, skill=1.0)})
    assert describe_outcomes(back)[0].startswith("old is worse than new: −")
    same = compare_classifiers({"one": predictions(names), "two": predictions(names)})
    assert "No significant difference" in describe_outcomes(same)[0]
    assert "| new |" in render_comparison_markdown(comparison)
    assert "Fixed: " in Page(render_comparison_html(comparison)).words


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([0, 0, 0, 1, 1, 1], "All 6 test images were classified correctly."),
        ([0, 0, 1, 1, 1, 1], "1 of 6 predictions are wrong. Most frequent error: “daisy” predicted as “roses”: 1 of 3"),
        ([0, 0, 1, 1, 1, 0], "2 of 6 predictions are wrong. No class was predicted as another one more than once."),
        ([0, 1, 1, 0, 0, 1], "4 of 6 predictions are wrong. Most frequent errors: “daisy” predicted as “roses”: 2 of"),
    ],
)
def test_no_error_is_called_the_most_frequent_where_others_are_as_frequent(answers: list[int], said: str) -> None:
    shares = np.eye(2)[answers] * 0.8 + 0.1
    metrics = compute_classification_metrics(np.array([0, 0, 0, 1, 1, 1]), shares, Classes(("daisy", "roses")))
    assert said in html.unescape(render_html(made(("daisy", "roses"), metrics=metrics)))


def test_options_are_not_broken_at_their_hyphens() -> None:
    page = render_html(made(run="runs/train"))
    assert 'lince serve runs/train <span class="option">--open</span>' in page
    assert html.unescape(keep_options("<b> --lr 1")) == '<b> <span class="option">--lr</span> 1'


def test_the_report_says_how_to_use_the_model() -> None:
    commands = ("lince predict RUN PHOTOS --save", "lince serve RUN --open", "lince evaluate RUN DATA")
    assert all(f"`{command}`" in render_markdown(made()) for command in commands)
    assert "`lince export 'my runs/a' --to onnx`" in render_markdown(made(run="my runs/a"))
    told = render_html(made(run="runs/train", is_evaluation=True))
    assert "evaluation of runs/train" in told
    assert not any(part in told for part in ("Training details", "How to use it", "Diagnosis", "Training data"))


def test_the_best_epoch_is_the_one_whose_weights_were_kept() -> None:
    history = tuple(
        {"epoch": i + 1, "val_loss": loss, "val_accuracy": accuracy}
        for i, (loss, accuracy) in enumerate([(0.9, 0.5), (0.4, 0.8), (0.6, 0.9), (0.4, 0.9), (float("nan"), None)])
    )
    assert charts.find_best_epoch(history, "val_loss") == 2
    assert charts.find_best_epoch(history, "val_accuracy") == 3
    assert charts.find_best_epoch(history, "val_map50") is None
    losses = [str(charts.draw_loss_curves(history, best)) for best in (None, 2, 3)]
    assert ["best epoch" in drawn for drawn in losses] == [False, True, True]
    assert losses[1] != losses[2]


def test_with_a_tolerance_the_last_of_those_that_are_nearly_best_was_kept() -> None:
    history = [{"epoch": i, "val_miou": value} for i, value in enumerate((0.5, 0.82, 0.7, 0.815, 0.80), 1)]
    assert charts.find_best_epoch(history, "val_miou") == 2
    assert charts.find_best_epoch(history, "val_miou", 0.01) == 4
    assert charts.find_best_epoch(history, "val_miou", 0.5) == 5


def test_every_dot_has_a_colour_in_both_schemes() -> None:
    style = (Path(charts.__file__).parent / "templates" / "style.css").read_text("utf-8")
    assert all(f"svg .point.{name}" in style for name in ("train", "val", "test", "rate", "precision", "recall"))
