"""The sentences and table rows that the page and the Markdown of a report share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

from lince.evaluation.diagnosis.prediction_rules import ClassConfusion, list_confusions
from lince.evaluation.report.classification.report import (
    ClassificationReport,
    DataSummary,
    HistoryRow,
    ModelSummary,
    RecipeResult,
)
from lince.i18n import _
from lince.number_format import (
    MISSING_VALUE,
    format_count,
    format_decimal,
    format_duration,
    format_percent,
    format_percent_range,
    format_si_suffix,
)

NamedTexts = list[tuple[str, str]]


@dataclass(frozen=True)
class TextTable:
    """Texts in rows under a header, ready to be shown."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def summarise_result(report: ClassificationReport) -> str:
    """Return the result in one sentence."""
    metrics = report.metrics
    return _("It is right on {right} of {total} images that it had never seen.").format(
        right=format_count(int(metrics.confusion.trace())), total=format_count(metrics.count)
    )


def describe_expected_range(report: ClassificationReport) -> str:
    """Return what the interval means in one sentence."""
    return _("On other images of the same kind, expect {range} (95 % interval).").format(
        range=format_percent_range(report.metrics.accuracy.low, report.metrics.accuracy.high)
    )


def describe_mistakes(report: ClassificationReport) -> str:
    """Return how many answers were wrong and which mistake is the most frequent."""
    metrics = report.metrics
    wrong = metrics.count - int(metrics.confusion.trace())
    if not wrong:
        return _("Not one of the {total} test images was answered wrongly.").format(total=format_count(metrics.count))
    said = _("{wrong} of {total} answers are wrong.").format(
        wrong=format_count(wrong), total=format_count(metrics.count)
    )
    return said + " " + _("The most frequent mistake: {pair}.").format(pair=list_confusions(metrics)[0])


def list_worst_confusions(report: ClassificationReport, max_pairs: int) -> list[ClassConfusion]:
    """Return the ``most`` frequent mistakes."""
    return list_confusions(report.metrics)[:max_pairs]


def list_key_figures(report: ClassificationReport) -> NamedTexts:
    """Return the few figures that stand at the top: (name, figure)."""
    metrics = report.metrics
    rows = [(_("macro F1"), format_percent(metrics.macro.f1))]
    rows += [
        (_("among the first {k}").format(k=k), format_percent(share))
        for k, share in list(metrics.top_k_accuracy.items())[-1:]
    ]
    if report.train_accuracy is not None:
        rows.append((_("right on training images"), format_percent(report.train_accuracy)))
    if report.val_accuracy is not None:
        rows.append((_("right on validation images"), format_percent(report.val_accuracy)))
    rows.append((_("calibration error"), format_decimal(metrics.calibration.ece)))
    if report.timings:
        rows.append((_("whole time"), format_duration(compute_total_seconds(report.timings))))
    return rows


def list_overall_figures(report: ClassificationReport) -> NamedTexts:
    """Return all figures over the whole test set: (name, figure)."""
    metrics = report.metrics
    rows = [
        (
            _("accuracy"),
            f"{format_percent(metrics.accuracy.value)} ({format_percent_range(metrics.accuracy.low, metrics.accuracy.high)})",
        ),
        (_("macro precision"), format_percent(metrics.macro.precision)),
        (_("macro recall (balanced accuracy)"), format_percent(metrics.macro.recall)),
        (_("macro F1"), format_percent(metrics.macro.f1)),
    ]
    rows += [
        (_("right class among the first {k}").format(k=k), format_percent(share))
        for k, share in metrics.top_k_accuracy.items()
    ]
    return [
        *rows,
        (_("log loss"), format_decimal(metrics.log_loss)),
        (_("calibration error (ECE, 15 bins)"), format_decimal(metrics.calibration.ece)),
        (_("mean probability of the answers"), format_percent(metrics.calibration.confidence)),
    ]


def build_epoch_table(history: Sequence[HistoryRow]) -> TextTable:
    """Return the history as a table of those columns that were measured."""
    names = _column_titles()
    keys = [*names, *dict.fromkeys(key for epoch in history for key in epoch if key not in names)]
    present = [key for key in keys if any(epoch.get(key) is not None for epoch in history)]
    rows = tuple(tuple(_format_cell(key, epoch.get(key)) for key in present) for epoch in history)
    return TextTable(tuple(names.get(key, key.replace("_", " ")) for key in present), rows)


def build_recipe_table(rows: Sequence[RecipeResult]) -> TextTable:
    """Return the recipes that were compared as a table."""
    header = (_("recipe"), _("validation"), _("test"), _("95 % interval"), _("time"))
    cells = [
        (
            translate_recipe(row.name) + (" ✓" if row.chosen else ""),
            format_percent(row.val),
            format_percent(row.test.value if row.test else None),
            format_percent_range(row.test.low, row.test.high) if row.test else "",
            format_duration(row.seconds),
        )
        for row in rows
    ]
    return TextTable(header, tuple(cells))


def list_data_facts(data: DataSummary, classes: int) -> NamedTexts:
    """Return what the run learned from: (name, fact)."""
    used = _("used {used} of {total}").format(used=format_count(data.used_count), total=format_count(data.total_count))
    splits = ", ".join(f"{translate_split(name)} {format_count(size)}" for name, size in data.splits.items())
    return [
        (_("folder"), data.root),
        (_("format"), data.format),
        (_("images"), used),
        (_("split"), splits),
        (_("classes"), format_count(classes)),
        (_("fingerprint"), data.fingerprint),
    ]


def list_model_facts(model: ModelSummary) -> NamedTexts:
    """Return what the network is and costs: (name, fact)."""
    return [
        (_("network"), model.name),
        (_("input"), model.input),
        (
            _("parameters"),
            _("{all}, of them trained: {trained}").format(
                all=format_count(model.params), trained=format_count(model.trainable)
            ),
        ),
        (_("multiply-accumulates per image"), format_si_suffix(model.macs)),
        (_("pretrained weights"), model.source),
        (_("licence of the weights"), model.licence),
    ]


def list_timings(stages: Mapping[str, float]) -> NamedTexts:
    """Return the stages with their time: (name, time)."""
    return [(translate_stage(key), format_duration(seconds)) for key, seconds in stages.items()]


def compute_total_seconds(stages: Mapping[str, float]) -> float:
    """Return the whole time in seconds: the stage ``total`` where there is one, else the sum."""
    return stages.get("total", sum(stages.values()))


def flatten_settings(values: Mapping[str, Any]) -> NamedTexts:
    """Return settings as they are written in a file: (name, value); nested ones joined by dots."""
    rows: NamedTexts = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += [(f"{key}.{inner}", said) for inner, said in flatten_settings(value)]
        else:
            rows.append((str(key), ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)))
    return rows


def translate_split(key: str) -> str:
    """Return the word for the split ``key``."""
    names = {
        "train": _("training"),
        "val": _("validation"),
        "test": _("test"),
        "unassigned": _("unassigned"),
    }
    return names.get(key, key)


def translate_stage(key: str) -> str:
    """Return the words for the stage ``key`` of a run; a stage without words of its own shows its key."""
    names = {
        "open": _("opening the data"),
        "data": _("opening the data"),
        "read": _("reading the images"),
        "images": _("reading the images"),
        "verify": _("checking the images"),
        "split": _("splitting"),
        "model": _("building the network"),
        "features": _("computing features"),
        "head": _("fitting the head"),
        "train": _("training"),
        "fit": _("training"),
        "evaluate": _("evaluating"),
        "export": _("exporting"),
        "saliency": _("drawing saliency"),
        "pictures": _("choosing pictures"),
        "report": _("writing the report"),
        "total": _("whole time"),
    }
    return names.get(key, key.replace("_", " "))


def translate_recipe(key: str) -> str:
    """Return the words for the recipe ``key``."""
    names = {
        "scratch": _("from scratch"),
        "transfer": _("transfer"),
        "finetune": _("fine-tuning"),
        "all": _("all recipes"),
    }
    return names.get(key, key)


def _column_titles() -> dict[str, str]:
    return {
        "epoch": _("epoch"),
        "train_loss": _("training loss"),
        "train_box": _("of it boxes"),
        "train_objectness": _("of it objectness"),
        "train_classes": _("of it classes"),
        "train_l1": _("of it distances"),
        "train_accuracy": _("training accuracy"),
        "val_loss": _("validation loss"),
        "val_accuracy": _("validation accuracy"),
        "val_map50": _("validation mAP50"),
        "val_map50_95": _("validation mAP50-95"),
        "rate": _("learning rate"),
        "seconds": _("time"),
    }


def _format_cell(key: str, value: float | None) -> str:
    if value is None or isnan(value):
        return MISSING_VALUE
    if key == "epoch":
        return format_count(int(value))
    if key == "rate":
        return f"{value:.3g}"
    if key == "seconds":
        return format_duration(value)
    return format_percent(value) if key.endswith(("accuracy", "map50", "map50_95")) else format_decimal(value, 4)
