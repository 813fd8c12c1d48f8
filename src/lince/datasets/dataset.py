"""The dataset: flat columns with one row per image, images that are read when needed, and the items left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import NOTICE_KINDS, UNLABELLED, Classes, ObjectTable, RejectedItem, StringColumn
from lince.datasets.image_source import FileImages, ImageSource, PixelImages, TreeImages
from lince.display import NotebookDisplay
from lince.errors import UsageError
from lince.fileio import compute_digest
from lince.formats import LabelTable
from lince.formats.builders.classification_table import sort_class_names
from lince.i18n import _, translate_plural
from lince.label_sets import LabelSets, list_image_classes

_MAX_NAMED = 10  # classes in the text that stands for a dataset
_MAX_LEFT_OUT = 3  # images and labels that are named where the data is used


@dataclass(frozen=True, repr=False)
class Dataset(NotebookDisplay):
    """N images with their classes, splits and objects; one row each.

    Immutable: methods return a new dataset, which shares the columns where it can. Construction raises ``ValueError``
    when the columns differ in length.

    Attributes:
        images: reads the images, by row.
        classes: names of the classes, in the order of their ids.
        class_ids: int32 (N,), ``UNLABELLED`` (-1) for images without a class, and for those with several.
        splits: int8 (N,), UNASSIGNED (-1), TRAIN, VAL or TEST.
        rejected: images and labels that are not used, with reasons.
        root: folder or file that the data was read from.
        format: name of the label format.
        objects: annotated objects; ``None`` where the labels have no objects.
        sizes: int32 (N, 2), (height, width) as the labels state it, 0 where they do not.
        repaired: labels that were repaired while reading.
        label_sets: all classes of each image, where any has several; ``None`` elsewhere.
        void_masks: of mask images, the pixels of each image of which the labels say nothing, as compressed RLE, empty
            for none; ``None`` where the labels are no mask images.
    """

    html_renderer = "lince.notebook.dataset_html:render_dataset"

    images: ImageSource
    classes: Classes
    class_ids: NDArray[np.int32]
    splits: NDArray[np.int8]
    rejected: tuple[RejectedItem, ...]
    root: Path
    format: str
    objects: ObjectTable | None = None
    sizes: NDArray[np.int32] | None = None
    repaired: tuple[RejectedItem, ...] = ()
    label_sets: LabelSets | None = None
    void_masks: StringColumn | None = None

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.class_ids) == len(self.splits):
            raise ValueError(
                f"columns differ: {len(self.images)} images, {len(self.class_ids)} classes, {len(self.splits)} splits"
            )

    def __len__(self) -> int:
        return len(self.class_ids)

    def __repr__(self) -> str:
        classes = ", ".join(self.classes.names[:_MAX_NAMED]) + (", ..." if len(self.classes) > _MAX_NAMED else "")
        text = translate_plural(
            "{used}; {count:,} class: {classes}", "{used}; {count:,} classes: {classes}", len(self.classes)
        ).format(used=self.summarise(), count=len(self.classes), classes=classes or _("none"))
        return f"<Dataset {self.root.name or self.root} ({self.format}): {text}>"

    @property
    def total_count(self) -> int:
        """The number of images, objects and rejected items; rejections by which none is lost do not count."""
        return self.used_count + sum(item.kind not in NOTICE_KINDS for item in self.rejected)

    @property
    def used_count(self) -> int:
        """The number of images and objects: ``total_count`` without what was lost."""
        return len(self) + (0 if self.objects is None else len(self.objects))

    @property
    def is_pixelwise(self) -> bool:
        """Whether the labels are mask images, which say something of every pixel."""
        return self.void_masks is not None

    @property
    def has_image_labels(self) -> NDArray[np.bool_]:
        """Which images as a whole have a class, or are known to have several or none, bool (N,)."""
        has_class = np.asarray(self.class_ids != UNLABELLED)
        return has_class if self.label_sets is None else has_class | self.label_sets.is_known

    @property
    def label_codes(self) -> NDArray[np.int32]:
        """A number for each image, int32 (N,): the same one for the same class, or the same several classes."""
        if self.label_sets is None:
            return self.class_ids
        matrix = np.column_stack([self.label_sets.to_matrix(len(self.classes)), self.label_sets.is_known])
        return np.unique(matrix, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int32)

    def list_class_names(self, row: int) -> list[str]:
        """Return the names of the classes of the image at ``row`` as a whole."""
        return list_image_classes(self.classes, self.class_ids, self.label_sets, row)

    def explain_several_classes(self, row: int) -> RejectedItem:
        """Return why the image at ``row``, which has several classes, is not used where each has one."""
        reason = _("it has several classes: {names}").format(names=", ".join(self.list_class_names(row)))
        remedy = _("keep one, or choose --task multilabel to learn all of them")
        return RejectedItem(self.images.get_name(row), reason, remedy, kind="several-classes")

    def get_split_indices(self, split: int) -> NDArray[np.int64]:
        """Return the rows of ``split`` (a number of ``lince.splits``), int64 (K,), ascending."""
        return np.flatnonzero(self.splits == split).astype(np.int64)

    def select(self, indices: NDArray[Any] | Sequence[int]) -> Dataset:
        """Return the dataset of the images at ``indices``, in that order, without the rejected items.

        ``indices`` are integers; a boolean mask raises ``ValueError``.
        """
        rows = np.asarray(indices)
        if rows.size and rows.dtype.kind not in "iu":
            raise ValueError(f"rows are chosen by their numbers, not by {rows.dtype}")
        rows = rows.astype(np.int64)
        return replace(self._take_rows(rows), rejected=())

    def reject_rows(self, rejected: Mapping[int, RejectedItem]) -> Dataset:
        """Return the dataset with the rows that are keys of ``rejected`` moved to the rejected items, in row order."""
        if not rejected:
            return self
        keep = np.ones(len(self), bool)
        keep[np.fromiter(rejected, np.int64)] = False
        added = tuple(rejected[row] for row in sorted(rejected))
        return replace(self._take_rows(np.flatnonzero(keep)), rejected=self.rejected + added)

    def count_per_class(self) -> dict[str, int]:
        """Return the number of images of each class, in the order of the ids.

        Where the dataset has objects, the number of objects of each class. An image with several classes counts in
        each of them.
        """
        if self.objects is not None:
            ids = self.objects.class_ids
        else:
            ids = self.class_ids if self.label_sets is None else self.label_sets.class_ids
        counts = np.bincount(ids[ids != UNLABELLED], minlength=len(self.classes))
        return dict(zip(self.classes.names, counts.tolist(), strict=True))

    def summarise(self) -> str:
        """Return what was used and what was left out, such as "used 200 photos with 217 objects; left out: 3"."""
        photos = translate_plural("{count:,} photo", "{count:,} photos", len(self)).format(count=len(self))
        left_out = self.total_count - self.used_count
        if self.objects is None:
            return _("used {photos}; left out: {count:,}").format(photos=photos, count=left_out)
        count = len(self.objects)
        objects = translate_plural("{count:,} object", "{count:,} objects", count).format(count=count)
        return _("used {photos} with {objects}; left out: {count:,}").format(
            photos=photos, objects=objects, count=left_out
        )

    def describe_left_out(self) -> list[str]:
        """Return a line for each of the first images or labels in ``rejected``, with the reason, and one for the rest.

        Unlabelled images are not among them: the task names those (``Task.describe_unlabelled``).
        """
        items = [item for item in self.rejected if item.kind not in ("unlabelled", *NOTICE_KINDS)]
        lines = [_("Left out: {problem}").format(problem=item) for item in items[:_MAX_LEFT_OUT]]
        if len(items) > _MAX_LEFT_OUT:
            lines.append(
                _("... and {count:,} more; lince check names them with what to do.").format(
                    count=len(items) - _MAX_LEFT_OUT
                )
            )
        return lines

    def compute_fingerprint(self, keys: Iterable[str]) -> str:
        """Return 32 hexadecimal digits that identify the data: image contents, classes, objects and splits.

        ``keys`` are the content digests of the images, in row order. The order of the rows and the paths of the files
        do not matter.
        """
        names = (*self.classes.names, "")  # the last one is for UNLABELLED
        object_keys = (self.compute_objects_key(row) for row in range(len(self)))
        rows = zip(keys, self.class_ids.tolist(), self.splits.tolist(), object_keys, strict=True)
        lines = sorted(
            f"{key} {split} {names[class_id]}{self._compute_set_key(row)}{objects_key}"
            for row, (key, class_id, split, objects_key) in enumerate(rows)
        )
        return compute_digest("\n".join(lines).encode("utf-8"))

    def _compute_set_key(self, row: int) -> str:
        """Return a text that identifies the several classes of the image at ``row``; empty where it has one."""
        if self.label_sets is None or not self.label_sets.is_known[row] or self.label_sets.counts[row] == 1:
            return ""
        return repr([self.classes.names[class_id] for class_id in self.label_sets.get_class_ids(row)])

    def compute_objects_key(self, row: int) -> str:
        """Return a text that identifies the objects of the image at ``row`` with their classes, boxes and flags.

        Empty for an image without objects.
        """
        if self.objects is None or self.objects.starts[row] == self.objects.starts[row + 1]:
            return ""
        span = self.objects.slice_of_image(row)
        names = [self.classes.names[class_id] for class_id in self.objects.class_ids[span]]
        sides = self.objects.boxes[span].tobytes() + self.objects.flags[span].tobytes()
        return f"{len(names)} {compute_digest(repr(names).encode() + sides)[:12]}"

    def merge_classes(self, mapping: Mapping[str, Sequence[str]]) -> Dataset:
        """Return the dataset with the classes of each group of ``mapping`` merged; its key is the new name.

        Classes in no group stay. Raises ``UsageError`` for an unknown class and for a class in two groups.
        """
        renamed: dict[str, str] = {}
        for group, members in mapping.items():
            for name in members:
                self.classes.index(name)
                if renamed.setdefault(name, group) != group:
                    raise UsageError(
                        _("Class '{name}' is merged into '{one}' and into '{other}'.").format(
                            name=name, one=renamed[name], other=group
                        ),
                        _("Expected each class in only one group."),
                    )
        new_names = [renamed.get(name, name) for name in self.classes.names]
        classes = Classes(tuple(sort_class_names(set(new_names))))
        return self.renumber_classes(classes, np.array([*map(classes.names.index, new_names), UNLABELLED], np.int32))

    def drop_classes(self, class_ids: NDArray[Any]) -> Dataset:
        """Return the dataset without the classes ``class_ids``, which no image and no object may have."""
        if not len(class_ids):
            return self
        kept = [number for number in range(len(self.classes)) if number not in set(class_ids.tolist())]
        new_ids = np.full(len(self.classes) + 1, UNLABELLED, np.int32)  # the last one stays that of the unlabelled
        new_ids[kept] = np.arange(len(kept))
        return self.renumber_classes(Classes(tuple(self.classes.names[number] for number in kept)), new_ids)

    def without_image_labels(self) -> Dataset:
        """Return the dataset of objects, without classes of whole images and the classes that no object has by that."""
        others = self.class_ids[self.class_ids != UNLABELLED]
        if self.label_sets is not None:
            others = np.concatenate([others, self.label_sets.class_ids])
        if self.objects is None or not len(others):
            return self
        unlabelled = replace(self, class_ids=np.full_like(self.class_ids, UNLABELLED), label_sets=None)
        return unlabelled.drop_classes(np.setdiff1d(others, self.objects.class_ids))

    def renumber_classes(self, classes: Classes, new_ids: NDArray[np.int32]) -> Dataset:
        """Return the dataset with ``classes``, where the class ``i`` has become ``new_ids[i]``.

        ``new_ids`` has one entry for each class and a last one for ``UNLABELLED``. An image whose several classes
        become one has that class.
        """
        objects, sets, class_ids = self.objects, self.label_sets, new_ids[self.class_ids]
        if objects is not None:
            objects = replace(objects, class_ids=new_ids[objects.class_ids])
        if sets is not None:
            sets = sets.renumber(new_ids)
            is_single = sets.counts == 1
            class_ids[is_single] = sets.class_ids[sets.starts[:-1][is_single]]
        return replace(self, classes=classes, class_ids=class_ids, objects=objects, label_sets=sets)

    def _take_rows(self, rows: NDArray[np.int64]) -> Dataset:
        """Return the dataset of ``rows``, in that order, with all rejected items."""
        return replace(
            self,
            images=self.images.select(rows),
            class_ids=self.class_ids[rows],
            splits=self.splits[rows],
            objects=None if self.objects is None else self.objects.select_images(rows),
            sizes=None if self.sizes is None else self.sizes[rows],
            label_sets=None if self.label_sets is None else self.label_sets.select_images(rows),
            void_masks=None if self.void_masks is None else self.void_masks.take(rows),
        )


def build_dataset(table: LabelTable) -> Dataset:
    """Return the dataset of a table that a format reader returned, with the image source that suits it."""
    images: ImageSource
    if table.pixels is not None:
        images = PixelImages(table.pixels, table.names, np.arange(len(table.names)))
    elif table.tree is not None:
        images = TreeImages(table.tree, table.names)
    else:
        images = FileImages(table.root, table.names)
    return Dataset(
        images,
        table.classes,
        table.class_ids,
        table.splits,
        table.rejected,
        table.root,
        table.format,
        table.objects,
        table.sizes,
        table.repaired,
        table.label_sets,
        table.void_masks,
    )
