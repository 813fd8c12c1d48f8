"""Every choice of who runs a server, in frozen records: where it listens, what it takes in, how long it lets wait."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from lince.errors import UsageError
from lince.i18n import _

MIB = 1 << 20
DEFAULT_PORT = 8000


@dataclass(frozen=True)
class RequestLimits:
    """What one client may ask of the server; what is over a limit is refused before it costs more than its bytes.

    ``memory`` bounds the bytes of all bodies held at one time, ``requests`` how many requests are under way,
    ``seconds`` how long a client may take to send its request.
    """

    request_bytes: int = 32 * MIB
    image_bytes: int = 16 * MIB
    pixels: int = 50_000_000
    images: int = 64
    seconds: float = 30.0
    requests: int = 512
    memory: int = 256 * MIB

    def __post_init__(self) -> None:
        _require_positive(self, ("request_bytes", "image_bytes", "pixels", "images", "seconds", "requests", "memory"))


@dataclass(frozen=True)
class BatchingSettings:
    """How photos of several clients share the network; what is ``None`` follows from a measurement at start.

    A batch holds at most ``batch`` photos and waits at most ``hold`` seconds for more. An answer comes within
    ``bound`` seconds of its request or not at all; at most ``queue`` photos wait. ``threads`` are those of the network.
    """

    max_batch_size: int | None = None
    batch_delay: float = 0.002
    max_latency: float | None = None
    max_queue: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        given = [
            name
            for name in ("max_batch_size", "max_latency", "max_queue", "threads")
            if getattr(self, name) is not None
        ]
        _require_positive(self, given)
        if not 0 <= self.batch_delay <= 1:
            raise UsageError(
                _("A batch cannot wait {hold} seconds.").format(hold=self.batch_delay), _("Expected 0 to 1.")
            )


@dataclass(frozen=True)
class ServerSettings:
    """A server's choices. ``token`` is asked of every client where there is one, and needed beyond this machine.

    ``hosts`` are names under which the server is reached besides those of this machine (a proxy's), ``origins`` the
    other sites whose pages may ask it (none by default), ``root_path`` the prefix that a proxy gives it.
    ``corrections`` is the folder for photos whose answer a person corrected. ``reload`` is how often changed models
    are looked for, in seconds (0: never), ``grace`` how long requests under way may take when the server is stopped.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str = ""
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    root_path: str = ""
    corrections_folder: Path | None = None
    reload_interval: float = 1.0
    shutdown_timeout: float = 10.0
    drain_timeout: float = 0.0
    limits: RequestLimits = field(default_factory=RequestLimits)
    batching: BatchingSettings = field(default_factory=BatchingSettings)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UsageError(_("There is no port {port}.").format(port=self.port), _("Expected 0 to 65535."))
        _check_prefix(self.root_path)
        _check_token(self.token)
        if not (self.token or self.is_local):
            raise UsageError(
                _("{host} can be reached from other machines, and no token is set.").format(host=self.host),
                _("Expected a token of your choice, which clients then send along."),
                _("Type: {line}").format(
                    line=f"LINCE_TOKEN=$(openssl rand -hex 16) lince serve ... --host {self.host}"
                ),
            )

    @property
    def is_local(self) -> bool:
        """Whether the server can be reached from this machine alone."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def _require_positive(record: RequestLimits | BatchingSettings, names: tuple[str, ...] | list[str]) -> None:
    for name in names:
        value = getattr(record, name)
        if not value > 0:
            raise UsageError(_("{name} cannot be {value}.").format(name=name, value=value), _("Expected more than 0."))


def _check_prefix(prefix: str) -> None:
    fit = prefix.startswith("/") and not prefix.endswith("/") and prefix.isascii() and prefix.isprintable()
    if prefix and not (fit and not set(prefix) & set(" ?#%\"'<>\\")):
        raise UsageError(
            _("The prefix cannot be '{prefix}'.").format(prefix=prefix), _("Expected a path such as /lince.")
        )


def _check_token(token: str) -> None:
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageError(
            _("The token has characters that clients cannot send."), _("Expected letters, digits and signs, no spaces.")
        )
