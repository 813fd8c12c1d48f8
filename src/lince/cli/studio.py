"""The command ``lince studio``: labels photos in the browser, alone or with others."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import threading
import webbrowser
from pathlib import Path

import lince
from lince.cli.console import Console
from lince.errors import UsageError
from lince.i18n import _

DATABASE_VARIABLE = "LINCE_DATABASE"
_ROLES = ("reader", "labeller", "reviewer", "owner")


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
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help=_("address to listen on (default: 127.0.0.1, this machine alone; 0.0.0.0: for others, with passwords)"),
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar=_("NAME"),
        help=_("host name under which a proxy exposes the server (can be repeated)"),
    )
    parser.add_argument(
        "--set-password",
        metavar=_("NAME"),
        help=_("let a person sign in: ask for the password, keep it in the project, and end"),
    )
    parser.add_argument(
        "--role",
        choices=_ROLES,
        help=_("with --set-password: what the person may do (the first person of a project: owner; others: labeller)"),
    )
    parser.add_argument("--no-open", action="store_true", help=_("do not open the page in the browser"))


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Serve the studio until the process is stopped; with ``--set-password`` only let a person in.

    With ``--json`` one line is printed as soon as it can be reached, an object with ``address`` (a URL that lets in
    whoever has it). Raises what ``lince.studio`` raises.
    """

    database = arguments.db or os.environ.get(DATABASE_VARIABLE) or None
    if arguments.set_password is not None:
        _set_password(arguments, database, console)
        return
    if arguments.role is not None:
        raise UsageError(_("--role belongs to --set-password."), _("Expected both, or neither."))

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
        database=database,
        host=arguments.host,
        port=arguments.port,
        allowed_hosts=arguments.allow_host,
        on_started=print_address,
        progress=console,
    )


def _set_password(arguments: argparse.Namespace, database: str | None, console: Console) -> None:
    """Ask for a password, twice at a terminal, and keep it; elsewhere it is the first line of standard input."""
    name: str = arguments.set_password
    if sys.stdin.isatty():
        password = getpass.getpass(_("Password of {name}: ").format(name=name))
        if getpass.getpass(_("Once more: ")) != password:
            raise UsageError(_("The two passwords differ."), _("Expected the same one twice."))
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    role = lince.set_studio_password(arguments.folder, name, password, role=arguments.role, database=database)
    lines = [_("{name} can sign in now, with the role {role}.").format(name=name, role=role)]
    console.print_result({"name": name, "role": role}, lines)


def _open_browser(address: str, console: Console) -> None:
    """Open the page in the browser of this machine; say so where there is none."""
    if not webbrowser.open(address):
        console.show_message(_("No browser was found here. Open the address above yourself."))
