"""The command ``lince serve``: serves models over HTTP, by default only to this machine."""

from __future__ import annotations

import argparse
import os
import re
import threading
import webbrowser
from pathlib import Path

import lince
from lince.cli.console import Console, format_json
from lince.cli.options import parse_decimal, parse_duration, parse_positive
from lince.errors import UsageError
from lince.fileio import quote_path
from lince.i18n import _
from lince.serving.model_registry import derive_model_name
from lince.serving.settings import DEFAULT_PORT, MIB, BatchingSettings, RequestLimits, ServerSettings

TOKEN_VARIABLE = "LINCE_TOKEN"  # noqa: S105


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince serve``."""
    parser.add_argument(
        "models",
        nargs="+",
        metavar=_("RUN"),
        help=_("training runs or model folders; NAME=RUN serves one under another name"),
    )
    _add_network_options(parser.add_argument_group(_("network and access")))
    _add_batching_options(parser.add_argument_group(_("batching (default: measured at start)")))
    _add_limit_options(parser.add_argument_group(_("request limits")))
    parser.add_argument("--open", action="store_true", help=_("open the page in the browser as soon as it is there"))
    parser.add_argument(
        "--corrections", type=Path, metavar=_("DIR"), help=_("save photos with corrected answers there")
    )
    parser.add_argument(
        "--reload",
        type=_parse_interval,
        default=1.0,
        metavar=_("TIME"),
        help=_("how often to check for changed models (default: 1s)"),
    )


def _add_network_options(group: argparse._ArgumentGroup) -> None:
    """Add the options for address, access and shutdown.

    An address that other machines can reach needs a token. The two timeouts are for load balancers: how long the server
    answers "unavailable" before it stops, and how long requests in progress may then take.
    """
    group.add_argument(
        "--host",
        default="127.0.0.1",
        metavar=_("ADDRESS"),
        help=_("address to listen on (default: 127.0.0.1, this machine only); any other needs a token"),
    )
    group.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        metavar="N",
        help=_("port to listen on (default: {port}; 0: any free port)").format(port=DEFAULT_PORT),
    )
    group.add_argument(
        "--token",
        metavar=_("TEXT"),
        help=_("access token that clients must send; preferably set in the variable LINCE_TOKEN"),
    )
    group.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar=_("NAME"),
        help=_("host name under which a proxy exposes the server (can be repeated)"),
    )
    group.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="URL",
        help=_("origin allowed to send requests (CORS), such as https://example.org (can be repeated)"),
    )
    group.add_argument(
        "--root-path",
        default="",
        metavar=_("PATH"),
        help=_("path prefix set by a proxy, such as /lince (default: none)"),
    )
    group.add_argument(
        "--shutdown-timeout",
        "--grace",
        dest="grace",
        type=_parse_interval,
        default=10.0,
        metavar=_("TIME"),
        help=_("time for requests in progress to finish at shutdown (default: 10s)"),
    )
    group.add_argument(
        "--drain-timeout",
        "--drain",
        dest="drain",
        type=_parse_interval,
        default=0.0,
        metavar=_("TIME"),
        help=_('time to report "not ready" before shutdown, for load balancers (default: 0s)'),
    )


def _add_batching_options(group: argparse._ArgumentGroup) -> None:
    """Add the options for batching and latency.

    Images of several clients share one call of the network. What is not given is measured when the server starts.
    """
    group.add_argument(
        "--max-latency",
        "--bound",
        dest="bound",
        type=_parse_interval,
        metavar=_("TIME"),
        help=_("maximum latency; requests that would exceed it get status 429 at once"),
    )
    group.add_argument("--queue", type=parse_positive, metavar="N", help=_("maximum queue length in photos"))
    group.add_argument(
        "--batch-size", "--batch", dest="batch", type=parse_positive, metavar="N", help=_("maximum batch size")
    )
    group.add_argument(
        "--batch-delay",
        "--hold",
        dest="hold",
        type=parse_decimal,
        default=2.0,
        metavar="MS",
        help=_("time a batch waits for more photos, in milliseconds (default: 2)"),
    )
    group.add_argument(
        "--threads", type=parse_positive, metavar="N", help=_("CPU threads for inference (default: all cores)")
    )


def _add_limit_options(group: argparse._ArgumentGroup) -> None:
    """Add the limits of requests; the defaults are those of ``RequestLimits``.

    Requests beyond a limit are refused before they are read completely. Sizes are in MiB (2**20 bytes), times in
    seconds.
    """
    defaults = RequestLimits()
    for option, value, text in (
        ("--max-request-mib", defaults.request_bytes // MIB, _("maximum size of a request in MiB (default: {usual})")),
        ("--max-image-mib", defaults.image_bytes // MIB, _("maximum size of an image file in MiB (default: {usual})")),
        ("--max-pixels", defaults.pixels, _("maximum number of pixels in an image (default: {usual})")),
        ("--max-images", defaults.images, _("maximum number of images in a request (default: {usual})")),
        ("--max-requests", defaults.requests, _("maximum number of concurrent requests (default: {usual})")),
        (
            "--max-memory-mib",
            defaults.memory // MIB,
            _("maximum memory for all pending requests in MiB (default: {usual})"),
        ),
    ):
        group.add_argument(option, type=parse_positive, default=value, metavar="N", help=text.format(usual=value))
    group.add_argument(
        "--max-seconds",
        type=_parse_interval,
        default=defaults.seconds,
        metavar=_("TIME"),
        help=_("maximum time to receive a request (default: 30s)"),
    )


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Load the models and serve them until the process is stopped.

    With ``--json`` one line is printed as soon as the server can be reached, an object with ``address`` (a URL) and
    ``models`` (names); the log on stderr is JSON unless that is a
    terminal. Raises ``UsageError`` when the port is taken or a token
    is needed, and ``ModelError`` when a model cannot be loaded.
    """
    paths = _parse_model_names(arguments.models)

    def print_address(address: str) -> None:
        if console.as_json:  # one line, so that a program can read it while the server goes on
            print(format_json({"address": address, "models": list(paths)}, indent=None), flush=True)
        else:
            text = _("Serving {models} at {address}  (Ctrl-C to stop)")
            print(text.format(models=", ".join(paths), address=address), flush=True)
        if arguments.open:  # aside, because some browsers answer only when they are closed
            threading.Thread(target=_open_browser, args=(address, console), daemon=True).start()

    lince.serve(paths, _build_settings(arguments), on_started=print_address, progress=console)


def _open_browser(address: str, console: Console) -> None:
    """Open the page at ``address`` in the browser of this machine; say so where there is none."""
    page = re.sub(r"//(0\.0\.0\.0|\[::\])", "//localhost", address)  # an address to listen on, not one to visit
    if not webbrowser.open(page):
        console.show_message(_("No browser was found here. Open this page yourself: {page}").format(page=page))


def _build_settings(arguments: argparse.Namespace) -> ServerSettings:
    """Return the settings of the server; the token may also be in the environment variable ``LINCE_TOKEN``."""
    limits = RequestLimits(
        request_bytes=arguments.max_request_mib * MIB,
        image_bytes=arguments.max_image_mib * MIB,
        pixels=arguments.max_pixels,
        images=arguments.max_images,
        seconds=arguments.max_seconds,
        requests=arguments.max_requests,
        memory=arguments.max_memory_mib * MIB,
    )
    batching = BatchingSettings(
        arguments.batch, arguments.hold / 1000, arguments.bound, arguments.queue, arguments.threads
    )
    return ServerSettings(
        host=arguments.host,
        port=arguments.port,
        token=arguments.token or os.environ.get(TOKEN_VARIABLE, ""),
        allowed_hosts=tuple(arguments.allow_host),
        allowed_origins=tuple(arguments.allow_origin),
        root_path=arguments.root_path.rstrip("/"),
        corrections_folder=arguments.corrections,
        reload_interval=arguments.reload,
        shutdown_timeout=arguments.grace,
        drain_timeout=arguments.drain,
        limits=limits,
        batching=batching,
    )


def _parse_interval(text: str) -> float:
    """Return the seconds in ``90s``, ``0.5`` or ``200ms``; raise ``UsageError`` for anything else."""
    return parse_duration(text[:-2]) / 1000 if text.endswith("ms") else parse_duration(text)


def _parse_model_names(words: list[str]) -> dict[str, str]:
    """Return the path of each model by the name under which it is served.

    A word is ``NAME=PATH``, or a path from which the name is derived. Raises ``UsageError`` for two models of one name.
    """
    paths: dict[str, str] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not equals or os.path.exists(word):
            name, path = derive_model_name(Path(word)), word
        if name in paths:
            raise UsageError(
                _("Two models have the name '{name}'.").format(name=name),
                _("Expected different names."),
                _("Give one of them another name: {line}").format(line=quote_path(f"{name}-2={path}")),
            )
        paths[name] = path
    return paths
