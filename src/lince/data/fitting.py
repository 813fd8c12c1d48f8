"""What a format cannot hold of a dataset: made softer where that is possible, left out where not, always counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lince.annotations import UNLABELLED, Classes
from lince.data.dataset import Dataset
from lince.data.shapes import joined, outlines_of_masks, pixels_of, seamed, without_masks, without_outlines
from lince.errors import UsageError
from lince.labels import FORMATS, UNASSIGNED, Format, Holds
from lince.labels.columns import class_order
from lince.messages import _

_SHAPES = Holds.BOXES | Holds.OUTLINES | Holds.MASKS


@dataclass(frozen=True)
class Loss:
    """One thing that a format cannot hold: ``what`` for programs, how often, and in plain words what becomes of it."""

    what: str
    count: int
    words: str

    def __str__(self) -> str:
        return f"{self.words}: {self.count:,}"


def fit(dataset: Dataset, form: Format) -> tuple[Dataset, tuple[Loss, ...]]:
    """Return what the format ``form`` holds of ``dataset`` (with all sizes known), and what is lost on the way.

    Raise ``UsageError`` when nothing would be left.
    """
    losses: list[Loss] = []
    fitted = dataset
    for step in _STEPS:
        before = fitted
        fitted, loss = step(before, form)
        if loss.count:
            losses.append(loss)
        if not len(fitted):
            raise _nothing(dataset, form, losses)
    if not _labelled(fitted).any() and _labelled(dataset).any():
        raise _nothing(dataset, form, losses)
    return fitted, tuple(losses)


def needs(dataset: Dataset) -> Holds:
    """Return what a format must hold to keep all of ``dataset``; flags aside, which formats hold one by one."""
    found = {
        Holds.LABELS: bool((dataset.class_ids != UNLABELLED).any()),
        Holds.SPLITS: bool((dataset.splits != UNASSIGNED).any()),
        Holds.CLASSES: list(dataset.classes.names) != class_order(_used(dataset)),
        Holds.NEGATIVES: bool((dataset.labelled & ~_labelled(dataset)).any()),
    }
    objects = dataset.objects
    if objects is not None:
        found[Holds.BOXES] = bool((~objects.outlined & ~objects.masked).any())
        found[Holds.OUTLINES] = bool(objects.outlined.any())
        found[Holds.RINGS] = bool((np.diff(objects.rings) > 1).any())
        found[Holds.MASKS] = bool(objects.masked.any())
        found[Holds.FLAGS] = bool(objects.flags.any())
    held = Holds(0)
    for need, there in found.items():
        held |= need if there else Holds(0)
    return held


def suited(dataset: Dataset) -> list[str]:
    """Return the names of the formats that can be written and hold all of ``dataset``."""
    wanted = needs(dataset)
    flags = 0 if dataset.objects is None else int(np.bitwise_or.reduce(dataset.objects.flags, initial=0))
    return [
        name for name, form in FORMATS.items() if form.write and wanted in form.holds and not flags & ~form.flags
    ]  # fmt: skip


def _unlabelled(dataset: Dataset, form: Format) -> tuple[Dataset, Loss]:
    return _kept(dataset, dataset.labelled, "unlabelled", _("images that nobody has labelled are left out"))


def _labels(dataset: Dataset, form: Format) -> tuple[Dataset, Loss]:
    there = dataset.class_ids != UNLABELLED
    lost = 0 if Holds.LABELS in form.holds else int(there.sum())
    if lost:
        dataset = replace(dataset, class_ids=np.full_like(dataset.class_ids, UNLABELLED))
    return dataset, Loss("labels", lost, _("classes of whole images are left out"))


def _masks(dataset: Dataset, form: Format) -> tuple[Dataset, Loss]:
    objects, sizes = dataset.objects, dataset.sizes
    if objects is None or sizes is None or Holds.MASKS in form.holds or not form.holds & _SHAPES:
        return dataset, _NONE
    count = int(objects.masked.sum())
    if Holds.OUTLINES in form.holds:
        softened = outlines_of_masks(objects, sizes) if count else objects
        return replace(dataset, objects=softened), Loss("masks", count, _("masks become outlines"))
    return replace(dataset, objects=without_masks(objects)), Loss("masks", count, _("masks become boxes"))


def _rings(dataset: Dataset, form: Format) -> tuple[Dataset, Loss]:
    objects = dataset.objects
    if objects is None or Holds.RINGS in form.holds or Holds.OUTLINES not in form.holds:
        return dataset, _NONE
    count = int((np.diff(objects.rings) > 1).sum())
    words = _("outlines of several rings are joined into one by a seam without width")
    return replace(dataset, objects=seamed(objects) if count else objects), Loss("rings", count, words)


def _outlines(dataset: Dataset, form: Format) -> tuple[Dataset, Loss]:
    objects, sizes = dataset.objects, dataset.sizes
    if objects is None or sizes is None or Holds.OUTLINES in form.holds or not form.holds & _SHAPES:
        return dataset, _NONE
    count = int(objects.outlined.sum())
    if Holds.MASKS in form.holds:
        softened = pixels_of(objects, sizes) if count else objects
        return replace(dataset, objects=softened), Loss("outlines", count, _("outlines become masks of whole pixels"))
    return replace(dataset, objects=without_outlines(objects)), Loss("outlines", count, _("outlines become boxes"))


def _boxes(dataset: Dataset, form: Format) -> tuple[Dataset, Loss]:
    objects = dataset.objects
    if objects is None or Holds.BOXES in form.holds:
        return dataset, _NONE
    if not form.holds & _SHAPES:
        left = replace(dataset, objects=None)
        return left, Loss("objects", len(objects), _("objects marked on images are left out"))
    shaped = objects.outlined | objects.masked
    words = _("boxes without an outline or a mask are left out")
    return replace(dataset, objects=objects.where(shaped)), Loss("boxes", int((~shaped).sum()), words)


def _together(dataset: Dataset, form: Format) -> tuple[Dataset, Loss]:
    objects, sizes = dataset.objects, dataset.sizes
    if objects is None or sizes is None or form.holds & _SHAPES != Holds.MASKS:
        return dataset, _NONE
    merged, count = joined(objects, sizes)
    words = _("masks of one class in one image become one, and of two that overlap the later covers the earlier")
    return replace(dataset, objects=merged), Loss("together", count, words)


def _flags(dataset: Dataset, form: Format) -> tuple[Dataset, Loss]:
    objects = dataset.objects
    if objects is None:
        return dataset, _NONE
    held = np.uint8(form.flags if Holds.FLAGS in form.holds else 0)
    lost = int((objects.flags & ~held != 0).sum())
    left = replace(objects, flags=objects.flags & held)
    return replace(dataset, objects=left), Loss("flags", lost, _("objects lose marks such as difficult or crowd"))


def _splits(dataset: Dataset, form: Format) -> tuple[Dataset, Loss]:
    lost = 0 if Holds.SPLITS in form.holds else int((dataset.splits != UNASSIGNED).sum())
    if lost:
        dataset = replace(dataset, splits=np.full_like(dataset.splits, UNASSIGNED))
    return dataset, Loss("splits", lost, _("images lose their place in train, val or test"))


def _negatives(dataset: Dataset, form: Format) -> tuple[Dataset, Loss]:
    if Holds.NEGATIVES in form.holds:
        return dataset, _NONE
    return _kept(dataset, _labelled(dataset), "negatives", _("images without any label are left out"))


def _classes(dataset: Dataset, form: Format) -> tuple[Dataset, Loss]:
    ordered = class_order(_used(dataset))
    if Holds.CLASSES in form.holds or list(dataset.classes.names) == ordered:
        return dataset, _NONE
    ids = {name: i for i, name in enumerate(ordered)}
    moved = np.array([*(ids.get(name, UNLABELLED) for name in dataset.classes.names), UNLABELLED], np.int32)
    objects = dataset.objects
    if objects is not None:
        objects = replace(objects, class_ids=moved[objects.class_ids])
    left = replace(dataset, classes=Classes(tuple(ordered)), class_ids=moved[dataset.class_ids], objects=objects)
    lost = int((moved[:-1] != np.arange(len(dataset.classes))).sum())
    return left, Loss("classes", lost, _("classes lose their number, or their name where no image shows them"))


_NONE = Loss("", 0, "")
_STEPS: tuple[Callable[[Dataset, Format], tuple[Dataset, Loss]], ...] = (
    _unlabelled, _labels, _masks, _rings, _outlines, _boxes, _together, _flags, _splits, _negatives, _classes,
)  # fmt: skip


def _kept(
    dataset: Dataset, keep: np.ndarray[tuple[int], np.dtype[np.bool_]], what: str, words: str
) -> tuple[Dataset, Loss]:
    refusals = dataset.rejected
    left = dataset if keep.all() else replace(dataset.select(np.flatnonzero(keep)), rejected=refusals)
    return left, Loss(what, len(dataset) - len(left), words)


def _labelled(dataset: Dataset) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which images have a class or an object, (N,)."""
    marked = dataset.class_ids != UNLABELLED
    return np.asarray(marked if dataset.objects is None else marked | (np.diff(dataset.objects.starts) > 0))


def _used(dataset: Dataset) -> set[str]:
    ids = [dataset.class_ids] if dataset.objects is None else [dataset.class_ids, dataset.objects.class_ids]
    found = set(np.unique(np.concatenate(ids)).tolist()) - {UNLABELLED}
    return {dataset.classes.names[i] for i in found}


def _nothing(dataset: Dataset, form: Format, losses: list[Loss]) -> UsageError:
    return UsageError(
        _("Nothing of {root} would be left in the format '{name}':").format(root=dataset.root, name=form.name)
        + "".join(f"\n  {loss}" for loss in losses),
        _("Expected data of a kind that it holds."),
        _("Formats that hold all of it: {names}.").format(names=", ".join(suited(dataset)) or _("none")),
    )
