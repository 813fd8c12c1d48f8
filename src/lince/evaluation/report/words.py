"""The sentences and table rows that the page and the Markdown of a report share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lince.evaluation.diagnosis.answers import Confusion, confusions
from lince.evaluation.figures import MISSING, count, decimal, duration, magnitude, percent, percent_range
from lince.evaluation.report.record import Report
from lince.messages import _

Pairs = list[tuple[str, str]]
_EPOCH_COLUMNS = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "rate", "seconds")


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
        rows.append((_("whole time"), duration(total_seconds(report))))
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


def epochs(report: Report) -> Table:
    """Return the history as a table of those columns that were measured."""
    present = [key for key in _EPOCH_COLUMNS if any(epoch.get(key) is not None for epoch in report.history)]
    names = {
        "epoch": _("epoch"),
        "train_loss": _("training loss"),
        "train_accuracy": _("training accuracy"),
        "val_loss": _("validation loss"),
        "val_accuracy": _("validation accuracy"),
        "rate": _("learning rate"),
        "seconds": _("time"),
    }
    rows = tuple(tuple(_cell(key, epoch.get(key)) for key in present) for epoch in report.history)
    return Table(tuple(names[key] for key in present), rows)


def data_facts(report: Report) -> Pairs:
    """Return what the run learned from: (name, fact)."""
    data = report.data
    used = _("used {used} of {total}").format(used=count(data.used), total=count(data.total))
    splits = ", ".join(f"{split_name(name)} {count(size)}" for name, size in data.splits.items())
    return [
        (_("folder"), data.root),
        (_("format"), data.format),
        (_("images"), used),
        (_("split"), splits),
        (_("classes"), count(len(report.metrics.classes))),
        (_("fingerprint"), data.fingerprint),
    ]


def model_facts(report: Report) -> Pairs:
    """Return what the network is and costs: (name, fact)."""
    model = report.model
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


def timings(report: Report) -> Pairs:
    """Return the stages with their time: (name, time)."""
    return [(stage_name(key), duration(seconds)) for key, seconds in report.timings.items()]


def total_seconds(report: Report) -> float:
    """Return the whole time in seconds: the stage ``total`` where there is one, else the sum."""
    return report.timings.get("total", sum(report.timings.values()))


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


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return MISSING
    if key == "epoch":
        return count(int(value))
    if key == "rate":
        return f"{value:.3g}"
    if key == "seconds":
        return duration(value)
    return percent(value) if key.endswith("accuracy") else decimal(value, 4)
