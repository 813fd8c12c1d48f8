"""The command ``lince studio``: labels photos in the browser, on this machine."""

from __future__ import annotations

import argparse
import json
import os
import threading
import webbrowser
from pathlib import Path

import lince
from lince.cli.console import Console
from lince.i18n import _

DATABASE_VARIABLE = "LINCE_DATABASE"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince studio``."""
    parser.add_argument(
        "folder",
        nargs="?",
        default="labels",
        type=Path,
        metavar=_("FOLDER"),
        help=_(
            "folder of the project, made when it is not there (default: labels), or a folder of photos, which is not "
            "written to: the project is then beside it"
        ),
    )
    parser.add_argument(
        "--photos",
        action="append",
        default=[],
        type=Path,
        metavar=_("DIR"),
        help=_("add the photos of a folder, which stay where they are (can be repeated)"),
    )
    parser.add_argument(
        "--db",
        metavar="URL",
        help=_("keep the labels in a PostgreSQL database; preferably set in the variable {name}").format(
            name=DATABASE_VARIABLE
        ),
    )
    parser.add_argument(
        "--port", type=int, metavar="N", help=_("port to listen on (default: the first free one from 8765 on)")
    )
    parser.add_argument("--no-open", action="store_true", help=_("do not open the page in the browser"))


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Serve the studio until the process is stopped.

    With ``--json`` one line is printed as soon as it can be reached, an object with ``address`` (a URL that lets in
    whoever has it). Raises what ``lince.studio`` raises.
    """

    def print_address(address: str) -> None:
        if console.as_json:
            print(json.dumps({"address": address}), flush=True)
        else:
            print(_("The studio is at {address}  (Ctrl-C to stop)").format(address=address), flush=True)
        if not arguments.no_open and not console.as_json:
            threading.Thread(target=_open_browser, args=(address, console), daemon=True).start()

    lince.studio(
        arguments.folder,
        photos=arguments.photos,
        database=arguments.db or os.environ.get(DATABASE_VARIABLE) or None,
        port=arguments.port,
        on_started=print_address,
        progress=console,
    )


def _open_browser(address: str, console: Console) -> None:
    """Open the page in the browser of this machine; say so where there is none."""
    if not webbrowser.open(address):
        console.show_message(_("No browser was found here. Open the address above yourself."))
