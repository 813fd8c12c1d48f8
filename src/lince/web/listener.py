"""Opens the socket of a server and says its address."""

from __future__ import annotations

import socket

from lince.errors import UsageError
from lince.i18n import _


def open_listener(host: str, port: int) -> socket.socket:
    """Return a socket bound to ``host`` and ``port`` (0: any free one), not yet listening.

    Raises ``UsageError`` when the host is unknown or the port is taken.
    """
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise UsageError(
            _("The server cannot listen at {host}, port {port}: {error}.").format(
                host=host, port=port, error=error.strerror or error
            ),
            remedy=_("Choose another port: --port 0 takes any that is free."),
        ) from error
    return listener


def format_url(listener: socket.socket, prefix: str = "") -> str:
    """Return the ``http://`` URL of a bound socket, with the port it really has, followed by ``prefix``."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}{prefix}" if ":" in host else f"http://{host}:{port}{prefix}"
