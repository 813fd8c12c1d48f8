"""Files that come in pieces: an archive or a video is put together in the cache, used once, and deleted."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lince.errors import DataError
from lince.i18n import _

SPARE_BYTES = 2**30  # that an upload leaves free on the disk
_ID = re.compile(r"[0-9a-f]{32}")
_MAX_AGE_SECONDS = 24 * 3600.0


class UploadStore:
    """The unfinished uploads of a project, each in a file of its own with a name that the server made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: dict[str, int] = {}

    def begin(self, size: int) -> str:
        """Return the id of a new upload of ``size`` bytes. Raise ``DataError`` where the disk has no room for it."""
        self._delete_old()
        self._folder.mkdir(parents=True, exist_ok=True)
        require_free_bytes(self._folder, size)
        number = secrets.token_hex(16)
        self._find(number).touch()
        self._sizes[number] = size
        return number

    def append(self, number: str, offset: int, data: bytes) -> int:
        """Write a piece at ``offset``, which must be where the last one ended, and return how many bytes there are.

        A piece that is sent again is written again. Raise ``DataError`` for one that does not fit.
        """
        path = self._require(number)
        with path.open("r+b") as stream:
            size = stream.seek(0, 2)
            if not 0 <= offset <= size or offset + len(data) > self._sizes.get(number, 0):
                raise DataError(
                    _("A piece of the upload does not fit: it begins at {offset:,}.").format(offset=offset),
                    _("Expected {size:,}.").format(size=size),
                    _("Add the file again."),
                )
            stream.seek(offset)
            stream.write(data)
            return max(size, offset + len(data))

    @contextmanager
    def take(self, number: str) -> Iterator[Path]:
        """Yield the path of a whole upload, which is deleted afterwards. Raise ``DataError`` where it is not whole."""
        path = self._require(number)
        try:
            size, expected = path.stat().st_size, self._sizes.get(number, -1)
            if size != expected:
                raise DataError(
                    _("The upload is not whole: it has {size:,} bytes.").format(size=size),
                    _("Expected {size:,}.").format(size=max(expected, 0)),
                    _("Add the file again."),
                )
            yield path
        finally:
            path.unlink(missing_ok=True)
            self._sizes.pop(number, None)

    def _require(self, number: str) -> Path:
        path = self._find(number)
        if not path.is_file():
            raise DataError(_("There is no such upload."), remedy=_("Add the file again."))
        return path

    def _find(self, number: str) -> Path:
        if not _ID.fullmatch(number):
            raise DataError(_("There is no such upload."), remedy=_("Add the file again."))
        return self._folder / number

    def _delete_old(self) -> None:
        limit = time.time() - _MAX_AGE_SECONDS
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            if _ID.fullmatch(path.name) and path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)


def require_free_bytes(folder: Path, count: int) -> None:
    """Raise ``DataError`` unless the disk of ``folder`` has room for ``count`` bytes and a gigabyte more."""
    free = shutil.disk_usage(folder).free
    if count < 0 or count + SPARE_BYTES > free:
        raise DataError(
            _("The disk has {free:,} bytes free.").format(free=free),
            _("Expected {count:,} and some room to work.").format(count=max(count, 0) + SPARE_BYTES),
            _("Free some space, or add fewer photos at a time."),
        )
