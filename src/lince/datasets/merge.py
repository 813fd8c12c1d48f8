"""Merges several datasets into one; classes are matched by name."""

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
from lince.label_sets import LabelSets


def merge_datasets(datasets: Sequence[Dataset], groups: Mapping[str, Sequence[str]] | None = None) -> Dataset:
    """Return a dataset with the images of all ``datasets``, one after the other, with their splits.

    Classes with the same name (after Unicode NFC normalisation) become one class; their order is that of the first
    dataset, followed by the additional classes of the others. Image names get the folder name of their dataset as a
    prefix. ``groups`` are classes to merge, as in ``Dataset.merge_classes``.

    Raise ``UsageError`` when there is no dataset, when class names differ only in case or surrounding spaces, or when
    only some of the datasets have objects.
    """
    if not datasets:
        raise UsageError(_("There is no dataset to merge."), _("Expected one or more."))
    if len({dataset.objects is None for dataset in datasets}) > 1:
        raise _mixed_kinds_error(datasets)
    merged = datasets[0] if len(datasets) == 1 else _concatenate_datasets(datasets)
    merged = merged.merge_classes(groups) if groups else merged
    if len(datasets) > 1:
        _require_distinct_classes(merged.classes.names)
    return merged


@dataclass(frozen=True)
class ConcatenatedImages:
    """The images of several sources, one after the other or in any selection.

    ``source_ids`` int64 (N,) says which of ``sources`` each image comes from, ``rows`` int64 (N,) where it is in that
    source. Names start with the prefix of their source.
    """

    sources: tuple[ImageSource, ...]
    prefixes: tuple[str, ...]
    source_ids: NDArray[np.int64]
    rows: NDArray[np.int64]

    @classmethod
    def from_sources(cls, sources: Sequence[ImageSource], prefixes: Sequence[str]) -> ConcatenatedImages:
        """Return the images of all ``sources``, one source after the other."""
        counts = [len(source) for source in sources]
        rows = np.concatenate([np.arange(count, dtype=np.int64) for count in counts])
        return cls(tuple(sources), tuple(prefixes), np.repeat(np.arange(len(sources)), counts), rows)

    @property
    def grey(self) -> bool:
        """Whether all images are known to be grey."""
        return all(source.grey for source in self.sources)

    def __len__(self) -> int:
        return len(self.rows)

    def get_name(self, index: int) -> str:
        """Return the prefix of the source, '/', and the name in the source."""
        source, row = self._locate(index)
        return f"{self.prefixes[int(self.source_ids[index])]}/{source.get_name(row)}"

    def get_path(self, index: int) -> Path | None:
        """Return the path of the file; ``None`` for an image without a file of its own."""
        source, row = self._locate(index)
        return source.get_path(row)

    def read_image(self, index: int, min_size: tuple[int, int] | None = None) -> Array:
        """Return the upright image, uint8 RGB (H, W, 3). Raise ``ImageError``."""
        source, row = self._locate(index)
        return source.read_image(row, min_size)

    def read_bytes(self, index: int) -> bytes:
        """Return the content of the image's file, or a PNG for an image without one. Raise ``ImageError``."""
        source, row = self._locate(index)
        return source.read_bytes(row)

    def compute_key(self, index: int) -> str:
        """Return 32 hex digits that identify the content of the image. Raise ``ImageError``."""
        source, row = self._locate(index)
        return source.compute_key(row)

    def read_size(self, index: int) -> tuple[int, int]:
        """Return (height, width) from the header; (0, 0) when it cannot be read."""
        source, row = self._locate(index)
        return source.read_size(row)

    def select(self, indices: NDArray[Any]) -> ConcatenatedImages:
        """Return the images at ``indices``."""
        return ConcatenatedImages(self.sources, self.prefixes, self.source_ids[indices], self.rows[indices])

    def _locate(self, index: int) -> tuple[ImageSource, int]:
        """Return the source of an image, and its index there."""
        return self.sources[int(self.source_ids[index])], int(self.rows[index])


def _concatenate_datasets(datasets: Sequence[Dataset]) -> Dataset:
    """Return the datasets as one, with prefixes before all names."""
    prefixes = _dataset_prefixes(datasets)
    names = list(dict.fromkeys(_normalise_unicode(name) for dataset in datasets for name in dataset.classes.names))
    remapped = [_remap_classes(dataset, names) for dataset in datasets]
    objects = [dataset.objects for dataset in remapped if dataset.objects is not None]
    sizes = [np.zeros((len(dataset), 2), np.int32) if dataset.sizes is None else dataset.sizes for dataset in remapped]
    return Dataset(
        images=ConcatenatedImages.from_sources([dataset.images for dataset in datasets], prefixes),
        classes=Classes(tuple(names)),
        class_ids=np.concatenate([dataset.class_ids for dataset in remapped]),
        splits=np.concatenate([dataset.splits for dataset in datasets]),
        rejected=_prefix_rejected(prefixes, [dataset.rejected for dataset in datasets]),
        root=Path(" + ".join(str(dataset.root) for dataset in datasets)),
        format=" + ".join(dict.fromkeys(dataset.format for dataset in datasets)),
        objects=_concatenate_objects(objects) if objects else None,
        sizes=np.concatenate(sizes),
        repaired=_prefix_rejected(prefixes, [dataset.repaired for dataset in datasets]),
        label_sets=_concatenate_label_sets(remapped),
        void_masks=_concatenate_void_masks(datasets),
    )


def _concatenate_void_masks(datasets: Sequence[Dataset]) -> StringColumn | None:
    """Return the pixels without a label of all images; ``None`` where no dataset is of mask images."""
    if not any(dataset.is_pixelwise for dataset in datasets):
        return None
    return StringColumn.from_strings(text for one in datasets for text in one.void_masks or [""] * len(one))


def _remap_classes(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """Return ``dataset`` with class ids that index ``names``."""
    new_ids = np.array(
        [*(names.index(_normalise_unicode(name)) for name in dataset.classes.names), UNLABELLED], np.int32
    )
    return dataset.renumber_classes(Classes(tuple(names)), new_ids)


def _concatenate_label_sets(datasets: Sequence[Dataset]) -> LabelSets | None:
    """Return the classes of all images, one dataset after the other; ``None`` where no dataset has several an image."""
    if all(dataset.label_sets is None for dataset in datasets):
        return None
    return LabelSets.concatenate(
        [dataset.label_sets or LabelSets.from_class_ids(dataset.class_ids, {}, False) for dataset in datasets]
    )


def _concatenate_objects(tables: Sequence[ObjectTable]) -> ObjectTable:
    """Return the objects of all tables, one after the other."""
    return ObjectTable(
        starts=_concatenate_offsets([table.starts for table in tables]),
        class_ids=np.concatenate([table.class_ids for table in tables]),
        boxes=np.concatenate([table.boxes for table in tables]),
        flags=np.concatenate([table.flags for table in tables]),
        ring_starts=_concatenate_offsets([table.ring_starts for table in tables]),
        point_starts=_concatenate_offsets([table.point_starts for table in tables]),
        points=np.concatenate([table.points for table in tables]),
        masks=StringColumn.from_strings(text for table in tables for text in table.masks),
    )


def _concatenate_offsets(offsets: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the offsets (M + 1,) of all parts together, from those of each part."""
    counts = [np.diff(part) for part in offsets]
    return np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)


def _dataset_prefixes(datasets: Sequence[Dataset]) -> list[str]:
    """Return a prefix for each dataset: its folder name, followed by its number where several have the same."""
    names = [dataset.root.name or "data" for dataset in datasets]
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{name}-{number}" for number, name in enumerate(names, 1)]


def _prefix_rejected(prefixes: Sequence[str], item_lists: Iterable[Sequence[RejectedItem]]) -> tuple[RejectedItem, ...]:
    """Return the items of all datasets, with the prefix of each dataset before their paths."""
    return tuple(
        replace(item, path=f"{prefix}/{item.path}")
        for prefix, items in zip(prefixes, item_lists, strict=True)
        for item in items
    )


def _require_distinct_classes(names: Sequence[str]) -> None:
    """Raise ``UsageError`` when class names differ only in case or surrounding spaces."""
    names_by_key: dict[str, list[str]] = {}
    for name in names:
        names_by_key.setdefault(name.strip().casefold(), []).append(name)
    similar_groups = [group for group in names_by_key.values() if len(group) > 1]
    if similar_groups:
        listing = "; ".join(", ".join(f"'{name}'" for name in group) for group in similar_groups)
        example = f"--merge '{similar_groups[0][0]}={','.join(similar_groups[0])}'"
        raise UsageError(
            _("The datasets have classes whose names differ by case or spaces alone: {names}.").format(names=listing),
            _("Expected one spelling for each class."),
            _("If they are the same class, merge them with {option}.").format(option=example),
        )


def _mixed_kinds_error(datasets: Sequence[Dataset]) -> UsageError:
    """Return the error for datasets of which only some have objects."""
    label_kinds = {True: _("a class for each image"), False: _("objects marked on images")}
    listing = "\n".join(f"  {dataset.root}: {label_kinds[dataset.objects is None]}" for dataset in datasets)
    return UsageError(
        _("The datasets have different types of labels:") + "\n" + listing, _("Expected the same type in all datasets.")
    )


def _normalise_unicode(name: str) -> str:
    """Return ``name`` in Unicode's normal form NFC, in which an accented letter is one character."""
    return unicodedata.normalize("NFC", name)
