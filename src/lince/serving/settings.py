"""Settings of the HTTP server: address, access, request limits and batching."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lince.errors import UsageError
from lince.i18n import _
from lince.web.loopback import is_loopback

MIB = 1 << 20
DEFAULT_PORT = 8000


@dataclass(frozen=True)
class RequestLimits:
    """Limits against overload and abuse; a request over one of them is refused as early as possible.

    Per request: ``request_bytes`` of the body, ``images``, and ``seconds`` to send it. Per image: ``image_bytes`` of
    the file, and ``pixels``. For the whole server: ``requests`` that are active, and ``memory`` in bytes for all bodies
    held at one time. Raises ``UsageError`` unless all are positive.
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
    """The user's choices for batching; ``None`` is chosen from a benchmark at startup (``make_batch_plan``).

    A batch has at most ``max_batch_size`` images and waits at most ``batch_delay`` seconds (0..1) for more.
    ``max_latency`` bounds the seconds from request to response, ``max_queue`` the images waiting. ``threads`` is the
    number of cores for the network. Raises ``UsageError`` for values out of range.
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
                _("The batch delay cannot be {hold} seconds.").format(hold=self.batch_delay), _("Expected 0 to 1.")
            )


@dataclass(frozen=True)
class ServerSettings:
    """All settings of a server.

    ``token`` is the bearer token that clients must send; it may only be empty where ``host`` is this machine alone.
    ``allowed_hosts`` are further names by which the server is reached, such as a proxy's, ``allowed_origins`` the other
    sites whose pages may send requests (CORS), ``root_path`` the path prefix that a proxy adds.
    ``corrections_folder`` is where corrected images are saved; ``None`` turns that off. In seconds:
    ``reload_interval`` between checks for changed models (0: never), ``shutdown_timeout`` for active requests when the
    server stops, ``drain_timeout`` for which it still listens before. Raises ``UsageError`` for an impossible value.
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
                _("Expected a token of your choice, which clients must send."),
                _("Type: {line}").format(
                    line=f"LINCE_TOKEN=$(openssl rand -hex 16) lince serve ... --host {self.host}"
                ),
            )

    @property
    def is_local(self) -> bool:
        """Whether ``host`` is a loopback address, which only this machine can reach."""
        return is_loopback(self.host)


def _require_positive(settings: RequestLimits | BatchingSettings, names: tuple[str, ...] | list[str]) -> None:
    """Raise ``UsageError`` when one of the fields ``names`` is not above 0 (NaN included)."""
    for name in names:
        value = getattr(settings, name)
        if not value > 0:
            raise UsageError(_("{name} cannot be {value}.").format(name=name, value=value), _("Expected more than 0."))


def _check_prefix(prefix: str) -> None:
    """Raise ``UsageError`` unless ``prefix`` is empty or a path such as ``/lince``, safe to put into HTML and URLs."""
    is_path = prefix.startswith("/") and not prefix.endswith("/") and prefix.isascii() and prefix.isprintable()
    if prefix and not (is_path and not set(prefix) & set(" ?#%\"'<>\\")):
        raise UsageError(
            _("The prefix cannot be '{prefix}'.").format(prefix=prefix), _("Expected a path such as /lince.")
        )


def _check_token(token: str) -> None:
    """Raise ``UsageError`` for characters that cannot be sent in a header."""
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageError(
            _("The token has characters that clients cannot send."),
            _("Expected letters, digits and punctuation, without spaces."),
        )
