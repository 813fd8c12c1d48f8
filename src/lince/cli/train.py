"""``lince train``: every choice of ``TrainConfig`` as an option, and the finished run told in four lines."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import lince
from lince.cli.console import Console
from lince.cli.options import add_data_options, parse_duration, parse_merges, parse_split
from lince.cli.run_summary import describe_run
from lince.errors import UsageError
from lince.i18n import _

_Option = tuple[str, Callable[[str], Any], str, str]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince train``."""
    parser.add_argument("data", nargs="?", metavar=_("DATA"), help=_("a folder, a CSV, idx files, or lince:digits"))
    parser.add_argument("--out", metavar=_("DIR"), help=_("the new folder of the run (runs/train, runs/train2, ...)"))
    parser.add_argument("--resume", metavar=_("RUN"), help=_("go on with an interrupted run; needs nothing else"))
    parser.add_argument("--config", metavar=_("FILE"), help=_("choices from a TOML file; options go over them"))
    parser.add_argument("--allow-unusable", action="store_true", help=_("go on when many images cannot be used"))
    parser.add_argument(
        "--split", type=parse_split, metavar="0.1,0.2", help=_("shares for validation and for the test")
    )
    for title, options in (
        (_("what is trained"), _model_options()),
        (_("how it is trained"), _optimisation_options()),
        (_("images and machine"), _image_options()),
    ):
        group = parser.add_argument_group(title)
        for name, kind, metavar, line in options:
            group.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=metavar, help=line)
    add_data_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Train, or go on training, and print what came out."""
    if arguments.resume:
        _require_resume_alone(arguments)
        finished = lince.resume(arguments.resume, progress=console)
    else:
        finished = _start_training(arguments, console)
    console.print_result(*describe_run(finished))


def _start_training(arguments: argparse.Namespace, console: Console) -> Any:
    if arguments.data is None:
        raise UsageError(
            _("There is nothing to train on."),
            _("Expected a folder of photos: lince train PHOTOS."),
            _("To go on with an interrupted run: lince train --resume RUN."),
        )
    return lince.train(
        arguments.data,
        lince.TrainConfig.load(arguments.config) if arguments.config else None,
        out=arguments.out,
        format=arguments.format,
        pattern=arguments.pattern,
        merge=parse_merges(arguments.merge),
        fix=arguments.fix,
        allow_unusable=arguments.allow_unusable,
        progress=console,
        **_chosen_options(arguments),
    )


def _chosen_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the choices that were made; those left open are left to the file, or to lince."""
    names = [name for name, *_rest in (*_model_options(), *_optimisation_options(), *_image_options())]
    chosen = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if arguments.split is not None:
        if {"val", "test"} & set(chosen):
            raise UsageError(_("--split stands beside --val or --test."), _("Expected the one or the others."))
        chosen["val"], chosen["test"] = arguments.split
    return chosen


def _require_resume_alone(arguments: argparse.Namespace) -> None:
    others = {**_chosen_options(arguments), "out": arguments.out, "config": arguments.config, "data": arguments.data}
    given = [name for name, value in others.items() if value is not None]
    if given:
        raise UsageError(
            _("--resume stands beside other choices: {names}.").format(names=", ".join(given)),
            _("Expected --resume alone: a run goes on with the data and the choices that it started with."),
        )


def _model_options() -> tuple[_Option, ...]:
    return (
        ("recipe", str, _("NAME"), _("transfer (the default), finetune, scratch, or all of them")),
        ("model", str, _("NAME"), _("nano, small (the default), medium, large, cnn, 'cnn: LAYERS', or a timm name")),
        ("weights", str, _("WHAT"), _("auto (the default: downloaded once), none, a file, or a folder")),
        ("head", str, _("NAME"), _("what transfer fits: linear (the default) or mlp")),
        ("from_layer", str, _("LAYER"), _("the first layer that fine-tuning changes: number or name")),
    )


def _optimisation_options() -> tuple[_Option, ...]:
    return (
        ("epochs", int, "N", _("how often every image is seen")),
        ("batch", int, "N", _("images at a time")),
        ("rate", float, "X", _("the highest learning rate")),
        ("label_smoothing", float, "X", _("how far the targets are from certain, 0 to 0.9")),
        ("patience", int, "N", _("epochs without progress before it stops")),
        (
            "monitor",
            str,
            _("NAME"),
            _("what tells progress: val_loss, val_accuracy; for objects val_map50_95, val_map50"),
        ),
        ("budget", parse_duration, _("TIME"), _("stop after this time: 90s, 15m, 1h")),
        ("seed", int, "N", _("the same seed gives the same result (0)")),
        ("val", float, "X", _("the share of the images to choose by (0.1)")),
        ("test", float, "X", _("the share of the images set aside for the test (0.2)")),
    )


def _image_options() -> tuple[_Option, ...]:
    return (
        ("size", int, _("PIXELS"), _("the side of the square that the network sees")),
        ("resize", str, _("RULE"), _("squash, crop, letterbox or corner; as the network wants it by default")),
        ("standardise", str, _("NAME"), _("none (the default), samplewise or featurewise")),
        ("augment", str, _("LIST"), _("none, light, medium, strong, digits, or a list: 'rotation 15, zoom 0.1'")),
        ("mix", str, _("NAME"), _("none (the default), mixup or cutmix")),
        ("mosaic", float, "X", _("objects: the share of images that are made of four, 0 to 1")),
        ("scales", float, "X", _("objects: how far the size varies from step to step, 0 to 0.5")),
        ("device", str, _("NAME"), _("auto (the default), cpu, cuda or mps")),
        ("precision", str, _("NAME"), _("auto (the default), fp32 or bf16")),
        ("workers", int, "N", _("threads that prepare images")),
    )
