"""Adapts a dataset to a target format: converts or drops what the format cannot hold, and counts it."""

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
from lince.number_format import format_count
from lince.splits import UNASSIGNED
from lince.tasks import find_usable_rows

_SHAPE_FEATURES = Capability.BOXES | Capability.OUTLINES | Capability.MASKS


@dataclass(frozen=True)
class ConversionLoss:
    """One kind of loss: ``kind`` is a name for programs, ``description`` a sentence in the current language.

    ``count`` is the number of images, objects or classes concerned.
    """

    kind: str
    count: int
    description: str

    def __str__(self) -> str:
        return f"{self.description}: {format_count(self.count)}"


def adapt_to_format(dataset: Dataset, target: Format) -> tuple[Dataset, tuple[ConversionLoss, ...]]:
    """Return what the format ``target`` can hold of ``dataset``, and what is lost.

    The sizes of all images must be known.

    Raise ``UsageError`` when no image, or no annotation, would be left.
    """
    losses: list[ConversionLoss] = []
    adapted = dataset
    for adapt in _ADAPTERS:
        adapted, loss = adapt(adapted, target)
        if loss.count:
            losses.append(loss)
        if not len(adapted):
            raise _nothing_left_error(dataset, target, losses)
    if not _has_annotations(adapted).any() and _has_annotations(dataset).any():
        raise _nothing_left_error(dataset, target, losses)
    return adapted, tuple(losses)


def find_required_features(dataset: Dataset) -> Capability:
    """Return the capabilities that a format needs to hold all of ``dataset``.

    ``FLAGS`` is among them when any object has a flag; which flags a format supports has to be compared separately.
    """
    needed = {
        Capability.LABELS: bool((dataset.class_ids != UNLABELLED).any()),
        Capability.LABEL_SETS: dataset.label_sets is not None,
        Capability.VOID: dataset.void_masks is not None and any(dataset.void_masks),
        Capability.SPLITS: bool((dataset.splits != UNASSIGNED).any()),
        Capability.CLASSES: list(dataset.classes.names) != sort_class_names(_used_class_names(dataset)),
        Capability.NEGATIVES: bool((find_usable_rows(dataset) & ~_has_annotations(dataset)).any()),
    }
    objects = dataset.objects
    if objects is not None:
        needed[Capability.BOXES] = bool((~objects.has_polygons & ~objects.has_mask).any())
        needed[Capability.OUTLINES] = bool(objects.has_polygons.any())
        needed[Capability.MULTI_RING_OUTLINES] = bool((np.diff(objects.ring_starts) > 1).any())
        needed[Capability.MASKS] = bool(objects.has_mask.any())
        needed[Capability.FLAGS] = bool(objects.flags.any())
    features = Capability(0)
    for feature, is_needed in needed.items():
        features |= feature if is_needed else Capability(0)
    return features


def find_lossless_formats(dataset: Dataset) -> list[str]:
    """Return the names of the formats that can be written and hold all of ``dataset``."""
    required = find_required_features(dataset)
    flags = 0 if dataset.objects is None else int(np.bitwise_or.reduce(dataset.objects.flags, initial=0))
    return [
        name
        for name, target in FORMATS.items()
        if target.write and required in target.capabilities and not flags & ~target.supported_flags
    ]


def _drop_unlabelled(dataset: Dataset, target: Format) -> tuple[Dataset, ConversionLoss]:
    """Drop images without a label that any task can learn from."""
    return _keep_rows(dataset, find_usable_rows(dataset), "unlabelled", _("unlabelled images are dropped"))


def _drop_label_sets(dataset: Dataset, target: Format) -> tuple[Dataset, ConversionLoss]:
    """Drop the images that have several classes or none where the format holds one; those with objects stay."""
    sets = dataset.label_sets
    if sets is None or Capability.LABEL_SETS in target.capabilities:
        return dataset, _NO_LOSS
    is_lost = sets.is_known & (sets.counts != 1)
    single = replace(dataset, label_sets=None)
    if dataset.objects is None:
        return _keep_rows(single, ~is_lost, "label-sets", _("images with several classes, or with none, are dropped"))
    return single, ConversionLoss("label-sets", int(is_lost.sum()), _("images lose their several classes"))


def _drop_void(dataset: Dataset, target: Format) -> tuple[Dataset, ConversionLoss]:
    """Take the pixels without a label for background where the format does not tell them from it."""
    if dataset.void_masks is None or Capability.VOID in target.capabilities:
        return dataset, _NO_LOSS
    lost = sum(map(bool, dataset.void_masks))
    text = _("images lose which of their pixels have no label: they become background")
    return replace(dataset, void_masks=None), ConversionLoss("void", lost, text)


def _drop_labels(dataset: Dataset, target: Format) -> tuple[Dataset, ConversionLoss]:
    """Drop the classes of whole images where the format has none."""
    has_class = dataset.has_image_labels
    lost = 0 if Capability.LABELS in target.capabilities else int(has_class.sum())
    if lost:
        dataset = replace(dataset, class_ids=np.full_like(dataset.class_ids, UNLABELLED))
    return dataset, ConversionLoss("labels", lost, _("image-level classes are dropped"))


def _convert_masks(dataset: Dataset, target: Format) -> tuple[Dataset, ConversionLoss]:
    """Convert masks to polygons, or else to boxes, where the format has no masks."""
    objects, sizes = dataset.objects, dataset.sizes
    if (
        objects is None
        or sizes is None
        or Capability.MASKS in target.capabilities
        or not target.capabilities & _SHAPE_FEATURES
    ):
        return dataset, _NO_LOSS
    count = int(objects.has_mask.sum())
    if Capability.OUTLINES in target.capabilities:
        converted = masks_to_polygons(objects, sizes) if count else objects
        return replace(dataset, objects=converted), ConversionLoss("masks", count, _("masks become polygons"))
    return replace(dataset, objects=drop_masks(objects)), ConversionLoss("masks", count, _("masks become boxes"))


def _merge_rings(dataset: Dataset, target: Format) -> tuple[Dataset, ConversionLoss]:
    """Join the rings of each polygon into one where the format allows only one ring."""
    objects = dataset.objects
    if (
        objects is None
        or Capability.MULTI_RING_OUTLINES in target.capabilities
        or Capability.OUTLINES not in target.capabilities
    ):
        return dataset, _NO_LOSS
    count = int((np.diff(objects.ring_starts) > 1).sum())
    description = _("polygons with several rings are joined into one by a zero-width seam")
    return replace(dataset, objects=join_rings(objects) if count else objects), ConversionLoss(
        "rings", count, description
    )


def _convert_polygons(dataset: Dataset, target: Format) -> tuple[Dataset, ConversionLoss]:
    """Convert polygons to masks, or else to boxes, where the format has no polygons."""
    objects, sizes = dataset.objects, dataset.sizes
    if (
        objects is None
        or sizes is None
        or Capability.OUTLINES in target.capabilities
        or not target.capabilities & _SHAPE_FEATURES
    ):
        return dataset, _NO_LOSS
    count = int(objects.has_polygons.sum())
    if Capability.MASKS in target.capabilities:
        converted = polygons_to_masks(objects, sizes) if count else objects
        return replace(dataset, objects=converted), ConversionLoss("outlines", count, _("polygons become pixel masks"))
    return replace(dataset, objects=drop_polygons(objects)), ConversionLoss(
        "outlines", count, _("polygons become boxes")
    )


def _drop_boxes(dataset: Dataset, target: Format) -> tuple[Dataset, ConversionLoss]:
    """Drop objects that are only a box where the format needs a shape."""
    objects = dataset.objects
    if objects is None or Capability.BOXES in target.capabilities:
        return dataset, _NO_LOSS
    if not target.capabilities & _SHAPE_FEATURES:
        adapted = replace(dataset, objects=None)
        return adapted, ConversionLoss("objects", len(objects), _("objects are dropped"))
    has_shape = objects.has_polygons | objects.has_mask
    description = _("boxes without a polygon or mask are dropped")
    return replace(dataset, objects=objects.filter(has_shape)), ConversionLoss(
        "boxes", int((~has_shape).sum()), description
    )


def _merge_masks_per_class(dataset: Dataset, target: Format) -> tuple[Dataset, ConversionLoss]:
    """Merge the masks of each class of an image where the format stores one label per pixel."""
    objects, sizes = dataset.objects, dataset.sizes
    if objects is None or sizes is None or target.capabilities & _SHAPE_FEATURES != Capability.MASKS:
        return dataset, _NO_LOSS
    merged, count = merge_class_masks(objects, sizes)
    description = _(
        "masks of the same class in an image are merged, and where masks overlap the later one covers the earlier one"
    )
    return replace(dataset, objects=merged), ConversionLoss("together", count, description)


def _drop_flags(dataset: Dataset, target: Format) -> tuple[Dataset, ConversionLoss]:
    """Drop the flags that the format does not support; objects that lose one are counted."""
    objects = dataset.objects
    if objects is None:
        return dataset, _NO_LOSS
    supported = np.uint8(target.supported_flags if Capability.FLAGS in target.capabilities else 0)
    lost = int((objects.flags & ~supported != 0).sum())
    adapted = replace(objects, flags=objects.flags & supported)
    return replace(dataset, objects=adapted), ConversionLoss(
        "flags", lost, _("objects lose flags such as difficult or crowd")
    )


def _drop_splits(dataset: Dataset, target: Format) -> tuple[Dataset, ConversionLoss]:
    """Drop the assignment to splits where the format has none."""
    lost = 0 if Capability.SPLITS in target.capabilities else int((dataset.splits != UNASSIGNED).sum())
    if lost:
        dataset = replace(dataset, splits=np.full_like(dataset.splits, UNASSIGNED))
    return dataset, ConversionLoss("splits", lost, _("images lose their split (train, val or test)"))


def _drop_negatives(dataset: Dataset, target: Format) -> tuple[Dataset, ConversionLoss]:
    """Drop images without annotations where the format cannot express them."""
    if Capability.NEGATIVES in target.capabilities:
        return dataset, _NO_LOSS
    return _keep_rows(dataset, _has_annotations(dataset), "negatives", _("images without a label are dropped"))


def _renumber_classes(dataset: Dataset, target: Format) -> tuple[Dataset, ConversionLoss]:
    """Sort the classes and drop unused ones where the format does not store a list of classes."""
    names = sort_class_names(_used_class_names(dataset))
    if Capability.CLASSES in target.capabilities or list(dataset.classes.names) == names:
        return dataset, _NO_LOSS
    ids = {name: i for i, name in enumerate(names)}
    # The last entry maps UNLABELLED (-1) to itself.
    new_ids = np.array([*(ids.get(name, UNLABELLED) for name in dataset.classes.names), UNLABELLED], np.int32)
    adapted = dataset.renumber_classes(Classes(tuple(names)), new_ids)
    lost = int((new_ids[:-1] != np.arange(len(dataset.classes))).sum())
    return adapted, ConversionLoss("classes", lost, _("classes lose their id, or their name if no image has them"))


_NO_LOSS = ConversionLoss("", 0, "")
# Applied in this order: masks before outlines before boxes, so that each can become the next simpler shape.
_ADAPTERS: tuple[Callable[[Dataset, Format], tuple[Dataset, ConversionLoss]], ...] = (
    _drop_unlabelled,
    _drop_label_sets,
    _drop_labels,
    _drop_void,
    _convert_masks,
    _merge_rings,
    _convert_polygons,
    _drop_boxes,
    _merge_masks_per_class,
    _drop_flags,
    _drop_splits,
    _drop_negatives,
    _renumber_classes,
)


def _keep_rows(
    dataset: Dataset, keep: np.ndarray[tuple[int], np.dtype[np.bool_]], kind: str, description: str
) -> tuple[Dataset, ConversionLoss]:
    """Return the dataset of the rows in ``keep`` (N,), with its rejected items, and the loss of the others."""
    kept = dataset if keep.all() else replace(dataset.select(np.flatnonzero(keep)), rejected=dataset.rejected)
    return kept, ConversionLoss(kind, len(dataset) - len(kept), description)


def _has_annotations(dataset: Dataset) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which images have a class or an object, or are known to have none of several classes, (N,)."""
    has_class = dataset.has_image_labels
    return np.asarray(has_class if dataset.objects is None else has_class | (np.diff(dataset.objects.starts) > 0))


def _used_class_names(dataset: Dataset) -> set[str]:
    """Return the names of the classes that any image or object has."""
    parts = [part.class_ids for part in (dataset.objects, dataset.label_sets) if part is not None]
    ids = [dataset.class_ids, *parts]
    used_ids = set(np.unique(np.concatenate(ids)).tolist()) - {UNLABELLED}
    return {dataset.classes.names[class_id] for class_id in used_ids}


def _nothing_left_error(dataset: Dataset, target: Format, losses: list[ConversionLoss]) -> UsageError:
    """Return the error for a conversion that would lose everything, with the formats that hold all of the dataset."""
    return UsageError(
        _("Nothing in {root} can be represented in the format '{name}':").format(root=dataset.root, name=target.name)
        + "".join(f"\n  {loss}" for loss in losses),
        _("Expected data of a type that the format supports."),
        _("Expected a format that can represent everything: {names}.").format(
            names=", ".join(find_lossless_formats(dataset)) or _("there is none")
        ),
    )
