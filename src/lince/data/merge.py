"""Several datasets as one: images side by side, classes matched by their names and never by their numbers."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED, Classes, Objects, Rejected, Strings
from lince.data.dataset import Dataset
from lince.data.source import Array, ImageSource
from lince.errors import UsageError
from lince.messages import _


def merge(datasets: Sequence[Dataset], groups: Mapping[str, Sequence[str]] | None = None) -> Dataset:
    """Return the images of all ``datasets``, one after the other, with their splits.

    Classes of one name are one class (accents compared as Unicode's NFC); they stand in the order of the first
    dataset, then what each of the others adds. Names of images get the name of their dataset's folder in front.
    ``groups`` are the classes to be made one, as in ``Dataset.merged``. Raise ``UsageError`` when class names differ
    by case alone, or when only some of the datasets mark objects.
    """
    if not datasets:
        raise UsageError(_("There is no dataset to merge."), _("Expected one or more."))
    if len({dataset.objects is None for dataset in datasets}) > 1:
        raise _mixed(datasets)
    whole = datasets[0] if len(datasets) == 1 else _joined(datasets)
    whole = whole.merged(groups) if groups else whole
    if len(datasets) > 1:
        _require_distinct(whole.classes.names)
    return whole


@dataclass(frozen=True)
class JoinedImages:
    """Images of several sources; names start with the word of their source.

    ``owners`` int64 (N,) says which of ``parts`` an image belongs to, ``rows`` int64 (N,) where it stands there.
    """

    parts: tuple[ImageSource, ...]
    words: tuple[str, ...]
    owners: NDArray[np.int64]
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, parts: Sequence[ImageSource], words: Sequence[str]) -> JoinedImages:
        """Return the images of ``parts``, one source after the other."""
        counts = [len(part) for part in parts]
        rows = np.concatenate([np.arange(count, dtype=np.int64) for count in counts])
        return cls(tuple(parts), tuple(words), np.repeat(np.arange(len(parts)), counts), rows)

    @property
    def grey(self) -> bool:
        """Whether all images are known to be grey."""
        return all(part.grey for part in self.parts)

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, index: int) -> str:
        """Return the name in its source, after the word for that."""
        source, row = self._at(index)
        return f"{self.words[int(self.owners[index])]}/{source.name(row)}"

    def path(self, index: int) -> Path | None:
        """Return the file, or ``None`` for an image without one."""
        source, row = self._at(index)
        return source.path(row)

    def read(self, index: int, at_least: tuple[int, int] | None = None) -> Array:
        """Return uint8 RGB (H, W, 3)."""
        source, row = self._at(index)
        return source.read(row, at_least)

    def data(self, index: int) -> bytes:
        """Return the bytes of the image's file; a PNG for an image without one."""
        source, row = self._at(index)
        return source.data(row)

    def key(self, index: int) -> str:
        """Return the 32 hex digits that name the image's content."""
        source, row = self._at(index)
        return source.key(row)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) from the header; zeros when it cannot be read."""
        source, row = self._at(index)
        return source.size(row)

    def select(self, indices: NDArray[Any]) -> JoinedImages:
        """Return the images at ``indices``."""
        return JoinedImages(self.parts, self.words, self.owners[indices], self.rows[indices])

    def _at(self, index: int) -> tuple[ImageSource, int]:
        return self.parts[int(self.owners[index])], int(self.rows[index])


def _joined(datasets: Sequence[Dataset]) -> Dataset:
    words = _words(datasets)
    names = list(dict.fromkeys(_nfc(name) for dataset in datasets for name in dataset.classes.names))
    moved = [_moved(dataset, names) for dataset in datasets]
    objects = [dataset.objects for dataset in moved if dataset.objects is not None]
    sizes = [np.zeros((len(dataset), 2), np.int32) if dataset.sizes is None else dataset.sizes for dataset in moved]
    return Dataset(
        images=JoinedImages.of([dataset.images for dataset in datasets], words),
        classes=Classes(tuple(names)),
        class_ids=np.concatenate([dataset.class_ids for dataset in moved]),
        splits=np.concatenate([dataset.splits for dataset in datasets]),
        rejected=_listed(words, [dataset.rejected for dataset in datasets]),
        root=Path(" + ".join(str(dataset.root) for dataset in datasets)),
        format=" + ".join(dict.fromkeys(dataset.format for dataset in datasets)),
        objects=_one_after_the_other(objects) if objects else None,
        sizes=np.concatenate(sizes),
        repaired=_listed(words, [dataset.repaired for dataset in datasets]),
    )


def _moved(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """Return ``dataset`` with class ids into ``names``."""
    order = np.array([*(names.index(_nfc(name)) for name in dataset.classes.names), UNLABELLED], np.int32)
    objects = dataset.objects
    if objects is not None:
        objects = replace(objects, class_ids=order[objects.class_ids])
    return replace(dataset, classes=Classes(tuple(names)), class_ids=order[dataset.class_ids], objects=objects)


def _one_after_the_other(parts: Sequence[Objects]) -> Objects:
    return Objects(
        starts=_chained([part.starts for part in parts]),
        class_ids=np.concatenate([part.class_ids for part in parts]),
        boxes=np.concatenate([part.boxes for part in parts]),
        flags=np.concatenate([part.flags for part in parts]),
        rings=_chained([part.rings for part in parts]),
        corners=_chained([part.corners for part in parts]),
        points=np.concatenate([part.points for part in parts]),
        masks=Strings.of(text for part in parts for text in part.masks),
    )


def _chained(bounds: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    counts = [np.diff(bound) for bound in bounds]
    return np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)


def _words(datasets: Sequence[Dataset]) -> list[str]:
    """Return a word for each dataset: its folder's name, with a number where several have the same."""
    names = [dataset.root.name or "data" for dataset in datasets]
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{name}-{number}" for number, name in enumerate(names, 1)]


def _listed(words: Sequence[str], parts: Iterable[Sequence[Rejected]]) -> tuple[Rejected, ...]:
    return tuple(
        replace(item, path=f"{word}/{item.path}") for word, part in zip(words, parts, strict=True) for item in part
    )


def _require_distinct(names: Sequence[str]) -> None:
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(name.strip().casefold(), []).append(name)
    doubled = [group for group in alike.values() if len(group) > 1]
    if doubled:
        shown = "; ".join(", ".join(f"'{name}'" for name in group) for group in doubled)
        example = f"--merge '{doubled[0][0]}={','.join(doubled[0])}'"
        raise UsageError(
            _("The datasets have classes whose names differ by case or spaces alone: {names}.").format(names=shown),
            _("Expected one way to write each."),
            _("If they are one class, say so with {option}.").format(option=example),
        )


def _mixed(datasets: Sequence[Dataset]) -> UsageError:
    kinds = {True: _("a class for each image"), False: _("objects marked on images")}
    listed = "\n".join(f"  {dataset.root}: {kinds[dataset.objects is None]}" for dataset in datasets)
    return UsageError(
        _("The datasets hold labels of different kinds:") + "\n" + listed, _("Expected the same kind in all of them.")
    )


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)
