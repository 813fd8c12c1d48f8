"""Writes files and folders atomically, computes digests, quotes paths, and finds the cache folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from lince.errors import FileInUseError, UsageError
from lince.i18n import _

_LOCKED_BYTE = 1 << 30  # on Windows a locked byte cannot be read, so it is one that the file does not have
_HELD_ERRORS = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_NO_WAITING = getattr(os, "O_NONBLOCK", 0)
_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # between two attempts to replace a file that another program holds


@contextmanager
def atomic_file(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` to write to; on success it replaces ``path``, else it is deleted.

    A reader never sees a partial file. With ``durable`` the content is flushed to disk before the rename, so that a
    crash of the machine leaves the old file or the new one. Without it there is no wait for the disk, but a crash may
    leave a truncated file: for caches and other files that can be made again. Parent folders are created.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if durable:
            _flush(temporary)
        os.chmod(temporary, 0o666 & ~_current_umask())
        replace_file(temporary, path)
    finally:
        with suppress(FileNotFoundError, PermissionError):  # the error that is on its way says more
            temporary.unlink()


@contextmanager
def resumable_file(path: Path, part: Path) -> Iterator[Path]:
    """Yield a temporary path that starts with the content of ``part``; on failure, what was written is kept there.

    Otherwise as ``atomic_file``; for downloads that can be resumed. While one process writes, a second one starts from
    an empty file, so that the two never mix.
    """
    with atomic_file(path) as temporary:
        with suppress(FileNotFoundError):
            replace_file(part, temporary)
        try:
            yield temporary
        except BaseException:
            with suppress(FileNotFoundError):  # the caller deleted it, because it is damaged
                replace_file(temporary, part)
            raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside ``path`` to fill; on success it becomes ``path``, else it is deleted.

    ``path`` must not exist or be an empty folder; raises ``FileExistsError`` if it has content by then, for example
    because another process was faster. Parent folders are created.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield temporary
        os.chmod(temporary, 0o777 & ~_current_umask())
        with suppress(OSError):  # absent or not empty: the rename fails in the second case
            path.rmdir()
        _rename_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_file(source: Path, target: Path) -> None:
    """Rename the file ``source`` to ``target``, which it replaces, as ``os.replace`` does.

    On Windows a file cannot be replaced while another program holds it open, which virus scanners and programs that
    synchronise folders do for moments: so it is tried again for some seconds. Raises ``FileInUseError`` when it is
    still held then.
    """
    _retry_while_held(lambda: os.replace(source, target), target)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON in UTF-8, atomically; ``ValueError`` for NaN and infinity."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def compute_digest(data: bytes | memoryview) -> str:
    """Return 128 bits of the BLAKE2b hash of ``data`` as 32 hexadecimal digits; it names content in caches."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def compute_sha256(path: Path) -> str:
    """Return the SHA-256 of the file at ``path`` as 64 hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def get_cache_folder() -> Path:
    """Return the folder for files that can be made again: ``LINCE_CACHE``, or ``lince`` in the user's cache folder.

    The user's cache folder is ``LOCALAPPDATA`` or ``XDG_CACHE_HOME``, whichever is set, else ``~/.cache``. The folder
    may not exist yet.
    """
    folder = os.environ.get("LINCE_CACHE")
    if folder:
        return Path(folder)
    base = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lince"


def quote_path(path: str | os.PathLike[str]) -> str:
    """Return ``path`` as it is typed in a command: in quotes where it has spaces or signs that a shell would read.

    The quotes are double on Windows, where ``cmd`` knows no others, and single elsewhere.
    """
    text = os.fspath(path)
    if os.name == "nt":
        return text if re.fullmatch(r"[\w@+=:,./\\-]+", text) else f'"{text}"'
    return text if re.fullmatch(r"[\w@%+=:,./-]+", text) else shlex.quote(text)


def make_install_line(extra: str) -> str:
    """Return the command that adds ``extra`` to the Python that runs, typed in the folder of lince's code.

    It names that Python, so that it works where no environment is activated, too.
    """
    return f'{quote_path(sys.executable)} -m pip install -c constraints.txt -e ".[{extra}]"'


def is_unicode_stream(stream: TextIO) -> bool:
    """Return whether ``stream`` can hold every character; a pipe of Windows (cp1252, cp850) cannot."""
    return (stream.encoding or "utf-8").lower().startswith("utf")


def require_empty_folder(path: Path) -> None:
    """Raise ``UsageError`` unless ``path`` does not exist or is an empty folder."""
    if path.exists() and not (path.is_dir() and next(path.iterdir(), None) is None):
        raise UsageError(
            _("{path} exists already.").format(path=path),
            _("Expected a new or empty output folder."),
            _("Choose another name, or remove it."),
        )


def _retry_while_held(action: Callable[[], None], path: Path) -> None:
    """Do ``action``, again and again while it is not permitted; raise ``FileInUseError`` for ``path`` in the end."""
    for seconds in _RETRY_SECONDS:
        try:
            return action()
        except PermissionError:
            time.sleep(seconds)
    try:
        action()
    except PermissionError as error:
        raise FileInUseError(
            _("{path} cannot be written: {reason}.").format(path=path, reason=error.strerror or error),
            _(
                "Expected a file that no other program has open, such as Excel, a viewer, a program that synchronises "
                "folders (OneDrive, Dropbox) or a virus scanner."
            ),
            _("Close it there, or write to another folder, and repeat. What was there before is unchanged."),
        ) from error


def _rename_folder(temporary: Path, path: Path) -> None:
    """Rename ``temporary`` to ``path``; ``FileExistsError`` on every platform where ``path`` exists.

    Raises ``FileInUseError`` where another program holds one of its files for long.
    """
    try:
        _retry_while_held(lambda: os.rename(temporary, path), path)
    except OSError as error:
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        raise


def _flush(path: Path) -> None:
    """Write the file's content from the operating system's buffers to disk."""
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


def _current_umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def lock_file(handle: int) -> bool:
    """Lock an open file until it is closed; return whether nobody else had locked it. True on a disk without locks."""
    try:
        _lock(handle)
    except OSError as error:
        return error.errno not in _HELD_ERRORS
    return True


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415

        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)
    else:
        import fcntl  # noqa: PLC0415

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def open_plain_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Return the file at ``path`` opened for reading bytes, without a buffer.

    Raise ``OSError`` as ``open`` does, and for pipes, sockets and devices, which would be waited for without end.
    """
    # With the flag the opening of a pipe does not wait for somebody who writes into it; Windows has no such pipes.
    stream = open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | _NO_WAITING))  # noqa: SIM115
    if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        return stream
    stream.close()
    raise OSError(errno.EINVAL, _("it is a pipe, a socket or a device"), os.fspath(path))


def read_first_line(path: Path) -> str:
    """Return the first line of the text file ``path`` without its end; empty where it cannot be read."""
    try:
        with open_plain_file(path) as file:
            return file.readline(1 << 20).decode("utf-8", "replace").rstrip("\r\n")
    except OSError:
        return ""
