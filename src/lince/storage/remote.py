"""Reads files from a URL that fsspec knows: ``s3://``, ``gs://``, ``https://``; fetched one by one, on demand.

The network is used only for what is at the URL that the user named. fsspec and the libraries below
it are an extra.
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

from lince.errors import DataError, MissingExtraError, UsageError
from lince.fileio import make_install_line
from lince.i18n import _
from lince.storage.file_list import FileListing
from lince.storage.scan import sort_entries
from lince.storage.tree import MAX_LABEL_BYTES, DataLocation, make_too_large_error, make_unreadable_error
from lince.storage.url import is_web_url
from lince.storage.zip import MAGIC_LENGTH, RandomAccess, ZipTree, is_archive

if TYPE_CHECKING:
    _PathBase = Path
else:  # before Python 3.12 only the concrete class of the platform can be subclassed
    _PathBase = type(Path())

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")
_HTML_START = re.compile(rb"\s*<(!doctype\s+html|html)", re.IGNORECASE)
_NOT_FOUND_STATUSES = (404, 410)
_PROBE_BYTES = 512  # enough to recognise an HTML page
_CHUNK_BYTES = 1 << 20
# Errors of the libraries below fsspec that are not subclasses of OSError.
_LIBRARY_ERRORS = (
    ("aiohttp", "ClientError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("google.auth.exceptions", "GoogleAuthError"),
)


class RemotePath(_PathBase):
    """A URL in the place of a path.

    Joins and has parents like a path, but its text keeps the ``scheme://`` that a path would
    shorten to ``scheme:/``.
    """

    def __str__(self) -> str:
        return _SCHEME.sub(r"\1://", super().__str__().replace("\\", "/"), count=1)


def resolve_url(url: str) -> DataLocation:
    """Return the data at ``url``: a folder, a file, or the inside of a zip archive.

    Raise ``UsageError`` when nothing is there or it is a web page, ``DataError`` when it cannot be
    reached, and ``MissingExtraError`` when the library for its scheme is not installed.
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
    """The file or folder at ``url``, accessed through fsspec.

    Only the URL is pickled; each process opens a connection of its own, which fsspec caches. All
    methods that access the network raise ``DataError`` when it fails, ``UsageError`` when there is
    nothing at the URL itself, and ``MissingExtraError`` when a library is missing.
    """

    url: str

    @cached_property
    def is_web(self) -> bool:
        """Whether it is on a web server, which cannot list files."""
        return is_web_url(self.url)

    @property
    def host(self) -> str:
        """The name of the server or bucket."""
        return self.url.partition("://")[2].partition("/")[0]

    @cached_property
    def address(self) -> RemotePath:
        """The URL for messages: without the query of a web URL, which may hold a secret key."""
        return RemotePath(self.url.partition("?")[0] if self.is_web else self.url)

    def is_folder(self) -> bool:
        """Whether the URL is a folder (a common prefix in an object store)."""
        with self._translate_errors(""):
            file_system, path = self._open_file_system()
            return bool(file_system.isdir(path))

    def list_files(self) -> list[str]:
        """Return every file below the URL, relative to it, in no particular order."""
        with self._translate_errors(""):
            file_system, path = self._open_file_system()
            prefix_length = len(path.rstrip("/"))
            return [name[prefix_length:].lstrip("/") for name in file_system.find(path)]

    def has(self, name: str) -> bool:
        """Whether the file ``name`` exists below the URL."""
        with self._translate_errors(name):
            file_system, path = self._open_file_system(name)
            return bool(file_system.exists(path))

    def head(self, name: str, count: int) -> bytes:
        """Return the first ``count`` bytes of the file ``name`` below the URL, or of the URL itself for an empty name.

        A web server is read as a stream that is closed early, since not all servers support ranges.
        """
        with self._translate_errors(name):
            file_system, path = self._open_file_system(name)
            return (
                _read_first_bytes(file_system, path, count)
                if self.is_web
                else bytes(file_system.cat_file(path, start=0, end=count))
            )

    def fetch_size(self) -> int | None:
        """Return the size of the file at the URL in bytes, ``None`` when the server does not give it."""
        with self._translate_errors(""):
            file_system, path = self._open_file_system()
            size = file_system.info(path).get("size")
            return None if size is None else int(size)

    def read_range(self, start: int, count: int, size: int) -> bytes:
        """Return up to ``count`` bytes from position ``start`` of the file at the URL, which has ``size`` bytes.

        Errors of the network are not translated here: ``_RangeReader`` turns them into ``OSError``.
        """
        file_system, path = self._open_file_system()
        if not self.is_web:
            return bytes(file_system.cat_file(path, start=start, end=min(start + count, size)))
        with file_system.open(path, "rb", size=size, block_size=count + 1, cache_type="none") as stream:
            stream.seek(start)
            return bytes(stream.read(min(count, size - start)))

    def open_random_access(self) -> RandomAccess:
        """Return the file at the URL for reading at any position.

        Where the server does not support ranges, the whole file is downloaded into memory; raise
        ``DataError`` when it has more than ``MAX_LABEL_BYTES`` bytes.
        """
        size = self.fetch_size()
        if size is not None and (reader := _RangeReader(self, size)).is_supported():
            return reader
        data = self.head("", MAX_LABEL_BYTES + 1)
        if len(data) > MAX_LABEL_BYTES:
            raise DataError(
                _("{url} has more than {limit:,} bytes, and its server does not support partial downloads.").format(
                    url=self.address, limit=MAX_LABEL_BYTES
                ),
                "",
                _("Download the archive, and give the local file."),
            )
        return _DownloadedFile(data)

    def _open_file_system(self, name: str = "") -> tuple[Any, str]:
        """Return the file system of fsspec and the path in it of the file ``name`` below the URL."""
        file_system, path = _connect(self.url)
        if not name:
            return file_system, path
        return file_system, f"{path.partition('?')[0] if self.is_web else path}".rstrip("/") + f"/{name}"

    @contextmanager
    def _translate_errors(self, name: str) -> Iterator[None]:
        """Turn errors of fsspec about the file ``name`` into those of lince."""
        location = f"{self.address}/{name}" if name else str(self.address)
        try:
            yield
        except FileNotFoundError as error:
            # fsspec raises this for every failed response of a web server, and for no response.
            if self.is_web and error.__cause__ and getattr(error.__cause__, "status", None) not in _NOT_FOUND_STATUSES:
                raise make_unreadable_error(location, _error_text(error.__cause__)) from error
            if name:
                raise make_unreadable_error(location, _("there is no such file")) from error
            raise UsageError(_("There is nothing at {url}.").format(url=location)) from error
        except _network_errors() as error:
            raise make_unreadable_error(location, _error_text(error)) from error


class RemoteTree:
    """The files below a URL.

    A web server cannot list files. There the tree holds the one ``file`` that was named, and other
    files beside it can be read when the label file refers to them.
    """

    is_remote = True

    def __init__(self, store: RemoteStore, file: str = "") -> None:
        self._store = store
        self._file = file

    @property
    def root(self) -> Path:
        """The URL of the folder."""
        return self._store.address.parent if self._file else self._store.address

    @property
    def names(self) -> tuple[str, ...]:
        """Every file in a fixed order; on a web server, the named one."""
        return self.listing.names

    @cached_property
    def listing(self) -> FileListing:
        """The same files, indexed by folder and by suffix."""
        if self._store.is_web:
            return FileListing((self._file,))
        return FileListing.without_own(sort_entries(name for name in self._base_store.list_files() if name))

    def has(self, name: str) -> bool:
        """Whether the file ``name`` exists; this costs a request on a web server only."""
        if name == self._file or not self._store.is_web:
            return name == self._file or name in self.listing.name_set
        return ".." not in name.split("/") and self._base_store.has(name)

    def read(self, name: str, max_bytes: int = MAX_LABEL_BYTES) -> bytes:
        """Return the content of the file ``name``; raise ``DataError`` as ``FileTree.read`` does."""
        data = self.head(name, max_bytes + 1)
        if len(data) > max_bytes:
            raise make_too_large_error(f"{self.root}/{name}", len(data), max_bytes)
        return data

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``."""
        return self._store.head("", count) if name == self._file else self._base_store.head(name, count)

    @cached_property
    def _base_store(self) -> RemoteStore:
        """The store of the folder: that of the URL, or its parent where a file was named."""
        return RemoteStore(str(self._store.address.parent)) if self._file else self._store


@dataclass(frozen=True)
class _RangeReader:
    """Random access to a file on a server that supports range requests."""

    store: RemoteStore
    size: int

    def is_supported(self) -> bool:
        """Whether the server returns ranges; tried with the last byte."""
        try:
            return len(self.read_at(self.size - 1, 1)) == 1
        except OSError:
            return False

    def read_at(self, start: int, count: int) -> bytes:
        """Return up to ``count`` bytes from position ``start``; raise ``OSError``."""
        try:
            return self.store.read_range(start, count, self.size) if start < self.size else b""
        except _network_errors() as error:
            raise OSError(_error_text(error)) from error


@dataclass(frozen=True)
class _DownloadedFile:
    """Random access to a file that was downloaded as a whole into memory."""

    data: bytes

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.data)

    def read_at(self, start: int, count: int) -> bytes:
        """Return up to ``count`` bytes from position ``start``."""
        return self.data[start : start + count]


def _read_first_bytes(file_system: Any, url: str, count: int) -> bytes:
    """Return up to ``count`` first bytes of the response of a web server, then close the connection."""
    data = bytearray()
    with file_system.open(url, "rb", block_size=0) as stream:
        while len(data) < count and (chunk := stream.read(min(count - len(data), _CHUNK_BYTES))):
            data += chunk
    return bytes(data)


def _connect(url: str) -> tuple[Any, str]:
    """Return the file system of fsspec for ``url`` and the path within it.

    Raise ``MissingExtraError`` when fsspec or the library of the scheme is missing, ``UsageError``
    for a scheme that fsspec does not know.
    """
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(
            _("Data at an address such as {url} needs fsspec, which is not installed.").format(url=url),
            "",
            _("In lince's own folder, type: {line}").format(line=make_install_line("remote")),
        ) from error
    try:
        file_system, path = url_to_fs(url)
    except ImportError as error:
        raise MissingExtraError(
            _("{url} needs a library that is not installed: {error}.").format(url=url, error=error)
        ) from error
    except ValueError as error:
        raise UsageError(
            _("{url} cannot be opened: {error}.").format(url=url, error=error),
            _("Expected an address such as {examples}.").format(examples="s3://, gs://, https://"),
        ) from error
    return file_system, str(path)


def _network_errors() -> tuple[type[Exception], ...]:
    """Return the exception classes of failed requests, of those libraries that are loaded."""
    modules = ((sys.modules.get(module), name) for module, name in _LIBRARY_ERRORS)
    return OSError, ValueError, *(getattr(module, name) for module, name in modules if module)


def _error_text(error: BaseException) -> str:
    """Return the text of ``error`` without its URL, which may hold a secret key."""
    status = getattr(error, "status", None)
    if status is not None:
        return f"{status} {getattr(error, 'message', '')}".strip()
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or str(error) or type(error).__name__
