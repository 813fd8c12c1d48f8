"""Collects in which ways label files call images otherwise than they are called, so that each guess is told."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections import Counter

from lince.annotations import RejectedItem
from lince.i18n import _
from lince.storage import scan

_UPLOAD_PREFIX = re.compile(
    r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}[-_]|[0-9a-f]{32}[-_]|[0-9a-f]{8}-)(?=[^.])"
)  # what labelling programs put before the name of a photo
_LEADING_DOTS = re.compile(r"(?:\.\./)+")


class ImageGuesses:
    """The images that were found under another name than the label files give, counted by the way they differ.

    Those of label files that have one image each are counted together, those of others by file.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], tuple[str, str, str]] = {}

    def add(self, kind: str, image_reference: str, name: str, label_file: str, is_sidecar: bool) -> None:
        """Count the image ``name``, called ``image_reference`` by ``label_file``; ``kind`` is of ``compare_names``."""
        key = "" if is_sidecar else label_file, kind
        self._counts[key] += 1
        self._examples.setdefault(key, (image_reference.strip()[:200], name, label_file))

    def pop_notices(self, label_file: str) -> list[RejectedItem]:
        """Return a notice for each way, about ``label_file`` or, where that is empty, the first file with such a name.

        They are about the images added since the last call.
        """
        texts = {
            "case": _("photos found in another spelling: {count}, such as {reference}, which is not there; {name} is"),
            "ending": _(
                "photos found with another extension: {count}, such as {reference}, which is not there; {name} is"
            ),
            "folder": _("photos found in another folder: {count}, such as {reference}, which is not there; {name} is"),
            "upload": _(
                "photos found but for an upload's code: {count}, such as {reference}, which is not there; {name} is"
            ),
        }
        notices = []
        for key, (reference, name, first_file) in self._examples.items():
            reason = texts[key[1]].format(count=self._counts[key], reference=reference, name=name)
            remedy = _("correct the names where another photo is meant")
            notices.append(RejectedItem(label_file or first_file, reason, remedy, kind="assumed"))
        self._counts.clear()
        self._examples.clear()
        return notices


def compare_names(path: str, name: str) -> str:
    """Return in which way the image ``name`` is not the one at ``path``; '' where it is, or lacks its ending alone.

    ``path`` is as ``normalise_path`` gives it. Both are compared in Unicode form NFC. A path without folders, or one
    whose last folders are those of the image or the other way round, is in no other folder. 'other' is another name
    altogether: the image has that of its label file.

    >>> compare_names("IMG_1.JPG", "photos/img_1.JPG"), compare_names("C/a.jpg", "a.jpg"), compare_names("a", "a.jpg")
    ('case', 'folder', '')
    """
    whole = _LEADING_DOTS.sub("", posixpath.normpath(path))
    found, meant = (unicodedata.normalize("NFC", text) for text in (name, whole))
    if not scan.looks_like_image(meant):
        found = posixpath.splitext(found)[0]
    if posixpath.basename(found) == posixpath.basename(meant):
        is_elsewhere = "/" in meant and not (_is_end_of(meant, found) or _is_end_of(found, meant))
        return "folder" if is_elsewhere else ""
    if fold_name(found) == fold_name(meant):
        return "case"
    if fold_name(posixpath.splitext(found)[0]) == fold_name(posixpath.splitext(meant)[0]):
        return "ending"
    stems = (posixpath.basename(posixpath.splitext(text)[0]) for text in (found, meant))
    return "upload" if len({fold_name(strip_upload_code(stem)) for stem in stems}) == 1 else "other"


def fold_name(path: str) -> str:
    """Return the file name in ``path`` without case, and in Unicode form NFC."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", posixpath.basename(path)).casefold())


def loosen_stem(stem: str) -> str:
    """Return a file name without suffix in lower case, its letters alone, and its numbers without leading zeros.

    >>> loosen_stem("IMG_0012 (copy)")
    'img12copy'
    """
    return "".join(re.findall(r"[^\W\d_]+|[1-9]\d*|0(?!\d)", unicodedata.normalize("NFC", stem).casefold()))


def strip_upload_code(file_name: str) -> str:
    """Return a file name without the code that an upload put before it.

    >>> strip_upload_code("0fdb2623-cat.jpg")
    'cat.jpg'
    """
    found = _UPLOAD_PREFIX.match(file_name)
    return file_name[found.end() :] if found else file_name


def _is_end_of(path: str, end: str) -> bool:
    """Whether ``path`` ends with ``end``, which has a folder at least.

    >>> _is_end_of("/home/ana/photos/a.jpg", "photos/a.jpg"), _is_end_of("/home/ana/photos/a.jpg", "a.jpg")
    (True, False)
    """
    return "/" in end and f"/{path}".endswith(f"/{end}")
