"""Where the studio listens, under which names it is reached, and whether people need a password for it."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from lince.errors import UsageError
from lince.fileio import quote_path
from lince.i18n import _
from lince.studio.store import people
from lince.studio.store.project import Project
from lince.web.listener import open_listener
from lince.web.loopback import is_loopback

DEFAULT_PORT = 8765
LOCAL_HOST = "127.0.0.1"
_PORTS_TRIED = 20
_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  # compared with, not listened on


@dataclass(frozen=True)
class StudioSettings:
    """The address of the studio, and the names ``hosts`` under which a proxy hands on requests to it.

    Without ``port`` the first free one from 8765 on is used.
    """

    host: str = LOCAL_HOST
    port: int | None = None
    hosts: tuple[str, ...] = ()

    @property
    def is_local(self) -> bool:
        """Whether ``host`` is this machine alone."""
        return is_loopback(self.host)

    @property
    def needs_passwords(self) -> bool:
        """Whether others than the person at this machine can reach the studio."""
        return not self.is_local or bool(self.hosts)

    def open_port(self) -> socket.socket:
        """Return a socket bound to the address. Raise ``UsageError`` when the host is unknown or the port taken."""
        if self.port is not None:
            return open_listener(self.host, self.port)
        for candidate in range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED):
            try:
                return open_listener(self.host, candidate)
            except UsageError:
                continue
        return open_listener(self.host, 0)

    def name_address(self, port: int) -> str:
        """Return the address that people type: that of this machine on its network where it listens on all."""
        if self.hosts:
            return f"https://{self.hosts[0]}"
        host = _find_own_number() if self.host in _ANY_ADDRESS else self.host
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def require_owner(project: Project, settings: StudioSettings) -> None:
    """Raise ``UsageError`` where others can reach the studio and no owner of the project has a password."""
    if not settings.needs_passwords:
        return
    with project.read() as connection:
        known = people.list_people(connection)
    if any(person.role == people.OWNER and person.secret_hash for person in known):
        return
    where = settings.host if not settings.is_local else settings.hosts[0]
    raise UsageError(
        _("{host} can be reached from other machines, and no owner of the project has a password.").format(host=where),
        _("Expected at least one owner who signs in with a password."),
        _("Type: {line}").format(line=f"lince studio {quote_path(project.folder)} --set-password ana --role owner"),
    )


def describe_dangers(settings: StudioSettings) -> list[str]:
    """Return what somebody should know who lets other machines reach the studio."""
    if settings.is_local:
        return []
    return [
        _(
            "Warning: passwords, photos and labels go over the network unencrypted (http). Use this only in a network "
            "that you trust, or put a proxy with https in front of it: see docs/studio.md."
        )
    ]


def _find_own_number() -> str:
    """Return the number of this machine on its network; nothing is sent for it."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # an address that nobody has (RFC 5737)
            return str(probe.getsockname()[0])
    except OSError:
        return LOCAL_HOST
