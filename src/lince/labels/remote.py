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
from lince.labels.archive import HEAD, Archive, Block, is_archive
from lince.labels.listing import Listing
from lince.labels.scan import in_order
from lince.labels.tree import LABELS_AT_MOST, Place, too_large, unreadable
from lince.messages import _

if TYPE_CHECKING:
    _Base = Path
else:  # before Python 3.12 only the class of the machine's own paths can be derived from
    _Base = type(Path())

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")
_WEB = ("http://", "https://")
_PAGE = re.compile(rb"\s*<(!doctype\s+html|html)", re.IGNORECASE)
_GONE = (404, 410)
_LOOK = 512  # bytes that tell a web page
_PIECE = 1 << 20
# What the libraries below fsspec raise that is no OSError.
_FOREIGN = (
    ("aiohttp", "ClientError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("google.auth.exceptions", "GoogleAuthError"),
)


class Address(_Base):
    """An address in the place of a path: it joins like one and shows itself as it was typed."""

    def __str__(self) -> str:
        return _SCHEME.sub(r"\1://", super().__str__().replace("\\", "/"), count=1)


def is_address(text: str) -> bool:
    """Whether ``text`` is an address rather than a path on this machine."""
    return "://" in text


def on_this_machine(url: str) -> Path | None:
    """Return the path that a ``file://`` address means; ``None`` for any other address."""
    return Path(url2pathname(urlsplit(url).path)) if url.lower().startswith("file://") else None


def remote_place(url: str) -> Place:
    """Return the place at ``url``: a folder, a file, or the inside of a zip archive.

    Raise ``UsageError`` when nothing is there, or nothing that can be read as data; ``DataError`` when it cannot be
    reached; ``MissingExtraError`` when a library for such addresses is not installed.
    """
    store = Store(url)
    if not store.web and store.is_folder():
        return Place(Remote(store))
    head = store.head("", max(HEAD, _LOOK))
    if is_archive(head):
        return Place(Archive(store.address, store.block(), far=True))
    if _PAGE.match(head) or (store.web and store.address.name == store.host):
        raise UsageError(
            _("{url} is a web page.").format(url=store.address),
            _("Expected the address of a file: an archive, a table, or another file of labels."),
            _("A web address has no list of the files below it: pack them into a zip archive."),
        )
    return Place(Remote(store, store.address.name), store.address.name)


@dataclass(frozen=True)
class Store:
    """What fsspec finds at ``url``. The connection is found anew in each process, and kept by fsspec."""

    url: str

    @cached_property
    def web(self) -> bool:
        """Whether it is a web server: it lists nothing."""
        return self.url.lower().startswith(_WEB)

    @property
    def host(self) -> str:
        """The name of the server or bucket."""
        return self.url.partition("://")[2].partition("/")[0]

    @cached_property
    def address(self) -> Address:
        """The address without what follows a question mark: that may be a key."""
        return Address(self.url.partition("?")[0] if self.web else self.url)

    def is_folder(self) -> bool:
        """Whether files lie below the address."""
        with self._speaking(""):
            files, path = self._open()
            return bool(files.isdir(path))

    def names(self) -> list[str]:
        """Return every file below the address, relative to it."""
        with self._speaking(""):
            files, path = self._open()
            start = len(path.rstrip("/"))
            return [name[start:].lstrip("/") for name in files.find(path)]

    def has(self, name: str) -> bool:
        """Whether there is a file ``name`` below the address."""
        with self._speaking(name):
            files, path = self._open(name)
            return bool(files.exists(path))

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``; of the one at the address for an empty name."""
        with self._speaking(name):
            files, path = self._open(name)
            return _first(files, path, count) if self.web else bytes(files.cat_file(path, start=0, end=count))

    def size(self) -> int | None:
        """Return the bytes of the file at the address; ``None`` when the server does not say."""
        with self._speaking(""):
            files, path = self._open()
            found = files.info(path).get("size")
            return None if found is None else int(found)

    def part(self, start: int, count: int, size: int) -> bytes:
        """Return ``count`` bytes from ``start`` on of the file at the address, which has ``size``."""
        files, path = self._open()
        if not self.web:
            return bytes(files.cat_file(path, start=start, end=min(start + count, size)))
        with files.open(path, "rb", size=size, block_size=count + 1, cache_type="none") as stream:
            stream.seek(start)
            return bytes(stream.read(min(count, size - start)))

    def block(self) -> Block:
        """Return the file at the address as bytes to be read piece by piece; fetched whole where that cannot be."""
        size = self.size()
        if size is not None and (parts := _Parts(self, size)).given():
            return parts
        data = self.head("", LABELS_AT_MOST + 1)
        if len(data) > LABELS_AT_MOST:
            raise DataError(
                _("{url} has more than {limit:,} bytes, and its server hands out no parts of it.").format(
                    url=self.address, limit=LABELS_AT_MOST
                ),
                "",
                _("Download the archive, and name the file here."),
            )
        return _Whole(data)

    def _open(self, name: str = "") -> tuple[Any, str]:
        files, path = _connect(self.url)
        if not name:
            return files, path
        return files, f"{path.partition('?')[0] if self.web else path}".rstrip("/") + f"/{name}"

    @contextmanager
    def _speaking(self, name: str) -> Iterator[None]:
        place = f"{self.address}/{name}" if name else str(self.address)
        try:
            yield
        except FileNotFoundError as error:
            # fsspec says so of whatever a web server answers, and of no answer too.
            if self.web and error.__cause__ and getattr(error.__cause__, "status", None) not in _GONE:
                raise unreadable(place, _said(error.__cause__)) from error
            if name:
                raise unreadable(place, _("there is no such file")) from error
            raise UsageError(_("There is nothing at {url}.").format(url=place)) from error
        except _failures() as error:
            raise unreadable(place, _said(error)) from error


class Remote:
    """The files below an address; of a web server, which lists nothing, the one ``file`` named and what it mentions."""

    far = True

    def __init__(self, store: Store, file: str = "") -> None:
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
    def listing(self) -> Listing:
        """The same, by folder and by ending."""
        if self._store.web:
            return Listing((self._file,))
        return Listing(in_order(name for name in self._beside.names() if name))

    def has(self, name: str) -> bool:
        """Whether there is a file ``name``; a web server is asked."""
        if name == self._file or not self._store.web:
            return name == self._file or name in self.listing.known
        return ".." not in name.split("/") and self._beside.has(name)

    def read(self, name: str, at_most: int = LABELS_AT_MOST) -> bytes:
        """Return the content of the file ``name``."""
        data = self.head(name, at_most + 1)
        if len(data) > at_most:
            raise too_large(f"{self.root}/{name}", len(data), at_most)
        return data

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``."""
        return self._store.head("", count) if name == self._file else self._beside.head(name, count)

    @cached_property
    def _beside(self) -> Store:
        return Store(str(self._store.address.parent)) if self._file else self._store


@dataclass(frozen=True)
class _Parts:
    """A file of which the server hands out parts."""

    store: Store
    size: int

    def given(self) -> bool:
        """Whether the server hands out parts: many hand out whole files only."""
        try:
            return len(self.read_at(self.size - 1, 1)) == 1
        except OSError:
            return False

    def read_at(self, start: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``start`` on."""
        try:
            return self.store.part(start, count, self.size) if start < self.size else b""
        except _failures() as error:
            raise OSError(_said(error)) from error


@dataclass(frozen=True)
class _Whole:
    """A file that was fetched at once, and is held in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.data)

    def read_at(self, start: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``start`` on."""
        return self.data[start : start + count]


def _first(files: Any, url: str, count: int) -> bytes:
    """Return up to ``count`` first bytes of what a web server sends, and let it send no more."""
    found = bytearray()
    with files.open(url, "rb", block_size=0) as stream:
        while len(found) < count and (piece := stream.read(min(count - len(found), _PIECE))):
            found += piece
    return bytes(found)


def _connect(url: str) -> tuple[Any, str]:
    """Return fsspec's file system for ``url`` and the path within it."""
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # noqa: PLC0415  (an extra)
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


def _failures() -> tuple[type[Exception], ...]:
    """Return what goes wrong on the way, as the libraries that were loaded for it name it."""
    loaded = ((sys.modules.get(module), name) for module, name in _FOREIGN)
    return OSError, ValueError, *(getattr(module, name) for module, name in loaded if module)


def _said(error: BaseException) -> str:
    """Return what an error says, without the address, which may hold a key."""
    status = getattr(error, "status", None)
    if status is not None:
        return f"{status} {getattr(error, 'message', '')}".strip()
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or str(error) or type(error).__name__
