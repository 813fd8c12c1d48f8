"""Marked objects in other shapes: masks as outlines, outlines as masks or in one ring, and boxes alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lince import rle
from lince.annotations import ObjectTable, StringColumn

Ring = NDArray[np.float64]


def drop_masks(objects: ObjectTable) -> ObjectTable:
    """Return ``objects`` without their masks."""
    return replace(objects, masks=StringColumn.from_strings([""] * len(objects)))


def drop_polygons(objects: ObjectTable) -> ObjectTable:
    """Return ``objects`` without their outlines."""
    return _replace_shapes(objects, [()] * len(objects), objects.masks)


def join_rings(objects: ObjectTable) -> ObjectTable:
    """Return ``objects`` with every outline in one ring: several are joined by a seam that goes there and back.

    The ring of an outline starts and ends each part at its first corner, so the area (even-odd) and the box stay.
    """
    outlines = [objects.get_polygons(i) for i in range(len(objects))]
    return _replace_shapes(
        objects, [[_join_with_seam(rings)] if len(rings) > 1 else rings for rings in outlines], objects.masks
    )


def masks_to_polygons(objects: ObjectTable, sizes: NDArray[np.int32]) -> ObjectTable:
    """Return ``objects`` with the outlines of their masks, along the edges of the pixels; no mask stays."""
    outlines = [objects.get_polygons(i) for i in range(len(objects))]
    rows = objects.image_ids
    for i in np.flatnonzero(objects.has_mask).tolist():
        height, width = sizes[rows[i]].tolist()
        outlines[i] = rle.mask_to_polygons(rle.decode(objects.masks[i], height, width))
    return _replace_shapes(objects, outlines, [""] * len(objects))


def polygons_to_masks(objects: ObjectTable, sizes: NDArray[np.int32]) -> ObjectTable:
    """Return ``objects`` with masks of the pixels within their outlines; no outline stays.

    An outline around no pixel's middle leaves no mask, and the object a box alone.
    """
    texts = list(objects.masks)
    rows = objects.image_ids
    for i in np.flatnonzero(objects.has_polygons).tolist():
        height, width = sizes[rows[i]].tolist()
        counts = rle.polygons_to_counts(objects.get_polygons(i), height, width)
        texts[i] = rle.counts_to_string(counts) if rle.compute_area(counts) else ""
    return _replace_shapes(objects, [()] * len(objects), texts)


def merge_class_masks(objects: ObjectTable, sizes: NDArray[np.int32]) -> tuple[ObjectTable, int]:
    """Return the masks of ``objects`` as one picture of classes for each image, and how many objects that changes.

    Each class of an image gets one mask, in the order of the classes; a pixel belongs to the last object that covers
    it. All objects must have masks.
    """
    texts, keep, changed = list(objects.masks), np.zeros(len(objects), bool), 0
    boxes, order = objects.boxes.copy(), np.arange(len(objects))
    for image, (height, width) in enumerate(sizes.tolist()):
        rows = range(*objects.slice_of_image(image).indices(len(objects)))
        painted = np.full(height * width, -1, np.int64)
        for i in rows:
            painted[_decode_flat_mask(texts[i])] = objects.class_ids[i]
        firsts = {int(objects.class_ids[i]): i for i in reversed(rows)}
        counts_of_class = Counter(objects.class_ids[rows.start : rows.stop].tolist())
        changed += len(rows) - len(firsts)
        order[rows.start : rows.stop] = sorted(rows, key=lambda i: (int(objects.class_ids[i]), i))
        for class_id, i in firsts.items():
            counts = rle.mask_to_counts((painted == class_id)[:, None])
            keep[i] = rle.compute_area(counts) > 0
            changed += rle.counts_to_string(counts) != texts[i] and counts_of_class[class_id] == 1
            texts[i], boxes[i] = rle.counts_to_string(counts), rle.compute_bounding_box(counts, height)
    whole = replace(objects, masks=StringColumn.from_strings(texts), boxes=boxes)
    return whole.reorder(order).filter(keep[order]), changed


def _decode_flat_mask(text: str) -> NDArray[np.bool_]:
    counts = rle.string_to_counts(text)
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts)


def _join_with_seam(rings: Sequence[Ring]) -> Ring:
    home = rings[0][:1]
    return np.concatenate([rings[0], home, *(part for ring in rings[1:] for part in (ring, ring[:1], home))])


def _replace_shapes(
    objects: ObjectTable, outlines: Sequence[Sequence[Ring]], texts: StringColumn | Sequence[str]
) -> ObjectTable:
    rings = [ring for outline in outlines for ring in outline]
    return replace(
        objects,
        rings=_cumulative_offsets([len(outline) for outline in outlines]),
        corners=_cumulative_offsets([len(ring) for ring in rings]),
        points=np.concatenate(rings) if rings else np.empty((0, 2)),
        masks=texts if isinstance(texts, StringColumn) else StringColumn.from_strings(texts),
    )


def _cumulative_offsets(counts: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
