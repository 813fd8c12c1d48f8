"""Downloads published weights from the Hugging Face hub, once: the only download that lince makes."""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.request
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from lince import fileio
from lince.errors import WeightsError
from lince.i18n import _
from lince.models.classification.registry import ModelEntry
from lince.progress import SILENT, Progress, ProgressStage

DEFAULT_ENDPOINT = "https://huggingface.co"
WEIGHTS_FILE_NAME = "model.safetensors"
TIMEOUT_SECONDS = 10.0  # without receiving a byte
RETRY_SECONDS = 2.0  # pause before the second attempt to resume; it grows by as much with each further attempt
_MAX_RESUMES = 4  # attempts to resume an interrupted download
_BLOCK_SIZE = 1 << 20  # bytes read at a time; a step of the progress bar
_DIGEST_HEADER = "X-Linked-Etag"  # SHA-256 of a large file, in the hub's response
_TRUE_VALUES = ("1", "on", "yes", "true")


def download_weights(entry: ModelEntry, progress: Progress = SILENT) -> Path:
    """Return the file with the published weights of ``entry``, downloading it if it is not in a cache.

    ``HF_ENDPOINT`` names a mirror of the hub; ``HF_HUB_OFFLINE=1`` forbids downloads. Raises ``WeightsError``, with the
    alternatives as its remedy, when ``entry`` has no repository, the download fails, or the file does not match the
    SHA-256 that the hub published.
    """
    path = find_cached_weights(entry)
    if path is not None:
        return path
    if not entry.repository:
        raise _no_weights_error(
            entry,
            _("There is no known download address for the weights of {model}.").format(model=entry.pretrained_name),
        )
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in _TRUE_VALUES:
        raise _no_weights_error(
            entry, _("HF_HUB_OFFLINE is set, so the weights of {model} cannot be downloaded.").format(model=entry.name)
        )
    progress.show_message(
        _("Downloading the weights of {model} from {repository}, licence {licence}.").format(
            model=entry.name, repository=entry.repository, licence=entry.licence
        )
    )
    return _download(entry, progress)


def find_cached_weights(entry: ModelEntry) -> Path | None:
    """Return the published weights of ``entry`` from the cache of lince or of ``huggingface_hub``; else ``None``."""
    path = _cache_path(entry)
    if path.is_file():
        return path
    folder = _hub_cache() / f"models--{entry.repository.replace('/', '--')}" / "snapshots"
    paths = sorted(folder.glob(f"*/{WEIGHTS_FILE_NAME}"), key=lambda snapshot: snapshot.stat().st_mtime)
    return paths[-1] if entry.repository and paths else None


def _cache_path(entry: ModelEntry) -> Path:
    """Return where lince keeps the weights of ``entry``."""
    return fileio.get_cache_folder() / "weights" / f"{entry.pretrained_name}.safetensors"


def _hub_cache() -> Path:
    """Return the cache folder of ``huggingface_hub``, from the environment variables that it reads."""
    folder = os.environ.get("HF_HUB_CACHE")
    if folder:
        return Path(folder)
    home = os.environ.get("HF_HOME")
    return (Path(home) if home else Path.home() / ".cache" / "huggingface") / "hub"


def _download(entry: ModelEntry, progress: Progress) -> Path:
    """Download the weights of ``entry`` into lince's cache and return their path."""
    endpoint = os.environ.get("HF_ENDPOINT", DEFAULT_ENDPOINT).rstrip("/")
    url = f"{endpoint}/{entry.repository}/resolve/main/{WEIGHTS_FILE_NAME}"
    path = _cache_path(entry)
    try:
        with _open_url(url) as response:
            published = _describe_response(entry, url, response)
            with _open_part(path, published) as part:
                _fetch(published, response, part, progress)
                _verify(published, part)
    except urllib.error.HTTPError as error:
        raise _no_weights_error(entry, _("{url} answered {code}.").format(url=url, code=error.code)) from error
    except (OSError, HTTPException) as error:
        raise _no_weights_error(entry, _("{url} cannot be reached: {error}.").format(url=url, error=error)) from error
    for part_of_another_version in path.parent.glob(f"{path.name}.*.part"):
        part_of_another_version.unlink(missing_ok=True)
    return path


@dataclass(frozen=True)
class _PublishedFile:
    """The file of ``entry`` at ``url``: its size in bytes and its SHA-256; 0 and empty where the hub states none."""

    entry: ModelEntry
    url: str
    size: int
    digest: str

    @property
    def is_resumable(self) -> bool:
        """Whether a partial file can be resumed: only the digest shows that both parts are of the same file."""
        return bool(self.digest and self.size)


def _open_url(url: str, start: int = 0) -> HTTPResponse:
    """Return the response with the file's bytes from ``start`` on.

    Its digest header is that of the redirect before it, where it has none.
    """
    if not url.startswith(("https://", "http://")):
        raise WeightsError(
            _("HF_ENDPOINT cannot be '{url}'.").format(url=url), _("Expected an address that begins with https://.")
        )
    headers = {"User-Agent": "lince"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    redirects = _Redirects()
    response: HTTPResponse = urllib.request.build_opener(redirects).open(request, timeout=TIMEOUT_SECONDS)
    if _DIGEST_HEADER not in response.headers:
        response.headers[_DIGEST_HEADER] = redirects.digest
    return response


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects and keeps the digest in the hub's answer, which the storage server's answer does not have."""

    def __init__(self) -> None:
        self.digest = ""

    def redirect_request(self, *request: Any, **more: Any) -> urllib.request.Request | None:
        """Take the digest from the headers of the redirect, then follow it."""
        headers = request[4]
        self.digest = headers.get(_DIGEST_HEADER, self.digest)
        return super().redirect_request(*request, **more)


def _describe_response(entry: ModelEntry, url: str, response: HTTPResponse) -> _PublishedFile:
    """Return what the headers of ``response`` state about the file of ``entry``."""
    digest = str(response.headers[_DIGEST_HEADER]).strip('"')
    size = int(response.headers.get("Content-Length", 0))
    return _PublishedFile(entry, url, size, digest if len(digest) == 64 else "")


def _open_part(path: Path, published: _PublishedFile) -> AbstractContextManager[Path]:
    """Return a context manager that gives the partial file to write, which becomes ``path`` on success."""
    if not published.is_resumable:
        return fileio.atomic_file(path)
    return fileio.resumable_file(path, path.with_name(f"{path.name}.{published.digest[:16]}.part"))


def _fetch(published: _PublishedFile, response: HTTPResponse, part: Path, progress: Progress) -> None:
    """Complete ``part``: from ``response`` if it is empty, else by requesting the rest, again after each interruption.

    Raises ``WeightsError`` when the connection breaks more than ``_MAX_RESUMES`` times.
    """
    title = _("Downloading {model}").format(model=published.entry.name)
    with progress.open_stage(title, max(1, -(-published.size // _BLOCK_SIZE))) as stage:
        received = part.stat().st_size
        stage.advance(received // _BLOCK_SIZE)
        if not received:
            received = _append_body(response, part, stage)
        for attempt in range(_MAX_RESUMES if published.is_resumable else 0):
            if received >= published.size:
                break
            time.sleep(attempt * RETRY_SECONDS)
            received = _append_rest(published, part, stage)
    if received < published.size:
        raise WeightsError(
            _("The download of {model} stopped at {received} of {total} bytes.").format(
                model=published.entry.name, received=received, total=published.size
            ),
            remedy=_("Try again."),
        )


def _append_rest(published: _PublishedFile, part: Path, stage: ProgressStage) -> int:
    """Request the missing end of ``part``, append it, and return the size of ``part``."""
    try:
        with _open_url(published.url, part.stat().st_size) as response:
            return _append_body(response, part, stage)
    except urllib.error.HTTPError:
        raise
    except (OSError, HTTPException):  # temporarily unreachable
        return part.stat().st_size


def _append_body(response: HTTPResponse, part: Path, stage: ProgressStage) -> int:
    """Append the body of ``response`` to ``part`` until it ends or is interrupted; return the size of ``part``."""
    with open(part, "ab") as target:
        if response.status != HTTPStatus.PARTIAL_CONTENT:  # without support for ranges, the body is the whole file
            target.truncate(0)
        received = target.seek(0, os.SEEK_END)
        while block := _read_block(response):
            before, received = received, received + target.write(block)
            stage.advance(received // _BLOCK_SIZE - before // _BLOCK_SIZE)
    return received


def _read_block(response: HTTPResponse) -> bytes:
    """Return the next bytes; empty at the end, and when the connection breaks."""
    try:
        return response.read1(_BLOCK_SIZE)
    except (OSError, HTTPException):
        return b""


def _verify(published: _PublishedFile, part: Path) -> None:
    """Delete ``part`` and raise ``WeightsError`` unless it has the published digest."""
    digest = fileio.compute_sha256(part) if published.digest else ""
    if digest == published.digest:
        return
    part.unlink()
    raise WeightsError(
        _("The file downloaded for {model} does not match the published one.").format(model=published.entry.name),
        _("Expected the SHA-256 {expected}, found {found}.").format(expected=published.digest, found=digest),
        _("Try again, on another network if it happens twice."),
    )


def _no_weights_error(entry: ModelEntry, problem: str) -> WeightsError:
    """Return the error for weights that cannot be downloaded, with the alternatives as its remedy."""
    return WeightsError(
        problem,
        _("Expected the published weights of {model}.").format(model=entry.name),
        _(
            "Three options: --weights FILE (a file you have); LINCE_WEIGHTS (a folder that contains "
            "{name}.safetensors); --weights none (random weights, to train from scratch)."
        ).format(name=entry.architecture),
    )
