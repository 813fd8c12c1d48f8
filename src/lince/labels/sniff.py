"""Which files of a tree are images: by what they are called, and by their first bytes where that is cheap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lince import images
from lince.annotations import Rejected, Strings
from lince.errors import DataError
from lince.labels.scan import ENDINGS, looks_like_image, not_an_image
from lince.labels.tree import Tree
from lince.messages import _
from lince.progress import SILENT, Progress

AT_MOST = 200_000  # above this, endings are trusted, and reading finds the rest
_BATCH = 4096
_LOOK_INTO = 100
_LONGEST = max(map(len, ENDINGS))


def images_in(tree: Tree, folder: str) -> list[str]:
    """Return the names of the image files in ``folder`` itself.

    Endings decide; where no file ends as an image, the first hundred files are looked into.
    """
    files = tree.listing.files(folder)
    found = [name for name in files if looks_like_image(name)]
    if found or tree.far:
        return found
    prefix = f"{folder}/" if folder else ""
    return [name for name in files[:_LOOK_INTO] if _verdict(tree, prefix + name) is None]


def holds_images(tree: Tree, folder: str) -> bool:
    """Whether ``folder`` or a folder below it holds an image, as far as ``images_in`` looks."""
    return any(map(looks_like_image, tree.listing.below(folder))) or bool(images_in(tree, folder))


def rejections(tree: Tree, names: Strings, progress: Progress = SILENT) -> dict[int, Rejected]:
    """Return, by index into ``names``, the files that are not images: by their first bytes.

    A file of an unknown ending that holds an image is one; a file called ``.jpg`` that holds something else is not.
    Of very many files, or of those far away, only the endings are looked at.
    """
    if len(names) > AT_MOST or tree.far:
        return {i: not_an_image(names[i]) for i in _other_endings(names) if not looks_like_image(names[i])}
    with progress.stage(_("Looking at the files"), len(names)) as stage, ThreadPoolExecutor() as pool:
        found: dict[int, Rejected] = {}
        for start in range(0, len(names), _BATCH):
            batch = list(names.take(np.s_[start : start + _BATCH]))
            verdicts = pool.map(lambda name: _verdict(tree, name), batch, chunksize=64)
            found.update({start + i: verdict for i, verdict in enumerate(verdicts) if verdict})
            stage.advance(len(batch))
    return found


def _other_endings(names: Strings) -> list[int]:
    """Return the rows of the names that do not end as an image's, found in their bytes: a million in a moment."""
    data = np.frombuffer(names.blob, np.uint8)
    other: list[int] = []
    for start in range(0, len(names), _BATCH):
        starts, ends = names.starts[start : start + _BATCH], names.ends[start : start + _BATCH]
        tails = data[np.maximum(ends[:, None] - np.arange(_LONGEST, 0, -1), 0)]
        tails = np.where((tails >= ord("A")) & (tails <= ord("Z")), tails | 0x20, tails)
        found = np.zeros(len(ends), bool)
        for ending in ENDINGS:
            same = (tails[:, -len(ending) :] == np.frombuffer(ending.encode(), np.uint8)).all(axis=1)
            found |= same & (ends - starts >= len(ending))
        other += (np.flatnonzero(~found) + start).tolist()
    return other


def _verdict(tree: Tree, name: str) -> Rejected | None:
    try:
        head = tree.head(name, images.HEAD)
    except DataError as error:
        return Rejected(name, _("cannot be opened: {error}").format(error=_why(error)), _("copy it again"))
    if not head:
        return Rejected(name, _("the file is empty"), _("copy it again"))
    if images.kind(head):
        return None
    if looks_like_image(name):
        return Rejected(name, _("not an image, in spite of its ending"), _("copy it again, or save it as JPEG or PNG"))
    return not_an_image(name)


def _why(error: DataError) -> str:
    cause = error.__cause__
    return cause.strerror if isinstance(cause, OSError) and cause.strerror else error.found.rstrip(".")
