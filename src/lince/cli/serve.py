"""``lince serve``: models answer over HTTP, on this machine unless asked otherwise."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import lince
from lince.cli.console import Console
from lince.cli.parser import positive, seconds
from lince.errors import UsageError
from lince.messages import _
from lince.serving.models import default_name
from lince.serving.settings import MIB, PORT, Limits, Pacing, Settings

TOKEN = "LINCE_TOKEN"  # noqa: S105 (the variable's name)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince serve``."""
    parser.add_argument(
        "models", nargs="+", metavar=_("RUN"), help=_("runs or model folders; NAME=RUN serves one under another name")
    )
    _add_place(parser.add_argument_group(_("where it is reached, and by whom")))
    _add_pacing(parser.add_argument_group(_("how photos share the network (measured at start unless given)")))
    _add_limits(parser.add_argument_group(_("what one client may ask")))
    parser.add_argument(
        "--corrections", type=Path, metavar=_("DIR"), help=_("keep photos there whose answer a person corrects")
    )
    parser.add_argument(
        "--reload", type=_seconds, default=1.0, metavar=_("TIME"), help=_("how often to look for changed models (1s)")
    )


def _add_place(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--host",
        default="127.0.0.1",
        metavar=_("ADDRESS"),
        help=_("address to listen at (127.0.0.1: this machine alone); any other needs a token"),
    )
    group.add_argument(
        "--port",
        type=int,
        default=PORT,
        metavar="N",
        help=_("port to listen at ({port}; 0: any free one)").format(port=PORT),
    )
    group.add_argument(
        "--token", metavar=_("TEXT"), help=_("what clients must send along; better in the variable LINCE_TOKEN")
    )
    group.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar=_("NAME"),
        help=_("a name under which a proxy makes the server known; may be given again"),
    )
    group.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="URL",
        help=_("a site whose pages may ask, such as https://example.org; may be given again"),
    )
    group.add_argument("--root-path", default="", metavar=_("PATH"), help=_("the prefix that a proxy gives: /lince"))
    group.add_argument(
        "--grace",
        type=_seconds,
        default=10.0,
        metavar=_("TIME"),
        help=_("how long requests under way may take when it is told to end (10s)"),
    )
    group.add_argument(
        "--drain",
        type=_seconds,
        default=0.0,
        metavar=_("TIME"),
        help=_("how long it says no before it ends, so that a balancer notices (0s)"),
    )


def _add_pacing(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--bound", type=_seconds, metavar=_("TIME"), help=_("an answer comes within this time, or 429 at once")
    )
    group.add_argument("--queue", type=positive, metavar="N", help=_("photos that may wait"))
    group.add_argument("--batch", type=positive, metavar="N", help=_("photos that the network takes at once"))
    group.add_argument(
        "--hold", type=float, default=2.0, metavar="MS", help=_("milliseconds that a batch waits for more photos (2)")
    )
    group.add_argument("--threads", type=positive, metavar="N", help=_("cores that the network uses (all)"))


def _add_limits(group: argparse._ArgumentGroup) -> None:
    usual = Limits()
    for option, value, text in (
        ("--max-request-mib", usual.request_bytes // MIB, _("size of a request ({usual} MiB)")),
        ("--max-image-mib", usual.image_bytes // MIB, _("size of an image's file ({usual} MiB)")),
        ("--max-pixels", usual.pixels, _("pixels of an image ({usual})")),
        ("--max-images", usual.images, _("images in a request ({usual})")),
        ("--max-requests", usual.requests, _("requests under way at one time ({usual})")),
        ("--max-memory-mib", usual.memory // MIB, _("bytes of all requests held at one time ({usual} MiB)")),
    ):
        group.add_argument(option, type=positive, default=value, metavar="N", help=text.format(usual=value))
    group.add_argument(
        "--max-seconds",
        type=_seconds,
        default=usual.seconds,
        metavar=_("TIME"),
        help=_("how long a request may take to arrive (30s)"),
    )


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Load the models and answer until told to end."""
    named = _named(arguments.models)

    def tell(address: str) -> None:
        if console.as_json:  # one line, so that a program can read it while the server goes on
            print(json.dumps({"address": address, "models": list(named)}, ensure_ascii=False), flush=True)
        else:
            told = _("Serving {models} at {address}  (Ctrl-C ends it)")
            print(told.format(models=", ".join(named), address=address), flush=True)

    lince.serve(named, _settings(arguments), tell=tell, progress=console)


def _settings(arguments: argparse.Namespace) -> Settings:
    limits = Limits(
        request_bytes=arguments.max_request_mib * MIB,
        image_bytes=arguments.max_image_mib * MIB,
        pixels=arguments.max_pixels,
        images=arguments.max_images,
        seconds=arguments.max_seconds,
        requests=arguments.max_requests,
        memory=arguments.max_memory_mib * MIB,
    )
    pacing = Pacing(arguments.batch, arguments.hold / 1000, arguments.bound, arguments.queue, arguments.threads)
    return Settings(
        host=arguments.host,
        port=arguments.port,
        token=arguments.token or os.environ.get(TOKEN, ""),
        hosts=tuple(arguments.allow_host),
        origins=tuple(arguments.allow_origin),
        root_path=arguments.root_path.rstrip("/"),
        corrections=arguments.corrections,
        reload=arguments.reload,
        grace=arguments.grace,
        drain=arguments.drain,
        limits=limits,
        pacing=pacing,
    )


def _seconds(text: str) -> float:
    """Return the seconds in ``90s`` or ``0.5``, or in ``200ms``."""
    return seconds(text[:-2]) / 1000 if text.endswith("ms") else seconds(text)


def _named(words: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not equals or os.path.exists(word):
            name, path = default_name(Path(word)), word
        if name in found:
            raise UsageError(
                _("Two models are called '{name}'.").format(name=name),
                _("Expected different names."),
                _("Give one another name: {line}").format(line=f"{name}-2={path}"),
            )
        found[name] = path
    return found
