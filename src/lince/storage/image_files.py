"""Decides which files of a tree are images: by suffix, and by content where reading is cheap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lince import images
from lince.annotations import RejectedItem, StringColumn
from lince.errors import DataError
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.storage.scan import IMAGE_SUFFIXES, looks_like_image, reject_non_image
from lince.storage.tree import FileTree

MAX_PROBED_FILES = 200_000  # with more files, suffixes are trusted; broken images show when they are read
_BATCH = 4096  # files per progress step
_PROBE_COUNT = 100  # files opened in a folder without image suffixes
_MAX_SUFFIX_LENGTH = max(map(len, IMAGE_SUFFIXES))


def list_images(tree: FileTree, folder: str) -> list[str]:
    """Return the names of the image files directly in ``folder``.

    The suffix decides. Where no file has the suffix of an image, the first hundred files are opened
    and recognised by their first bytes; remote files are not, since each would cost a request.
    """
    files = tree.listing.list_files(folder)
    image_names = [name for name in files if looks_like_image(name)]
    if image_names or tree.is_remote:
        return image_names
    prefix = f"{folder}/" if folder else ""
    return [name for name in files[:_PROBE_COUNT] if _check_image_file(tree, prefix + name) is None]


def contains_images(tree: FileTree, folder: str) -> bool:
    """Whether ``folder`` or a folder below it has images, found in the same way as by ``list_images``."""
    return any(map(looks_like_image, tree.listing.iterate_files(folder))) or bool(list_images(tree, folder))


def find_non_images(tree: FileTree, names: StringColumn, progress: Progress = SILENT) -> dict[int, RejectedItem]:
    """Return the rejections of the files that are not images, by index into ``names``.

    The first bytes decide: an image with an unknown suffix is accepted, a ``.jpg`` that holds
    something else, an empty file and one that cannot be opened are rejected. With more than
    ``MAX_PROBED_FILES`` names, or on a remote tree, only the suffixes are checked.
    """
    if len(names) > MAX_PROBED_FILES or tree.is_remote:
        return {
            i: reject_non_image(names[i]) for i in _rows_without_image_suffix(names) if not looks_like_image(names[i])
        }
    with progress.open_stage(_("Scanning the files"), len(names)) as stage, ThreadPoolExecutor() as pool:
        rejected: dict[int, RejectedItem] = {}
        for start in range(0, len(names), _BATCH):
            batch = list(names.take(np.s_[start : start + _BATCH]))
            checks = pool.map(lambda name: _check_image_file(tree, name), batch, chunksize=64)
            rejected.update({start + i: rejection for i, rejection in enumerate(checks) if rejection})
            stage.advance(len(batch))
    return rejected


def _rows_without_image_suffix(names: StringColumn) -> list[int]:
    """Return the indices of the names without an image suffix.

    This works on the bytes of the column instead of decoding each name, since there may be millions. Only
    ASCII letters are folded to lower case; the caller checks the result with ``looks_like_image``.
    """
    data = np.frombuffer(names.blob, np.uint8)
    rows: list[int] = []
    for start in range(0, len(names), _BATCH):
        starts, ends = names.starts[start : start + _BATCH], names.ends[start : start + _BATCH]
        tails = data[np.maximum(ends[:, None] - np.arange(_MAX_SUFFIX_LENGTH, 0, -1), 0)]
        tails = np.where((tails >= ord("A")) & (tails <= ord("Z")), tails | 0x20, tails)
        is_image = np.zeros(len(ends), bool)
        for suffix in IMAGE_SUFFIXES:
            matches = (tails[:, -len(suffix) :] == np.frombuffer(suffix.encode(), np.uint8)).all(axis=1)
            is_image |= matches & (ends - starts >= len(suffix))
        rows += (np.flatnonzero(~is_image) + start).tolist()
    return rows


def _check_image_file(tree: FileTree, name: str) -> RejectedItem | None:
    """Return why the file ``name`` is not a usable image, ``None`` when it is one."""
    try:
        head = tree.head(name, images.HEADER_BYTES)
    except DataError as error:
        return RejectedItem(name, _("cannot be opened: {error}").format(error=_error_text(error)), _("copy it again"))
    if not head:
        return RejectedItem(name, _("the file is empty"), _("copy it again"))
    if images.detect_format(head):
        return None
    if looks_like_image(name):
        return RejectedItem(
            name, _("not an image, despite its extension"), _("copy it again, or save it as JPEG or PNG")
        )
    return reject_non_image(name)


def _error_text(error: DataError) -> str:
    """Return the operating system's reason behind ``error``, else its own message without the full stop."""
    cause = error.__cause__
    return cause.strerror if isinstance(cause, OSError) and cause.strerror else error.problem.rstrip(".")
