"""Texts and tables that the reports of all tasks share, in the current language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

from lince.evaluation.report.facts import DataSummary, HistoryRow, ModelFacts, RecipeResult
from lince.fileio import quote_path
from lince.i18n import _, localise_number
from lince.model_card import translate_licence
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
    """A table of formatted cells; every row is as long as ``header``."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def build_epoch_table(history: Sequence[HistoryRow]) -> TextTable:
    """Return one row per epoch with the columns that were measured, in a fixed order.

    Keys of the history without a translated title follow under their own names. A dash stands for a value that an epoch
    lacks.
    """
    names = _column_titles()
    keys = [*names, *dict.fromkeys(key for epoch in history for key in epoch if key not in names)]
    present = [key for key in keys if any(epoch.get(key) is not None for epoch in history)]
    rows = tuple(tuple(_format_cell(key, epoch.get(key)) for key in present) for epoch in history)
    return TextTable(tuple(names.get(key, key.replace("_", " ")) for key in present), rows)


def build_recipe_table(rows: Sequence[RecipeResult]) -> TextTable:
    """Return the table that compares recipes; a check mark follows the name of the one that was kept.

    The columns are the headline metric on validation and test images, the interval of the latter, and the duration.
    """
    header = (_("recipe"), _("validation"), _("test"), _("95% interval"), _("time"))
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
    """Return the facts of the data as (name, value): folder, format, images, splits, classes and fingerprint.

    ``classes`` is the number of classes.
    """
    used = _("used {used} of {total}").format(used=format_count(data.used_count), total=format_count(data.total_count))
    splits = ", ".join(f"{translate_split(name)} {format_count(size)}" for name, size in data.splits.items())
    return [
        (_("folder"), data.root),
        (_("format"), data.format),
        (_("images and labels"), used),
        (_("split"), splits),
        (_("classes"), format_count(classes)),
        (_("dataset hash"), data.fingerprint),
    ]


def list_model_facts(model: ModelFacts) -> NamedTexts:
    """Return the facts of the network as (name, value).

    They are its name, input size, parameters, multiply-accumulates per image, and source and licence of the weights.
    """
    return [
        (_("network"), model.name),
        (_("input"), model.input),
        (
            _("parameters"),
            _("{all}, trainable: {trained}").format(
                all=format_count(model.params), trained=format_count(model.trainable)
            ),
        ),
        (_("MACs per image"), format_si_suffix(model.macs)),
        (_("pretrained weights"), model.source),
        (_("licence of the weights"), translate_licence(model.licence)),
    ]


def list_timings(stages: Mapping[str, float]) -> NamedTexts:
    """Return the stages and their durations as (name, duration); ``stages`` are seconds."""
    return [(translate_stage(key), format_duration(seconds)) for key, seconds in stages.items()]


def list_next_commands(run: str, prediction: str) -> NamedTexts:
    """Return what to do with the model of ``run`` (a path, empty where unknown) as (purpose, command), for the shell.

    ``prediction`` is the purpose of ``lince predict``.
    """
    run = quote_path(run) if run else _("RUN")
    photos, data, other = _("PHOTOS"), _("DATA"), _("OTHER")
    return [
        (prediction, f"lince predict {run} {photos} --save"),
        (_("Try it in the browser"), f"lince serve {run} --open"),
        (_("Evaluate it on other labelled photos"), f"lince evaluate {run} {data}"),
        (_("Compare with another run"), f"lince compare {run} {other}"),
        (_("Use it in other programs"), f"lince export {run} --to onnx"),
    ]


def compute_total_seconds(stages: Mapping[str, float]) -> float:
    """Return the total duration in seconds: the stage ``total`` where there is one, else the sum of ``stages``."""
    return stages.get("total", sum(stages.values()))


def flatten_settings(values: Mapping[str, Any]) -> NamedTexts:
    """Return settings as (name, value).

    The keys of nested mappings are joined by dots, the items of lists by commas.
    """
    rows: NamedTexts = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += [(f"{key}.{name}", text) for name, text in flatten_settings(value)]
        else:
            rows.append((str(key), ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)))
    return rows


def translate_split(key: str) -> str:
    """Return the translated name of a split; an unknown key is returned as it is."""
    names = {
        "train": _("training"),
        "val": _("validation"),
        "test": _("test"),
        "unassigned": _("unassigned"),
    }
    return names.get(key, key)


def translate_stage(key: str) -> str:
    """Return the translated name of a stage; an unknown key with spaces for underscores."""
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
        "saliency": _("drawing Grad-CAM maps"),
        "pictures": _("choosing pictures"),
        "report": _("writing the report"),
        "total": _("total time"),
    }
    return names.get(key, key.replace("_", " "))


def translate_recipe(key: str) -> str:
    """Return the translated name of a recipe; an unknown key is returned as it is."""
    names = {
        "scratch": _("from scratch"),
        "transfer": _("transfer"),
        "finetune": _("fine-tuning"),
        "all": _("all recipes"),
    }
    return names.get(key, key)


def list_loss_parts(history: Sequence[HistoryRow]) -> dict[str, str]:
    """Return the titles of the parts of a detector's training loss, by their keys in ``history``."""
    titles = _column_titles()
    keys = dict.fromkeys(key for epoch in history for key in epoch if key.startswith("train_"))
    return {key: titles.get(key, key.replace("_", " ")) for key in keys if key not in ("train_loss", "train_accuracy")}


def _column_titles() -> dict[str, str]:
    """Return the translated titles of the columns of the history, in their order."""
    return {
        "epoch": _("epoch"),
        "train_loss": _("training loss"),
        "train_box": _("box loss"),
        "train_objectness": _("objectness loss"),
        "train_classes": _("class loss"),
        "train_masks": _("mask loss"),
        "train_l1": _("L1 loss"),
        "train_accuracy": _("training accuracy"),
        "val_loss": _("validation loss"),
        "val_accuracy": _("validation accuracy"),
        "val_precision": _("validation precision"),
        "val_recall": _("validation recall"),
        "val_map": _("validation mAP"),
        "val_miou": _("validation mIoU"),
        "val_map50": _("validation mAP50"),
        "val_map50_95": _("validation mAP50-95"),
        "val_segm_map50": _("validation mask mAP50"),
        "val_segm_map50_95": _("validation mask mAP50-95"),
        "rate": _("learning rate"),
        "seconds": _("time"),
    }


def _format_cell(key: str, value: float | None) -> str:
    """Return a value of the history as text, by the kind of its column.

    Accuracies and average precisions are percentages, learning rates have three significant digits, losses four
    decimals.
    """
    if value is None or isnan(value):
        return MISSING_VALUE
    if key == "epoch":
        return format_count(int(value))
    if key == "rate":
        return localise_number(f"{value:.3g}")
    if key == "seconds":
        return format_duration(value)
    return (
        format_percent(value)
        if key.endswith(("accuracy", "map", "map50", "map50_95", "miou", "precision", "recall"))
        else format_decimal(value, 4)
    )
