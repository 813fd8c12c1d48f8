"""What a format cannot hold of a dataset: made softer where that is possible, left out where not, always counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lince.annotations import UNLABELLED, Classes
from lince.datasets.dataset import Dataset
from lince.datasets.shape_conversion import (
    drop_masks,
    drop_polygons,
    join_rings,
    masks_to_polygons,
    merge_class_masks,
    polygons_to_masks,
)
from lince.errors import UsageError
from lince.formats import FORMATS, Capability, Format
from lince.formats.builders.classification_table import sort_class_names
from lince.i18n import _
from lince.splits import UNASSIGNED

_SHAPE_FEATURES = Capability.BOXES | Capability.OUTLINES | Capability.MASKS


@dataclass(frozen=True)
class ConversionLoss:
    """One thing that a format cannot hold: ``what`` for programs, how often, and in plain words what becomes of it."""

    kind: str
    count: int
    description: str

    def __str__(self) -> str:
        return f"{self.description}: {self.count:,}"


def adapt_to_format(dataset: Dataset, form: Format) -> tuple[Dataset, tuple[ConversionLoss, ...]]:
    """Return what the format ``form`` holds of ``dataset`` (with all sizes known), and what is lost on the way.

    Raise ``UsageError`` when nothing would be left.
    """
    losses: list[ConversionLoss] = []
    fitted = dataset
    for step in _ADAPTERS:
        before = fitted
        fitted, loss = step(before, form)
        if loss.count:
            losses.append(loss)
        if not len(fitted):
            raise _nothing_left_error(dataset, form, losses)
    if not _has_annotations(fitted).any() and _has_annotations(dataset).any():
        raise _nothing_left_error(dataset, form, losses)
    return fitted, tuple(losses)


def find_required_features(dataset: Dataset) -> Capability:
    """Return what a format must hold to keep all of ``dataset``; flags aside, which formats hold one by one."""
    found = {
        Capability.LABELS: bool((dataset.class_ids != UNLABELLED).any()),
        Capability.SPLITS: bool((dataset.splits != UNASSIGNED).any()),
        Capability.CLASSES: list(dataset.classes.names) != sort_class_names(_used_class_names(dataset)),
        Capability.NEGATIVES: bool((dataset.labelled & ~_has_annotations(dataset)).any()),
    }
    objects = dataset.objects
    if objects is not None:
        found[Capability.BOXES] = bool((~objects.has_polygons & ~objects.has_mask).any())
        found[Capability.OUTLINES] = bool(objects.has_polygons.any())
        found[Capability.MULTI_RING_OUTLINES] = bool((np.diff(objects.rings) > 1).any())
        found[Capability.MASKS] = bool(objects.has_mask.any())
        found[Capability.FLAGS] = bool(objects.flags.any())
    held = Capability(0)
    for need, there in found.items():
        held |= need if there else Capability(0)
    return held


def find_lossless_formats(dataset: Dataset) -> list[str]:
    """Return the names of the formats that can be written and hold all of ``dataset``."""
    wanted = find_required_features(dataset)
    flags = 0 if dataset.objects is None else int(np.bitwise_or.reduce(dataset.objects.flags, initial=0))
    return [
        name for name, form in FORMATS.items() if form.write and wanted in form.capabilities and not flags & ~form.supported_flags
    ]  # fmt: skip


def _drop_unlabelled(dataset: Dataset, form: Format) -> tuple[Dataset, ConversionLoss]:
    return _keep_rows(dataset, dataset.labelled, "unlabelled", _("images that nobody has labelled are left out"))


def _drop_labels(dataset: Dataset, form: Format) -> tuple[Dataset, ConversionLoss]:
    there = dataset.class_ids != UNLABELLED
    lost = 0 if Capability.LABELS in form.capabilities else int(there.sum())
    if lost:
        dataset = replace(dataset, class_ids=np.full_like(dataset.class_ids, UNLABELLED))
    return dataset, ConversionLoss("labels", lost, _("classes of whole images are left out"))


def _convert_masks(dataset: Dataset, form: Format) -> tuple[Dataset, ConversionLoss]:
    objects, sizes = dataset.objects, dataset.sizes
    if (
        objects is None
        or sizes is None
        or Capability.MASKS in form.capabilities
        or not form.capabilities & _SHAPE_FEATURES
    ):
        return dataset, _NO_LOSS
    count = int(objects.has_mask.sum())
    if Capability.OUTLINES in form.capabilities:
        softened = masks_to_polygons(objects, sizes) if count else objects
        return replace(dataset, objects=softened), ConversionLoss("masks", count, _("masks become outlines"))
    return replace(dataset, objects=drop_masks(objects)), ConversionLoss("masks", count, _("masks become boxes"))


def _merge_rings(dataset: Dataset, form: Format) -> tuple[Dataset, ConversionLoss]:
    objects = dataset.objects
    if (
        objects is None
        or Capability.MULTI_RING_OUTLINES in form.capabilities
        or Capability.OUTLINES not in form.capabilities
    ):
        return dataset, _NO_LOSS
    count = int((np.diff(objects.rings) > 1).sum())
    words = _("outlines of several rings are joined into one by a seam without width")
    return replace(dataset, objects=join_rings(objects) if count else objects), ConversionLoss("rings", count, words)


def _convert_polygons(dataset: Dataset, form: Format) -> tuple[Dataset, ConversionLoss]:
    objects, sizes = dataset.objects, dataset.sizes
    if (
        objects is None
        or sizes is None
        or Capability.OUTLINES in form.capabilities
        or not form.capabilities & _SHAPE_FEATURES
    ):
        return dataset, _NO_LOSS
    count = int(objects.has_polygons.sum())
    if Capability.MASKS in form.capabilities:
        softened = polygons_to_masks(objects, sizes) if count else objects
        return replace(dataset, objects=softened), ConversionLoss(
            "outlines", count, _("outlines become masks of whole pixels")
        )
    return replace(dataset, objects=drop_polygons(objects)), ConversionLoss(
        "outlines", count, _("outlines become boxes")
    )


def _drop_boxes(dataset: Dataset, form: Format) -> tuple[Dataset, ConversionLoss]:
    objects = dataset.objects
    if objects is None or Capability.BOXES in form.capabilities:
        return dataset, _NO_LOSS
    if not form.capabilities & _SHAPE_FEATURES:
        left = replace(dataset, objects=None)
        return left, ConversionLoss("objects", len(objects), _("objects marked on images are left out"))
    shaped = objects.has_polygons | objects.has_mask
    words = _("boxes without an outline or a mask are left out")
    return replace(dataset, objects=objects.filter(shaped)), ConversionLoss("boxes", int((~shaped).sum()), words)


def _merge_masks_per_class(dataset: Dataset, form: Format) -> tuple[Dataset, ConversionLoss]:
    objects, sizes = dataset.objects, dataset.sizes
    if objects is None or sizes is None or form.capabilities & _SHAPE_FEATURES != Capability.MASKS:
        return dataset, _NO_LOSS
    merged, count = merge_class_masks(objects, sizes)
    words = _("masks of one class in one image become one, and of two that overlap the later covers the earlier")
    return replace(dataset, objects=merged), ConversionLoss("together", count, words)


def _drop_flags(dataset: Dataset, form: Format) -> tuple[Dataset, ConversionLoss]:
    objects = dataset.objects
    if objects is None:
        return dataset, _NO_LOSS
    held = np.uint8(form.supported_flags if Capability.FLAGS in form.capabilities else 0)
    lost = int((objects.flags & ~held != 0).sum())
    left = replace(objects, flags=objects.flags & held)
    return replace(dataset, objects=left), ConversionLoss(
        "flags", lost, _("objects lose marks such as difficult or crowd")
    )


def _drop_splits(dataset: Dataset, form: Format) -> tuple[Dataset, ConversionLoss]:
    lost = 0 if Capability.SPLITS in form.capabilities else int((dataset.splits != UNASSIGNED).sum())
    if lost:
        dataset = replace(dataset, splits=np.full_like(dataset.splits, UNASSIGNED))
    return dataset, ConversionLoss("splits", lost, _("images lose their place in train, val or test"))


def _drop_negatives(dataset: Dataset, form: Format) -> tuple[Dataset, ConversionLoss]:
    if Capability.NEGATIVES in form.capabilities:
        return dataset, _NO_LOSS
    return _keep_rows(dataset, _has_annotations(dataset), "negatives", _("images without any label are left out"))


def _renumber_classes(dataset: Dataset, form: Format) -> tuple[Dataset, ConversionLoss]:
    ordered = sort_class_names(_used_class_names(dataset))
    if Capability.CLASSES in form.capabilities or list(dataset.classes.names) == ordered:
        return dataset, _NO_LOSS
    ids = {name: i for i, name in enumerate(ordered)}
    moved = np.array([*(ids.get(name, UNLABELLED) for name in dataset.classes.names), UNLABELLED], np.int32)
    objects = dataset.objects
    if objects is not None:
        objects = replace(objects, class_ids=moved[objects.class_ids])
    left = replace(dataset, classes=Classes(tuple(ordered)), class_ids=moved[dataset.class_ids], objects=objects)
    lost = int((moved[:-1] != np.arange(len(dataset.classes))).sum())
    return left, ConversionLoss(
        "classes", lost, _("classes lose their number, or their name where no image shows them")
    )


_NO_LOSS = ConversionLoss("", 0, "")
_ADAPTERS: tuple[Callable[[Dataset, Format], tuple[Dataset, ConversionLoss]], ...] = (
    _drop_unlabelled, _drop_labels, _convert_masks, _merge_rings, _convert_polygons, _drop_boxes, _merge_masks_per_class, _drop_flags, _drop_splits, _drop_negatives, _renumber_classes,
)  # fmt: skip


def _keep_rows(
    dataset: Dataset, keep: np.ndarray[tuple[int], np.dtype[np.bool_]], what: str, words: str
) -> tuple[Dataset, ConversionLoss]:
    refusals = dataset.rejected
    left = dataset if keep.all() else replace(dataset.select(np.flatnonzero(keep)), rejected=refusals)
    return left, ConversionLoss(what, len(dataset) - len(left), words)


def _has_annotations(dataset: Dataset) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which images have a class or an object, (N,)."""
    marked = dataset.class_ids != UNLABELLED
    return np.asarray(marked if dataset.objects is None else marked | (np.diff(dataset.objects.starts) > 0))


def _used_class_names(dataset: Dataset) -> set[str]:
    ids = [dataset.class_ids] if dataset.objects is None else [dataset.class_ids, dataset.objects.class_ids]
    found = set(np.unique(np.concatenate(ids)).tolist()) - {UNLABELLED}
    return {dataset.classes.names[i] for i in found}


def _nothing_left_error(dataset: Dataset, form: Format, losses: list[ConversionLoss]) -> UsageError:
    return UsageError(
        _("Nothing of {root} would be left in the format '{name}':").format(root=dataset.root, name=form.name)
        + "".join(f"\n  {loss}" for loss in losses),
        _("Expected data of a kind that it holds."),
        _("Formats that hold all of it: {names}.").format(names=", ".join(find_lossless_formats(dataset)) or _("none")),
    )
