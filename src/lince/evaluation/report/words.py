"""The sentences and table rows that the page and the Markdown of a report share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

from lince.evaluation.diagnosis.answers import Confusion, confusions
from lince.evaluation.figures import MISSING, count, decimal, duration, magnitude, percent, percent_range
from lince.evaluation.report.record import DataFacts, Epoch, ModelFacts, RecipeRow, Report
from lince.messages import _

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """Texts in rows under a header, ready to be shown."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def answer(report: Report) -> str:
    """Return the result in one sentence."""
    metrics = report.metrics
    return _("It is right on {right} of {total} images that it had never seen.").format(
        right=count(int(metrics.confusion.trace())), total=count(metrics.count)
    )


def promise(report: Report) -> str:
    """Return what the interval means in one sentence."""
    return _("On other images of the same kind, expect {range} (95 % interval).").format(
        range=percent_range(report.metrics.accuracy)
    )


def mistakes(report: Report) -> str:
    """Return how many answers were wrong and which mistake is the most frequent."""
    metrics = report.metrics
    wrong = metrics.count - int(metrics.confusion.trace())
    if not wrong:
        return _("Not one of the {total} test images was answered wrongly.").format(total=count(metrics.count))
    said = _("{wrong} of {total} answers are wrong.").format(wrong=count(wrong), total=count(metrics.count))
    return said + " " + _("The most frequent mistake: {pair}.").format(pair=confusions(metrics)[0])


def worst_pairs(report: Report, most: int) -> list[Confusion]:
    """Return the ``most`` frequent mistakes."""
    return confusions(report.metrics)[:most]


def cards(report: Report) -> Pairs:
    """Return the few figures that stand at the top: (name, figure)."""
    metrics = report.metrics
    rows = [(_("macro F1"), percent(metrics.macro.f1))]
    rows += [(_("among the first {k}").format(k=k), percent(share)) for k, share in list(metrics.top.items())[-1:]]
    if report.train_accuracy is not None:
        rows.append((_("right on training images"), percent(report.train_accuracy)))
    if report.val_accuracy is not None:
        rows.append((_("right on validation images"), percent(report.val_accuracy)))
    rows.append((_("calibration error"), decimal(metrics.calibration.ece)))
    if report.timings:
        rows.append((_("whole time"), duration(total_seconds(report.timings))))
    return rows


def overall(report: Report) -> Pairs:
    """Return all figures over the whole test set: (name, figure)."""
    metrics = report.metrics
    rows = [
        (_("accuracy"), f"{percent(metrics.accuracy.value)} ({percent_range(metrics.accuracy)})"),
        (_("macro precision"), percent(metrics.macro.precision)),
        (_("macro recall (balanced accuracy)"), percent(metrics.macro.recall)),
        (_("macro F1"), percent(metrics.macro.f1)),
    ]
    rows += [(_("right class among the first {k}").format(k=k), percent(share)) for k, share in metrics.top.items()]
    return [
        *rows,
        (_("log loss"), decimal(metrics.log_loss)),
        (_("calibration error (ECE, 15 bins)"), decimal(metrics.calibration.ece)),
        (_("mean probability of the answers"), percent(metrics.calibration.confidence)),
    ]


def epochs(history: Sequence[Epoch]) -> Table:
    """Return the history as a table of those columns that were measured."""
    names = _columns()
    keys = [*names, *dict.fromkeys(key for epoch in history for key in epoch if key not in names)]
    present = [key for key in keys if any(epoch.get(key) is not None for epoch in history)]
    rows = tuple(tuple(_cell(key, epoch.get(key)) for key in present) for epoch in history)
    return Table(tuple(names.get(key, key.replace("_", " ")) for key in present), rows)


def recipes(rows: Sequence[RecipeRow]) -> Table:
    """Return the recipes that were compared as a table."""
    header = (_("recipe"), _("validation"), _("test"), _("95 % interval"), _("time"))
    cells = [
        (
            recipe_name(row.name) + (" ✓" if row.chosen else ""),
            percent(row.val),
            percent(row.test.value if row.test else None),
            percent_range(row.test) if row.test else "",
            duration(row.seconds),
        )
        for row in rows
    ]
    return Table(header, tuple(cells))


def data_facts(data: DataFacts, classes: int) -> Pairs:
    """Return what the run learned from: (name, fact)."""
    used = _("used {used} of {total}").format(used=count(data.used), total=count(data.total))
    splits = ", ".join(f"{split_name(name)} {count(size)}" for name, size in data.splits.items())
    return [
        (_("folder"), data.root),
        (_("format"), data.format),
        (_("images"), used),
        (_("split"), splits),
        (_("classes"), count(classes)),
        (_("fingerprint"), data.fingerprint),
    ]


def model_facts(model: ModelFacts) -> Pairs:
    """Return what the network is and costs: (name, fact)."""
    return [
        (_("network"), model.name),
        (_("input"), model.input),
        (
            _("parameters"),
            _("{all}, of them trained: {trained}").format(all=count(model.params), trained=count(model.trainable)),
        ),
        (_("multiply-accumulates per image"), magnitude(model.macs)),
        (_("pretrained weights"), model.source),
        (_("licence of the weights"), model.licence),
    ]


def timings(stages: Mapping[str, float]) -> Pairs:
    """Return the stages with their time: (name, time)."""
    return [(stage_name(key), duration(seconds)) for key, seconds in stages.items()]


def total_seconds(stages: Mapping[str, float]) -> float:
    """Return the whole time in seconds: the stage ``total`` where there is one, else the sum."""
    return stages.get("total", sum(stages.values()))


def plain(values: Mapping[str, Any]) -> Pairs:
    """Return settings as they are written in a file: (name, value); nested ones joined by dots."""
    rows: Pairs = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += [(f"{key}.{inner}", said) for inner, said in plain(value)]
        else:
            rows.append((str(key), ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)))
    return rows


def split_name(key: str) -> str:
    """Return the word for the split ``key``."""
    names = {
        "train": _("training"),
        "val": _("validation"),
        "test": _("test"),
        "unassigned": _("unassigned"),
    }
    return names.get(key, key)


def stage_name(key: str) -> str:
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


def recipe_name(key: str) -> str:
    """Return the words for the recipe ``key``."""
    names = {
        "scratch": _("from scratch"),
        "transfer": _("transfer"),
        "finetune": _("fine-tuning"),
        "all": _("all recipes"),
    }
    return names.get(key, key)


def _columns() -> dict[str, str]:
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


def _cell(key: str, value: float | None) -> str:
    if value is None or isnan(value):
        return MISSING
    if key == "epoch":
        return count(int(value))
    if key == "rate":
        return f"{value:.3g}"
    if key == "seconds":
        return duration(value)
    return percent(value) if key.endswith(("accuracy", "map50", "map50_95")) else decimal(value, 4)
