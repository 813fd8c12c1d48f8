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

from lince.annotations import UNLABELLED, Classes, ObjectTable, RejectedItem, StringColumn
from lince.datasets.dataset import Dataset
from lince.datasets.image_source import Array, ImageSource
from lince.errors import UsageError
from lince.i18n import _


def merge_datasets(datasets: Sequence[Dataset], groups: Mapping[str, Sequence[str]] | None = None) -> Dataset:
    """Return the images of all ``datasets``, one after the other, with their splits.

    Classes of one name are one class (accents compared as Unicode's NFC); they stand in the order of the first
    dataset, then what each of the others adds. Names of images get the name of their dataset's folder in front.
    ``groups`` are the classes to be made one, as in ``Dataset.merged``. Raise ``UsageError`` when class names differ
    by case alone, or when only some of the datasets mark objects.
    """
    if not datasets:
        raise UsageError(_("There is no dataset to merge."), _("Expected one or more."))
    if len({dataset.objects is None for dataset in datasets}) > 1:
        raise _mixed_kinds_error(datasets)
    whole = datasets[0] if len(datasets) == 1 else _concatenate_datasets(datasets)
    whole = whole.merge_classes(groups) if groups else whole
    if len(datasets) > 1:
        _require_distinct_classes(whole.classes.names)
    return whole


@dataclass(frozen=True)
class ConcatenatedImages:
    """Images of several sources; names start with the word of their source.

    ``owners`` int64 (N,) says which of ``parts`` an image belongs to, ``rows`` int64 (N,) where it stands there.
    """

    sources: tuple[ImageSource, ...]
    prefixes: tuple[str, ...]
    source_ids: NDArray[np.int64]
    rows: NDArray[np.int64]

    @classmethod
    def from_sources(cls, parts: Sequence[ImageSource], words: Sequence[str]) -> ConcatenatedImages:
        """Return the images of ``parts``, one source after the other."""
        counts = [len(part) for part in parts]
        rows = np.concatenate([np.arange(count, dtype=np.int64) for count in counts])
        return cls(tuple(parts), tuple(words), np.repeat(np.arange(len(parts)), counts), rows)

    @property
    def grey(self) -> bool:
        """Whether all images are known to be grey."""
        return all(part.grey for part in self.sources)

    def __len__(self) -> int:
        return len(self.rows)

    def get_name(self, index: int) -> str:
        """Return the name in its source, after the word for that."""
        source, row = self._locate(index)
        return f"{self.prefixes[int(self.source_ids[index])]}/{source.get_name(row)}"

    def get_path(self, index: int) -> Path | None:
        """Return the file, or ``None`` for an image without one."""
        source, row = self._locate(index)
        return source.get_path(row)

    def read_image(self, index: int, at_least: tuple[int, int] | None = None) -> Array:
        """Return uint8 RGB (H, W, 3)."""
        source, row = self._locate(index)
        return source.read_image(row, at_least)

    def read_bytes(self, index: int) -> bytes:
        """Return the bytes of the image's file; a PNG for an image without one."""
        source, row = self._locate(index)
        return source.read_bytes(row)

    def compute_key(self, index: int) -> str:
        """Return the 32 hex digits that name the image's content."""
        source, row = self._locate(index)
        return source.compute_key(row)

    def read_size(self, index: int) -> tuple[int, int]:
        """Return (height, width) from the header; zeros when it cannot be read."""
        source, row = self._locate(index)
        return source.read_size(row)

    def select(self, indices: NDArray[Any]) -> ConcatenatedImages:
        """Return the images at ``indices``."""
        return ConcatenatedImages(self.sources, self.prefixes, self.source_ids[indices], self.rows[indices])

    def _locate(self, index: int) -> tuple[ImageSource, int]:
        return self.sources[int(self.source_ids[index])], int(self.rows[index])


def _concatenate_datasets(datasets: Sequence[Dataset]) -> Dataset:
    words = _dataset_prefixes(datasets)
    names = list(dict.fromkeys(_normalise_unicode(name) for dataset in datasets for name in dataset.classes.names))
    moved = [_remap_classes(dataset, names) for dataset in datasets]
    objects = [dataset.objects for dataset in moved if dataset.objects is not None]
    sizes = [np.zeros((len(dataset), 2), np.int32) if dataset.sizes is None else dataset.sizes for dataset in moved]
    return Dataset(
        images=ConcatenatedImages.from_sources([dataset.images for dataset in datasets], words),
        classes=Classes(tuple(names)),
        class_ids=np.concatenate([dataset.class_ids for dataset in moved]),
        splits=np.concatenate([dataset.splits for dataset in datasets]),
        rejected=_prefix_rejected(words, [dataset.rejected for dataset in datasets]),
        root=Path(" + ".join(str(dataset.root) for dataset in datasets)),
        format=" + ".join(dict.fromkeys(dataset.format for dataset in datasets)),
        objects=_concatenate_objects(objects) if objects else None,
        sizes=np.concatenate(sizes),
        repaired=_prefix_rejected(words, [dataset.repaired for dataset in datasets]),
    )


def _remap_classes(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """Return ``dataset`` with class ids into ``names``."""
    order = np.array([*(names.index(_normalise_unicode(name)) for name in dataset.classes.names), UNLABELLED], np.int32)
    objects = dataset.objects
    if objects is not None:
        objects = replace(objects, class_ids=order[objects.class_ids])
    return replace(dataset, classes=Classes(tuple(names)), class_ids=order[dataset.class_ids], objects=objects)


def _concatenate_objects(parts: Sequence[ObjectTable]) -> ObjectTable:
    return ObjectTable(
        starts=_concatenate_offsets([part.starts for part in parts]),
        class_ids=np.concatenate([part.class_ids for part in parts]),
        boxes=np.concatenate([part.boxes for part in parts]),
        flags=np.concatenate([part.flags for part in parts]),
        rings=_concatenate_offsets([part.rings for part in parts]),
        corners=_concatenate_offsets([part.corners for part in parts]),
        points=np.concatenate([part.points for part in parts]),
        masks=StringColumn.from_strings(text for part in parts for text in part.masks),
    )


def _concatenate_offsets(bounds: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    counts = [np.diff(bound) for bound in bounds]
    return np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)


def _dataset_prefixes(datasets: Sequence[Dataset]) -> list[str]:
    """Return a word for each dataset: its folder's name, with a number where several have the same."""
    names = [dataset.root.name or "data" for dataset in datasets]
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{name}-{number}" for number, name in enumerate(names, 1)]


def _prefix_rejected(words: Sequence[str], parts: Iterable[Sequence[RejectedItem]]) -> tuple[RejectedItem, ...]:
    return tuple(
        replace(item, path=f"{word}/{item.path}") for word, part in zip(words, parts, strict=True) for item in part
    )


def _require_distinct_classes(names: Sequence[str]) -> None:
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


def _mixed_kinds_error(datasets: Sequence[Dataset]) -> UsageError:
    kinds = {True: _("a class for each image"), False: _("objects marked on images")}
    listed = "\n".join(f"  {dataset.root}: {kinds[dataset.objects is None]}" for dataset in datasets)
    return UsageError(
        _("The datasets hold labels of different kinds:") + "\n" + listed, _("Expected the same kind in all of them.")
    )


def _normalise_unicode(name: str) -> str:
    return unicodedata.normalize("NFC", name)
