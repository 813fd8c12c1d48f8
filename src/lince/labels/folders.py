"""Class folders: ``daisy/*.jpg, tulips/*.jpg``, or the same below ``train``, ``val`` and ``test``."""

from __future__ import annotations

from pathlib import Path

from lince.annotations import Rejected
from lince.errors import AmbiguousError
from lince.labels import scan
from lince.labels.columns import Columns, class_order, shorten
from lince.labels.format import Format, Holds
from lince.labels.table import SPLIT_WORDS, UNASSIGNED, Options, Table
from lince.labels.tree import Place
from lince.messages import _
from lince.progress import SILENT, Progress

NAME = "folders"
_COMPANIONS = {"annotations", "labels", "masks", "segmentations", "imagesets", "data", "training"}


def detect(place: Place) -> str | None:
    """Return what speaks for class folders at ``path``; ``None`` when there are not at least two of them."""
    path = place.path
    if not place.local or not path.is_dir():
        return None
    names = class_order({name for folder, _split in _levels(path) for name in _with_images(folder)})
    if len(names) < 2:
        return None
    return _("{count} class folders: {names}").format(count=len(names), names=shorten(names))


def read(place: Place, options: Options, progress: Progress = SILENT) -> Table:
    """Read class folders; every file in or below a class folder is an image of that class or is rejected."""
    path, columns = place.path, Columns()
    for folder, split in _levels(path):
        prefix = "" if folder == path else f"{folder.name}/"
        for name in filter(scan.looks_like_image, scan.files(folder)):
            columns.reject(Rejected(prefix + name, _("lies outside of any class folder"), _("move it into one")))
        for name in scan.folders(folder):
            below = scan.files_below(folder / name)
            if not scan.holds_images(folder / name):
                columns.reject(Rejected(prefix + name, _("a folder without images"), _("fill it or move it")))
            else:
                columns.add((f"{prefix}{name}/{file}" for file in below), name, split)
    return columns.table(path, NAME, progress)


def _levels(path: Path) -> list[tuple[Path, int]]:
    """Return (folder that holds class folders, split): the root itself, or each of its split folders."""
    found = scan.folders(path)
    splits = [name for name in found if name.lower() in SPLIT_WORDS and _with_images(path / name)]
    if not splits:
        return [(path, UNASSIGNED)]
    others = [name for name in found if name not in splits and scan.holds_images(path / name)]
    if others:
        raise AmbiguousError(
            _("{path} holds split folders ({splits}) beside folders of other names ({others}).").format(
                path=path, splits=", ".join(splits), others=shorten(others)
            ),
            _("Expected either class folders, or only train, val and test with class folders inside."),
            _("Move the others elsewhere, or name one of the split folders as the data."),
        )
    return [(path / name, SPLIT_WORDS[name.lower()]) for name in splits]


def _with_images(path: Path) -> list[str]:
    found = [name for name in scan.folders(path) if scan.holds_images(path / name)]
    # ``images`` beside ``annotations`` is no class: what is drawn on photos is often kept as pictures too.
    photos_apart = "images" in found and all(name == "images" or name.lower() in _COMPANIONS for name in found)
    return [] if photos_apart else found


FORMAT = Format(NAME, detect, read, Holds.LABELS | Holds.SPLITS)
