"""The one download that lince makes: published weights, once, from the hub where timm keeps them."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from lince import fileio
from lince.errors import WeightsError
from lince.i18n import _
from lince.models.classification.registry import ModelEntry
from lince.progress import SILENT, Progress, ProgressStage

DEFAULT_ENDPOINT = "https://huggingface.co"
WEIGHTS_FILE_NAME = "model.safetensors"
TIMEOUT_SECONDS = 10.0  # seconds without a byte
_BLOCK_SIZE = 1 << 20
_DIGEST_HEADER = "X-Linked-Etag"
_TRUE_VALUES = ("1", "on", "yes", "true")


def download_weights(entry: ModelEntry, progress: Progress = SILENT) -> Path:
    """Return the file with the published weights of ``entry``, downloading it if no earlier download is here.

    ``HF_ENDPOINT`` names another server that answers like the hub, ``HF_HUB_OFFLINE=1`` forbids the network. Raises
    ``WeightsError`` with the ways out when there is none, or when what came does not match its published digest.
    """
    known = find_cached_weights(entry)
    if known is not None:
        return known
    if not entry.repository:
        raise _no_weights_error(
            entry, _("lince knows no place to fetch the weights of {model} from.").format(model=entry.pretrained_name)
        )
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in _TRUE_VALUES:
        raise _no_weights_error(
            entry, _("HF_HUB_OFFLINE forbids downloading the weights of {model}.").format(model=entry.name)
        )
    progress.show_message(
        _("Downloading the weights of {model} from {repository}, licence {licence}.").format(
            model=entry.name, repository=entry.repository, licence=entry.licence
        )
    )
    return _download(entry, progress)


def find_cached_weights(entry: ModelEntry) -> Path | None:
    """Return the file with the published weights of ``entry`` when lince or timm downloaded it before."""
    own = _cache_path(entry)
    if own.is_file():
        return own
    folder = _hub_cache() / f"models--{entry.repository.replace('/', '--')}" / "snapshots"
    found = sorted(folder.glob(f"*/{WEIGHTS_FILE_NAME}"), key=lambda path: path.stat().st_mtime)
    return found[-1] if entry.repository and found else None


def _cache_path(entry: ModelEntry) -> Path:
    return fileio.get_cache_folder() / "weights" / f"{entry.pretrained_name}.safetensors"


def _hub_cache() -> Path:
    chosen = os.environ.get("HF_HUB_CACHE")
    if chosen:
        return Path(chosen)
    home = os.environ.get("HF_HOME")
    return (Path(home) if home else Path.home() / ".cache" / "huggingface") / "hub"


def _download(entry: ModelEntry, progress: Progress) -> Path:
    endpoint = os.environ.get("HF_ENDPOINT", DEFAULT_ENDPOINT).rstrip("/")
    url = f"{endpoint}/{entry.repository}/resolve/main/{WEIGHTS_FILE_NAME}"
    path = _cache_path(entry)
    try:
        redirects = _Redirects()
        with urllib.request.build_opener(redirects).open(_make_request(url), timeout=TIMEOUT_SECONDS) as answer:
            expected = _published_digest(answer, redirects)
            with fileio.atomic_file(path) as aside, open(aside, "wb") as target:
                _stream_to_file(answer, target, expected, entry, progress)
    except urllib.error.HTTPError as error:
        raise _no_weights_error(entry, _("{url} answered {code}.").format(url=url, code=error.code)) from error
    except (OSError, HTTPException) as error:
        raise _no_weights_error(entry, _("{url} cannot be reached: {error}.").format(url=url, error=error)) from error
    return path


def _make_request(url: str) -> urllib.request.Request:
    if not url.startswith(("https://", "http://")):
        raise WeightsError(
            _("HF_ENDPOINT cannot be '{url}'.").format(url=url), _("Expected an address that begins with https://.")
        )
    return urllib.request.Request(url, headers={"User-Agent": "lince"})  # noqa: S310


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Keeps the digest that the hub's own answer carries before it sends on to where the bytes are."""

    def __init__(self) -> None:
        self.digest = ""

    def redirect_request(self, *request: Any, **more: Any) -> urllib.request.Request | None:
        headers = request[4]
        self.digest = headers.get(_DIGEST_HEADER, self.digest)
        return super().redirect_request(*request, **more)


def _published_digest(answer: Any, redirects: _Redirects) -> str:
    digest = str(answer.headers.get(_DIGEST_HEADER, redirects.digest)).strip('"')
    return digest if len(digest) == 64 else ""


def _stream_to_file(answer: Any, target: IO[bytes], expected: str, entry: ModelEntry, progress: Progress) -> None:
    total = int(answer.headers.get("Content-Length", 0))
    received, digest = 0, hashlib.sha256()
    with progress.open_stage(
        _("Downloading {model}").format(model=entry.name), max(1, -(-total // _BLOCK_SIZE))
    ) as stage:
        for block in _iter_blocks(answer, stage):
            digest.update(block)
            target.write(block)
            received += len(block)
    if total and received != total:
        raise WeightsError(
            _("The download of {model} was cut off at {received} of {total} bytes.").format(
                model=entry.name, received=received, total=total
            ),
            remedy=_("Try again."),
        )
    if expected and digest.hexdigest() != expected:
        raise WeightsError(
            _("What was downloaded for {model} is not what the hub published.").format(model=entry.name),
            _("Expected the SHA-256 {expected}, found {found}.").format(expected=expected, found=digest.hexdigest()),
            _("Try again, on another network if it happens twice."),
        )


def _iter_blocks(answer: Any, stage: ProgressStage) -> Iterator[bytes]:
    while block := answer.read(_BLOCK_SIZE):
        yield block
        stage.advance()


def _no_weights_error(entry: ModelEntry, found: str) -> WeightsError:
    return WeightsError(
        found,
        _("Expected the published weights of {model}.").format(model=entry.name),
        _(
            "Three ways out: --weights FILE (a file you have); LINCE_WEIGHTS (a folder with {name}.safetensors in it); "
            "--weights none (random weights, to train from scratch)."
        ).format(name=entry.architecture),
    )
