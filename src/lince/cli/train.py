"""The command ``lince train``: trains a model, with every field of ``TrainConfig`` as an option."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import lince
from lince.augmentation.policy import PRESETS as AUGMENTATION_PRESETS
from lince.cli.console import Console
from lince.cli.options import (
    add_aliased_option,
    add_data_options,
    get_data_options,
    offer_values,
    parse_decimal,
    parse_duration,
    parse_split,
)
from lince.cli.run_summary import describe_run
from lince.config import ALLOWED_VALUES
from lince.errors import UsageError
from lince.i18n import _
from lince.models.classification.registry import PRESETS
from lince.models.detection.registry import list_detectors
from lince.tasks import list_tasks

_Option = tuple[str, Callable[[str], Any], str, str]

DEFAULT_RATE_PAGE = "rate.html"

_OFFERED_VALUES = {  # those that shells complete, by field
    **ALLOWED_VALUES,
    "task": [task.name for task in list_tasks()],
    "model": (*PRESETS, "cnn", *list_detectors()),
    "weights": ("auto", "none"),
    "augment": tuple(AUGMENTATION_PRESETS),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince train``."""
    parser.add_argument(
        "data", nargs="?", metavar=_("DATA"), help=_("a folder, a CSV file, idx files, or lince:digits (built in)")
    )
    parser.add_argument(
        "--out", metavar=_("DIR"), help=_("output folder of the run, new (default: runs/train, runs/train2, ...)")
    )
    parser.add_argument("--resume", metavar=_("RUN"), help=_("continue an interrupted run; no other option is needed"))
    parser.add_argument(
        "--data", dest="moved_data", metavar=_("DATA"), help=_("with --resume: where the data is now, if it was moved")
    )
    parser.add_argument(
        "--config", metavar=_("FILE"), help=_("settings from a TOML file; command-line options override them")
    )
    parser.add_argument(
        "--lr-find",
        "--find-rate",
        dest="find_rate",
        action="store_true",
        help=_(
            "train nothing: try rising learning rates for 100 steps, and suggest one (page of --out: {page})"
        ).format(page=DEFAULT_RATE_PAGE),
    )
    parser.add_argument("--allow-unusable", action="store_true", help=_("continue even if many images are unusable"))
    parser.add_argument(
        "--split", type=parse_split, metavar="0.1,0.2", help=_("validation and test fractions (default: 0.1,0.2)")
    )
    for title, options in (
        (_("model"), _model_options()),
        (_("training"), _optimisation_options()),
        (_("images and hardware"), _image_options()),
    ):
        group = parser.add_argument_group(title)
        for name, kind, metavar, line in options:
            action = add_aliased_option(group, name, type=kind, metavar=metavar, help=line)
            if name in _OFFERED_VALUES:
                offer_values(action, _OFFERED_VALUES[name])
    add_data_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Train, or resume a run, and print the result.

    The JSON document is that of ``describe_run``: ``report.json`` with the paths of the run. When training is
    interrupted, the command that resumes it is printed. With ``--lr-find`` it is that of ``RateSearch.to_dict`` with
    the ``page``.

    Raises ``UsageError`` when ``--resume`` is combined with other options, or when there is no data.
    """
    if arguments.find_rate:
        console.print_result(*_find_rate(arguments, console))
        return
    if arguments.resume:
        _require_resume_alone(arguments)
        place = arguments.moved_data or arguments.data
        finished_run = lince.resume(arguments.resume, place, epochs=arguments.epochs, progress=console)
    else:
        finished_run = _start_training(arguments, console)
    console.print_result(*describe_run(finished_run))


def _find_rate(arguments: argparse.Namespace, console: Console) -> tuple[dict[str, Any], list[str]]:
    """Test learning rates, write the page, and return the JSON document and the lines that say what was found.

    Raises ``UsageError`` without data, and with ``--resume``.
    """
    # Loaded only here: the report's templates take longer to load than the help of lince train.
    from lince.evaluation.report.rate_page import list_rate_lines  # noqa: PLC0415

    if arguments.resume:
        raise UsageError(
            _("--resume was given together with other options: {names}.").format(names="--lr-find"),
            _("Expected data to try the rates on: lince train PHOTOS --lr-find."),
        )
    page = arguments.out or DEFAULT_RATE_PAGE
    search = lince.find_rate(
        _require_data(arguments),
        (_load_config(arguments) or lince.TrainConfig()).with_changes(**_chosen_options(arguments)),
        out=page,
        **get_data_options(arguments),
        allow_unusable=arguments.allow_unusable,
        progress=console,
    )
    lines = [*list_rate_lines(search), "", _("Page: {path}").format(path=page)]
    return {**search.to_dict(), "page": page}, lines


def _require_data(arguments: argparse.Namespace) -> str:
    """Return the data to train on; raise ``UsageError`` where none was given."""
    data: str | None = arguments.data or arguments.moved_data
    if data is None:
        raise UsageError(
            _("No training data was given."),
            _("Expected a folder of photos: lince train PHOTOS."),
            _("To continue an interrupted run: lince train --resume RUN."),
        )
    return data


def _load_config(arguments: argparse.Namespace) -> lince.TrainConfig | None:
    """Return the settings of the file of ``--config``; ``None`` without one."""
    return lince.TrainConfig.load(arguments.config) if arguments.config else None


def _start_training(arguments: argparse.Namespace, console: Console) -> Any:
    """Train a new run with the options of the command line; raise ``UsageError`` without data.

    Options that were not given keep the values of ``--config``, or the defaults of ``TrainConfig``.
    """
    return lince.train(
        _require_data(arguments),
        _load_config(arguments),
        out=arguments.out,
        **get_data_options(arguments),
        allow_unusable=arguments.allow_unusable,
        started_at=console.started_at,
        progress=console,
        **_chosen_options(arguments),
    )


def _chosen_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of ``TrainConfig`` that were given as options, by name.

    ``--split`` sets ``val`` and ``test``; raises ``UsageError`` when one of these is given, too.
    """
    names = [name for name, *_rest in (*_model_options(), *_optimisation_options(), *_image_options())]
    chosen = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if arguments.split is not None:
        if {"val", "test"} & set(chosen):
            raise UsageError(
                _("--split was given together with --val or --test."),
                _("Expected either --split, or --val and --test."),
            )
        chosen["val"], chosen["test"] = arguments.split
    return chosen


def _require_resume_alone(arguments: argparse.Namespace) -> None:
    """Raise ``UsageError`` when ``--resume`` is combined with options of a new run."""
    others = {**_chosen_options(arguments), "out": arguments.out, "config": arguments.config}
    others.pop("epochs", None)
    others |= {
        name: getattr(arguments, name) or None
        for name in ("allow_unusable", "format", "pattern", "merge", "fix", "void")
    }
    given = [name for name, value in others.items() if value is not None]
    if given:
        raise UsageError(
            _("--resume was given together with other options: {names}.").format(names=", ".join(given)),
            _("Expected only --data (where the data is now) and --epochs (how far to go on) with --resume."),
        )


def _model_options() -> tuple[_Option, ...]:
    """Return the options of the model: (field of ``TrainConfig``, type, placeholder, help).

    The option of a field has hyphens for underscores: ``from_layer`` is ``--from-layer``.
    """
    return (
        (
            "task",
            str,
            _("NAME"),
            _("{tasks}; only needed if the labels fit several (default: detected)").format(
                tasks=_(" or ").join(task.name for task in list_tasks())
            ),
        ),
        ("recipe", str, _("NAME"), _("transfer, finetune, scratch, or all (default: transfer)")),
        (
            "model",
            str,
            _("NAME"),
            _("{presets}, cnn, 'cnn: LAYERS', or a timm name (default: lite)").format(presets=", ".join(PRESETS)),
        ),
        (
            "weights",
            str,
            _("WHAT"),
            _("pretrained weights: auto (downloaded once), none, a file, or a folder (default: auto)"),
        ),
        ("head", str, _("NAME"), _("classifier head that transfer trains: linear or mlp (default: linear)")),
        (
            "from_layer",
            str,
            _("LAYER"),
            _("first layer that fine-tuning trains: number or name (default: chosen from the model)"),
        ),
    )


def _optimisation_options() -> tuple[_Option, ...]:
    """Return the options of the training loop, as ``_model_options``."""
    return (
        ("epochs", int, "N", _("number of training epochs (default: chosen from the data)")),
        ("batch", int, "N", _("batch size (default: chosen from the data)")),
        ("rate", parse_decimal, "X", _("peak learning rate (default: chosen from the model and the batch size)")),
        ("label_smoothing", parse_decimal, "X", _("label smoothing factor, 0 to 0.9 (default: chosen from the model)")),
        ("patience", int, "N", _("early stopping: epochs without improvement (default: off)")),
        (
            "monitor",
            str,
            _("NAME"),
            _(
                "metric to monitor: val_loss or val_accuracy (default: val_loss); "
                "for several classes a photo val_loss or val_map; "
                "for detection val_map50_95 or val_map50 (default: val_map50_95)"
            ),
        ),
        ("budget", parse_duration, _("TIME"), _("maximum training time: 90s, 15m, 1h (default: no limit)")),
        ("seed", int, "N", _("random seed (default: 0)")),
        ("val", parse_decimal, "X", _("validation fraction (default: 0.1)")),
        ("test", parse_decimal, "X", _("test fraction (default: 0.2)")),
    )


def _image_options() -> tuple[_Option, ...]:
    """Return the options of images, augmentation and hardware, as ``_model_options``."""
    return (
        ("size", int, _("PIXELS"), _("input size in pixels (default: chosen from the model and the data)")),
        ("resize", str, _("RULE"), _("squash, crop, letterbox or corner (default: that of the network)")),
        ("standardise", str, _("NAME"), _("none, samplewise (per image) or featurewise (per dataset) (default: none)")),
        (
            "augment",
            str,
            _("LIST"),
            _(
                "data augmentation: none, light, medium, strong, digits, or a list: 'rotation 15, zoom 0.1' "
                "(default: chosen from the data)"
            ),
        ),
        ("mix", str, _("NAME"), _("none, mixup or cutmix (default: none)")),
        ("mosaic", parse_decimal, "X", _("detection: mosaic probability, 0 to 1 (default: chosen from the model)")),
        (
            "scales",
            parse_decimal,
            "X",
            _("detection: multi-scale range of the input size, 0 to 0.5 (default: chosen from the model)"),
        ),
        ("device", str, _("NAME"), _("auto, cpu, cuda or mps (default: auto)")),
        ("precision", str, _("NAME"), _("auto, fp32 or bf16 (default: auto)")),
        ("workers", int, "N", _("data-loading threads (default: one per core, at most 8)")),
    )
