"""Resolves what a user gives as input (files, folders, glob patterns, URLs, arrays, ...) to a list of images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as PillowImage

from lince.annotations import Classes, RejectedItem
from lince.errors import DataError
from lince.i18n import _
from lince.inference import patterns
from lince.storage.archives import ARCHIVE_SUFFIXES, open_archive, unpack_archive
from lince.storage.scan import may_hold_pixels, natural_sort_key, walk_files
from lince.storage.tree import FileTree
from lince.storage.url import hide_secrets, is_web_url
from lince.validation import require_choice

TRUTH_MODES = ("auto", "folders", "names", "none")


class BinaryStream(Protocol):
    """A file object opened in binary mode."""

    def read(self) -> bytes:
        """Return the remaining bytes."""
        ...


# One image: path or URL, content of an image file, open file, Pillow image, or pixels (see ``images.array_to_rgb``).
ImageInput = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryStream | PillowImage | NDArray[np.uint8]


@dataclass(frozen=True)
class ImageItem:
    """One image to predict.

    ``path`` opens its file and is empty where it is none; then ``data`` is the image itself (any ``ImageInput``).
    ``name`` identifies it in messages and results and can always be printed and encoded. ``is_other_file`` says that
    the file is one of several, as in a folder, and no photo by its name, such as a licence; its content may still be.
    ``is_own_output`` marks a file or folder that lince wrote among the photos, such as a run: it is named, not opened.
    """

    path: str
    name: str
    data: Any = field(default=None, repr=False, compare=False)
    is_other_file: bool = field(default=False, compare=False)
    is_own_output: bool = field(default=False, compare=False)

    @property
    def source(self) -> ImageInput:
        """The image itself where there is one, else the path of its file."""
        source: ImageInput = self.path if self.data is None else self.data
        return source


def to_image_item(source: ImageInput | ImageItem, name: str = "") -> ImageItem:
    """Return ``source``, which may be one already, as an item. An image that is neither a file nor a URL gets ``name``.

    The name of a URL is without its query and password, which may be keys.
    """
    if isinstance(source, ImageItem):
        return source
    if isinstance(source, str) and is_web_url(source):
        return ImageItem("", hide_secrets(to_printable(source)), source)
    if isinstance(source, (str, os.PathLike)):
        return ImageItem(os.fspath(source), to_printable(os.fspath(source)))
    return ImageItem("", name, source)


def iter_image_items(
    where: ImageInput | Iterable[ImageInput] | list[ImageItem],
) -> Sequence[ImageItem] | Iterator[ImageItem]:
    """Return the images of ``where``: what ``find_images`` takes or returns, or images of any other kind.

    A generator is read lazily, item by item; anything else gives a sequence. Images that are no files are named by
    their number, from ``#1`` on; folders among several inputs are expanded. Raises ``DataError`` when a path does not
    exist or nothing is found.
    """
    if isinstance(where, (str, os.PathLike)):
        return find_images(os.fspath(where))
    if _is_single_image(where):
        return [ImageItem("", "#1", where)]
    items: Any = where
    if isinstance(items, list) and items and all(isinstance(item, ImageItem) for item in items):
        return items
    if isinstance(items, Sequence) and all(isinstance(item, (str, os.PathLike)) for item in items):
        return find_images([os.fspath(item) for item in items])
    return list(_iter_items(items)) if isinstance(items, Sequence) else _iter_items(items)


def is_single_source(source: object) -> TypeGuard[ImageInput]:
    """Return whether ``source`` is one image; a folder, an archive, a pattern and a list or generator are several.

    A path where nothing is counts as one image, which will be missed, unless it is a pattern.
    """
    if not isinstance(source, (str, os.PathLike)):
        return _is_single_image(source) or not isinstance(source, Iterable)
    path = os.fspath(source)
    if is_web_url(path) or not os.path.exists(path):
        return is_web_url(path) or not patterns.is_pattern(path)
    return not os.path.isdir(path) and not path.lower().endswith(ARCHIVE_SUFFIXES)


def find_images(sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[ImageItem]:
    """Return the files of ``sources`` (files, folders, patterns such as ``*.jpg``, URLs), without duplicates.

    The sources keep their order; the files within one are in natural order ("photo2" before "photo10"). Folders are
    searched recursively, links followed, without hidden and system files, as in datasets; so are archives. Any other
    file counts, whatever its suffix. The files of a
    single folder are named relative to it, others by the path given. What lince wrote in a folder, such as a run, comes
    last, marked as its output. Raises ``DataError`` when a source does not exist
    or all of them are empty.
    """
    paths = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    is_single = len(paths) == 1
    items = [item for path in paths for item in expand_source(os.fspath(path), is_single)]
    if not items:
        raise DataError(
            _("There is no photo in {sources}.").format(
                sources=", ".join(to_printable(os.fspath(path)) for path in paths)
            ),
            _("Expected photos, folders of photos, or patterns such as '*.jpg'."),
        )
    return list({str(item.source): item for item in items}.values())


def reject_own_output(item: ImageItem) -> RejectedItem | None:
    """Return why what lince wrote among the photos is not read; ``None`` for any other item."""
    reason, remedy = _("written by lince, so it is no photo of yours"), _("name it to predict it")
    return RejectedItem(item.name, reason, remedy, kind="own-output") if item.is_own_output else None


def to_printable(name: str) -> str:
    """Return ``name`` with undecodable bytes (surrogates) escaped as ``\\xe9``, so that it can be encoded as UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def infer_true_classes(items: Sequence[ImageItem], classes: Classes, mode: str = "auto") -> list[int | None]:
    """Return the true class id of each item by its folder or file name, ``None`` where it is unknown.

    ``mode`` is ``folders`` (the parent folder is named like a class), ``names`` (the file name starts with the class
    name, as in ``Abyssinian_12.jpg``; the longest match wins), ``none``, or ``auto``: as ``folders`` if that gives
    every item a class but for files that are no photos by their names, else as ``none``. Raises ``UsageError`` for
    another mode.
    """
    require_choice("--labels-from", mode, TRUTH_MODES)
    if mode == "names":
        return [_class_from_file_name(item, classes) for item in items]
    class_ids = [_class_from_folder(item, classes) for item in items]
    photo_ids = [
        class_id
        for item, class_id in zip(items, class_ids, strict=True)
        if not (item.is_other_file or item.is_own_output)
    ]
    if mode == "none" or (mode == "auto" and (None in photo_ids or not photo_ids)):
        return [None] * len(items)
    return class_ids


def resolve_truth_mode(items: Iterable[ImageItem], classes: Classes, mode: str) -> str:
    """Return the mode for ``infer_true_classes`` with ``auto`` resolved over all ``items``, to use batch by batch.

    The items of a generator cannot be looked at in advance: for them ``auto`` is ``none``.
    """
    if require_choice("--labels-from", mode, TRUTH_MODES) != "auto":
        return mode
    is_known = isinstance(items, Sequence) and any(one is not None for one in infer_true_classes(items, classes))
    return "folders" if is_known else "none"


def _is_single_image(source: object) -> bool:
    """Return whether ``source`` is one image rather than several; an array of 4 dimensions is a batch."""
    is_array = isinstance(source, np.ndarray) and source.ndim <= 3
    return is_array or isinstance(source, (bytes, bytearray, memoryview, PillowImage)) or hasattr(source, "read")


def _iter_items(inputs: Iterable[ImageInput]) -> Iterator[ImageItem]:
    for number, source in enumerate(inputs, 1):
        if isinstance(source, (str, os.PathLike)) and os.path.isdir(source):
            yield from expand_source(os.fspath(source), is_single=False)
        else:
            yield to_image_item(source, f"#{number}")


def expand_source(source: str, is_single: bool) -> list[ImageItem]:
    """Return the images of one path, pattern or URL; a file's own name is tried before it is read as a pattern."""
    if is_web_url(source):
        return [to_image_item(source)]
    if os.path.isdir(source):
        own: list[str] = []
        paths = sorted((os.path.join(source, name) for name in walk_files(Path(source), own)), key=natural_sort_key)
        own_paths = [os.path.join(source, name) for name in own]
        names = (_display_name(os.path.relpath(path, source) if is_single else path) for path in [*paths, *own_paths])
        items = [_make_listed_item(path, name) for path, name in zip([*paths, *own_paths], names, strict=True)]
        return [*items[: len(paths)], *(replace(item, is_own_output=True) for item in items[len(paths) :])]
    if os.path.isfile(source):
        is_named_so = source.lower().endswith(ARCHIVE_SUFFIXES) and os.access(source, os.R_OK)
        archive = open_archive(Path(source)) if is_named_so else None
        if archive is not None:
            return _list_archived_images(archive, source, is_single)
        item = ImageItem(source, _display_name(source))
        return [item if is_single else _make_listed_item(source, item.name)]
    if os.path.exists(source):
        raise DataError(
            _("{path} is a pipe, a socket or a device.").format(path=to_printable(source)),
            _("Expected a photo, a folder of photos, or a pattern such as '*.jpg'."),
            _("Save what it gives as a file, and name that."),
        )
    if not patterns.is_pattern(source):
        raise DataError(
            _("There is nothing at {path}.").format(path=to_printable(source)),
            _("Expected a photo, a folder of photos, or a pattern such as '*.jpg'."),
            _("Check the spelling, and the folder that you are in: {folder}.").format(folder=to_printable(os.getcwd())),
        )
    matches = patterns.expand_pattern(source)
    usable = [match for match in matches if os.path.isdir(match) or os.path.isfile(match)]
    return [item for match in usable for item in expand_source(match, is_single=False)]


def _list_archived_images(archive: FileTree, source: str, is_single: bool) -> list[ImageItem]:
    """Return the files of an archive, unpacked for as long as the program runs, named by their place in it."""
    folder = unpack_archive(archive)
    names = sorted(archive.names, key=natural_sort_key)
    return [
        _make_listed_item(
            os.path.join(folder, name), to_printable(name if is_single else f"{_display_name(source)}/{name}")
        )
        for name in names
    ]


def _make_listed_item(path: str, name: str) -> ImageItem:
    """Return a file that was found in a folder or an archive, or is one of several."""
    return ImageItem(path, name, is_other_file=not may_hold_pixels(path))


def _display_name(path: str) -> str:
    return to_printable(PurePath(path).as_posix())


def _class_from_folder(item: ImageItem, classes: Classes) -> int | None:
    if not item.path:
        return None
    folder = to_printable(PurePath(os.path.abspath(item.path)).parent.name)
    return classes.names.index(folder) if folder in classes.names else None


def _class_from_file_name(item: ImageItem, classes: Classes) -> int | None:
    """Return the class with the longest name that the file name starts with, not followed by a letter."""
    stem = PurePath(item.path).stem
    matches = [name for name in classes.names if re.match(re.escape(name) + r"(?![^\W\d_])", stem)]
    return classes.names.index(max(matches, key=len)) if matches else None
