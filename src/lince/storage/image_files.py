"""Which files of a tree are images: by what they are called, and by their first bytes where that is cheap."""

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

MAX_PROBED_FILES = 200_000  # above this, endings are trusted, and reading finds the rest
_BATCH = 4096
_PROBE_COUNT = 100
_MAX_SUFFIX_LENGTH = max(map(len, IMAGE_SUFFIXES))


def list_images(tree: FileTree, folder: str) -> list[str]:
    """Return the names of the image files in ``folder`` itself.

    Endings decide; where no file ends as an image, the first hundred files are looked into.
    """
    files = tree.listing.list_files(folder)
    found = [name for name in files if looks_like_image(name)]
    if found or tree.is_remote:
        return found
    prefix = f"{folder}/" if folder else ""
    return [name for name in files[:_PROBE_COUNT] if _check_image_file(tree, prefix + name) is None]


def contains_images(tree: FileTree, folder: str) -> bool:
    """Whether ``folder`` or a folder below it holds an image, as far as ``images_in`` looks."""
    return any(map(looks_like_image, tree.listing.iterate_files(folder))) or bool(list_images(tree, folder))


def find_non_images(tree: FileTree, names: StringColumn, progress: Progress = SILENT) -> dict[int, RejectedItem]:
    """Return, by index into ``names``, the files that are not images: by their first bytes.

    A file of an unknown ending that holds an image is one; a file called ``.jpg`` that holds something else is not.
    Of very many files, or of those far away, only the endings are looked at.
    """
    if len(names) > MAX_PROBED_FILES or tree.is_remote:
        return {
            i: reject_non_image(names[i]) for i in _rows_without_image_suffix(names) if not looks_like_image(names[i])
        }
    with progress.open_stage(_("Looking at the files"), len(names)) as stage, ThreadPoolExecutor() as pool:
        found: dict[int, RejectedItem] = {}
        for start in range(0, len(names), _BATCH):
            batch = list(names.take(np.s_[start : start + _BATCH]))
            verdicts = pool.map(lambda name: _check_image_file(tree, name), batch, chunksize=64)
            found.update({start + i: verdict for i, verdict in enumerate(verdicts) if verdict})
            stage.advance(len(batch))
    return found


def _rows_without_image_suffix(names: StringColumn) -> list[int]:
    """Return the rows of the names that do not end as an image's, found in their bytes: a million in a moment."""
    data = np.frombuffer(names.blob, np.uint8)
    other: list[int] = []
    for start in range(0, len(names), _BATCH):
        starts, ends = names.starts[start : start + _BATCH], names.ends[start : start + _BATCH]
        tails = data[np.maximum(ends[:, None] - np.arange(_MAX_SUFFIX_LENGTH, 0, -1), 0)]
        tails = np.where((tails >= ord("A")) & (tails <= ord("Z")), tails | 0x20, tails)
        found = np.zeros(len(ends), bool)
        for ending in IMAGE_SUFFIXES:
            same = (tails[:, -len(ending) :] == np.frombuffer(ending.encode(), np.uint8)).all(axis=1)
            found |= same & (ends - starts >= len(ending))
        other += (np.flatnonzero(~found) + start).tolist()
    return other


def _check_image_file(tree: FileTree, name: str) -> RejectedItem | None:
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
            name, _("not an image, in spite of its ending"), _("copy it again, or save it as JPEG or PNG")
        )
    return reject_non_image(name)


def _error_text(error: DataError) -> str:
    cause = error.__cause__
    return cause.strerror if isinstance(cause, OSError) and cause.strerror else error.problem.rstrip(".")
