"""Trees far away, at an address that fsspec knows: ``s3://``, ``gs://``, ``https://``; fetched file by file, on demand.

Nothing is asked of a network but what lies at the address that a person named.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from lince.errors import DataError, MissingExtraError, UsageError
from lince.i18n import _
from lince.storage.file_list import FileListing
from lince.storage.scan import sort_entries
from lince.storage.tree import MAX_LABEL_BYTES, DataLocation, make_too_large_error, make_unreadable_error
from lince.storage.zip import MAGIC_LENGTH, RandomAccess, ZipTree, is_archive

if TYPE_CHECKING:
    _PathBase = Path
else:  # before Python 3.12 only the class of the machine's own paths can be derived from
    _PathBase = type(Path())

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")
_WEB_SCHEMES = ("http://", "https://")
_HTML_START = re.compile(rb"\s*<(!doctype\s+html|html)", re.IGNORECASE)
_NOT_FOUND_STATUSES = (404, 410)
_PROBE_BYTES = 512  # bytes that tell a web page
_CHUNK_BYTES = 1 << 20
# What the libraries below fsspec raise that is no OSError.
_LIBRARY_ERRORS = (
    ("aiohttp", "ClientError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("google.auth.exceptions", "GoogleAuthError"),
)


class RemotePath(_PathBase):
    """An address in the place of a path: it joins like one and shows itself as it was typed."""

    def __str__(self) -> str:
        return _SCHEME.sub(r"\1://", super().__str__().replace("\\", "/"), count=1)


def is_url(text: str) -> bool:
    """Whether ``text`` is an address rather than a path on this machine."""
    return "://" in text


def file_url_to_path(url: str) -> Path | None:
    """Return the path that a ``file://`` address means; ``None`` for any other address."""
    return Path(url2pathname(urlsplit(url).path)) if url.lower().startswith("file://") else None


def resolve_url(url: str) -> DataLocation:
    """Return the place at ``url``: a folder, a file, or the inside of a zip archive.

    Raise ``UsageError`` when nothing is there, or nothing that can be read as data; ``DataError`` when it cannot be
    reached; ``MissingExtraError`` when a library for such addresses is not installed.
    """
    store = RemoteStore(url)
    if not store.is_web and store.is_folder():
        return DataLocation(RemoteTree(store))
    head = store.head("", max(MAGIC_LENGTH, _PROBE_BYTES))
    if is_archive(head):
        return DataLocation(ZipTree(store.address, store.open_random_access(), is_remote=True))
    if _HTML_START.match(head) or (store.is_web and store.address.name == store.host):
        raise UsageError(
            _("{url} is a web page.").format(url=store.address),
            _("Expected the address of a file: an archive, a table, or another file of labels."),
            _("A web address has no list of the files below it: pack them into a zip archive."),
        )
    return DataLocation(RemoteTree(store, store.address.name), store.address.name)


@dataclass(frozen=True)
class RemoteStore:
    """What fsspec finds at ``url``. The connection is found anew in each process, and kept by fsspec."""

    url: str

    @cached_property
    def is_web(self) -> bool:
        """Whether it is a web server: it lists nothing."""
        return self.url.lower().startswith(_WEB_SCHEMES)

    @property
    def host(self) -> str:
        """The name of the server or bucket."""
        return self.url.partition("://")[2].partition("/")[0]

    @cached_property
    def address(self) -> RemotePath:
        """The address without what follows a question mark: that may be a key."""
        return RemotePath(self.url.partition("?")[0] if self.is_web else self.url)

    def is_folder(self) -> bool:
        """Whether files lie below the address."""
        with self._translate_errors(""):
            files, path = self._open_file_system()
            return bool(files.isdir(path))

    def list_files(self) -> list[str]:
        """Return every file below the address, relative to it."""
        with self._translate_errors(""):
            files, path = self._open_file_system()
            start = len(path.rstrip("/"))
            return [name[start:].lstrip("/") for name in files.find(path)]

    def has(self, name: str) -> bool:
        """Whether there is a file ``name`` below the address."""
        with self._translate_errors(name):
            files, path = self._open_file_system(name)
            return bool(files.exists(path))

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``; of the one at the address for an empty name."""
        with self._translate_errors(name):
            files, path = self._open_file_system(name)
            return (
                _read_first_bytes(files, path, count)
                if self.is_web
                else bytes(files.cat_file(path, start=0, end=count))
            )

    def fetch_size(self) -> int | None:
        """Return the bytes of the file at the address; ``None`` when the server does not say."""
        with self._translate_errors(""):
            files, path = self._open_file_system()
            found = files.info(path).get("size")
            return None if found is None else int(found)

    def read_range(self, start: int, count: int, size: int) -> bytes:
        """Return ``count`` bytes from ``start`` on of the file at the address, which has ``size``."""
        files, path = self._open_file_system()
        if not self.is_web:
            return bytes(files.cat_file(path, start=start, end=min(start + count, size)))
        with files.open(path, "rb", size=size, block_size=count + 1, cache_type="none") as stream:
            stream.seek(start)
            return bytes(stream.read(min(count, size - start)))

    def open_random_access(self) -> RandomAccess:
        """Return the file at the address as bytes to be read piece by piece; fetched whole where that cannot be."""
        size = self.fetch_size()
        if size is not None and (parts := _RangeReader(self, size)).is_supported():
            return parts
        data = self.head("", MAX_LABEL_BYTES + 1)
        if len(data) > MAX_LABEL_BYTES:
            raise DataError(
                _("{url} has more than {limit:,} bytes, and its server hands out no parts of it.").format(
                    url=self.address, limit=MAX_LABEL_BYTES
                ),
                "",
                _("Download the archive, and name the file here."),
            )
        return _DownloadedFile(data)

    def _open_file_system(self, name: str = "") -> tuple[Any, str]:
        files, path = _connect(self.url)
        if not name:
            return files, path
        return files, f"{path.partition('?')[0] if self.is_web else path}".rstrip("/") + f"/{name}"

    @contextmanager
    def _translate_errors(self, name: str) -> Iterator[None]:
        place = f"{self.address}/{name}" if name else str(self.address)
        try:
            yield
        except FileNotFoundError as error:
            # fsspec says so of whatever a web server answers, and of no answer too.
            if self.is_web and error.__cause__ and getattr(error.__cause__, "status", None) not in _NOT_FOUND_STATUSES:
                raise make_unreadable_error(place, _error_text(error.__cause__)) from error
            if name:
                raise make_unreadable_error(place, _("there is no such file")) from error
            raise UsageError(_("There is nothing at {url}.").format(url=place)) from error
        except _network_errors() as error:
            raise make_unreadable_error(place, _error_text(error)) from error


class RemoteTree:
    """The files below an address; of a web server, which lists nothing, the one ``file`` named and what it mentions."""

    is_remote = True

    def __init__(self, store: RemoteStore, file: str = "") -> None:
        self._store = store
        self._file = file

    @property
    def root(self) -> Path:
        """The address."""
        return self._store.address.parent if self._file else self._store.address

    @property
    def names(self) -> tuple[str, ...]:
        """Every file, in a fixed order."""
        return self.listing.names

    @cached_property
    def listing(self) -> FileListing:
        """The same, by folder and by ending."""
        if self._store.is_web:
            return FileListing((self._file,))
        return FileListing(sort_entries(name for name in self._base_store.list_files() if name))

    def has(self, name: str) -> bool:
        """Whether there is a file ``name``; a web server is asked."""
        if name == self._file or not self._store.is_web:
            return name == self._file or name in self.listing.name_set
        return ".." not in name.split("/") and self._base_store.has(name)

    def read(self, name: str, at_most: int = MAX_LABEL_BYTES) -> bytes:
        """Return the content of the file ``name``."""
        data = self.head(name, at_most + 1)
        if len(data) > at_most:
            raise make_too_large_error(f"{self.root}/{name}", len(data), at_most)
        return data

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``."""
        return self._store.head("", count) if name == self._file else self._base_store.head(name, count)

    @cached_property
    def _base_store(self) -> RemoteStore:
        return RemoteStore(str(self._store.address.parent)) if self._file else self._store


@dataclass(frozen=True)
class _RangeReader:
    """A file of which the server hands out parts."""

    store: RemoteStore
    size: int

    def is_supported(self) -> bool:
        """Whether the server hands out parts: many hand out whole files only."""
        try:
            return len(self.read_at(self.size - 1, 1)) == 1
        except OSError:
            return False

    def read_at(self, start: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``start`` on."""
        try:
            return self.store.read_range(start, count, self.size) if start < self.size else b""
        except _network_errors() as error:
            raise OSError(_error_text(error)) from error


@dataclass(frozen=True)
class _DownloadedFile:
    """A file that was fetched at once, and is held in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.data)

    def read_at(self, start: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``start`` on."""
        return self.data[start : start + count]


def _read_first_bytes(files: Any, url: str, count: int) -> bytes:
    """Return up to ``count`` first bytes of what a web server sends, and let it send no more."""
    found = bytearray()
    with files.open(url, "rb", block_size=0) as stream:
        while len(found) < count and (piece := stream.read(min(count - len(found), _CHUNK_BYTES))):
            found += piece
    return bytes(found)


def _connect(url: str) -> tuple[Any, str]:
    """Return fsspec's file system for ``url`` and the path within it."""
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(
            _("Data at an address such as {url} needs fsspec, which is not installed.").format(url=url),
            "",
            _("In lince's own folder, type: {line}").format(line='pip install -e ".[remote]"'),
        ) from error
    try:
        files, path = url_to_fs(url)
    except ImportError as error:
        raise MissingExtraError(
            _("{url} needs a library that is not installed: {error}.").format(url=url, error=error)
        ) from error
    except ValueError as error:
        raise UsageError(
            _("{url} cannot be opened: {error}.").format(url=url, error=error),
            _("Expected an address such as {examples}.").format(examples="s3://, gs://, https://"),
        ) from error
    return files, str(path)


def _network_errors() -> tuple[type[Exception], ...]:
    """Return what goes wrong on the way, as the libraries that were loaded for it name it."""
    loaded = ((sys.modules.get(module), name) for module, name in _LIBRARY_ERRORS)
    return OSError, ValueError, *(getattr(module, name) for module, name in loaded if module)


def _error_text(error: BaseException) -> str:
    """Return what an error says, without the address, which may hold a key."""
    status = getattr(error, "status", None)
    if status is not None:
        return f"{status} {getattr(error, 'message', '')}".strip()
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or str(error) or type(error).__name__
