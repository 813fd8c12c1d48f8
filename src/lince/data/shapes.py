"""Marked objects in other shapes: masks as outlines, outlines as masks or in one ring, and boxes alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lince import masks
from lince.annotations import Objects, Strings

Ring = NDArray[np.float64]


def without_masks(objects: Objects) -> Objects:
    """Return ``objects`` without their masks."""
    return replace(objects, masks=Strings.of([""] * len(objects)))


def without_outlines(objects: Objects) -> Objects:
    """Return ``objects`` without their outlines."""
    return _shaped(objects, [()] * len(objects), objects.masks)


def seamed(objects: Objects) -> Objects:
    """Return ``objects`` with every outline in one ring: several are joined by a seam that goes there and back.

    The ring of an outline starts and ends each part at its first corner, so the area (even-odd) and the box stay.
    """
    outlines = [objects.outline(i) for i in range(len(objects))]
    return _shaped(objects, [[_seam(rings)] if len(rings) > 1 else rings for rings in outlines], objects.masks)


def outlines_of_masks(objects: Objects, sizes: NDArray[np.int32]) -> Objects:
    """Return ``objects`` with the outlines of their masks, along the edges of the pixels; no mask stays."""
    outlines = [objects.outline(i) for i in range(len(objects))]
    rows = objects.image_ids
    for i in np.flatnonzero(objects.masked).tolist():
        height, width = sizes[rows[i]].tolist()
        outlines[i] = masks.outline(masks.decode(objects.masks[i], height, width))
    return _shaped(objects, outlines, [""] * len(objects))


def pixels_of(objects: Objects, sizes: NDArray[np.int32]) -> Objects:
    """Return ``objects`` with masks of the pixels within their outlines; no outline stays.

    An outline around no pixel's middle leaves no mask, and the object a box alone.
    """
    texts = list(objects.masks)
    rows = objects.image_ids
    for i in np.flatnonzero(objects.outlined).tolist():
        height, width = sizes[rows[i]].tolist()
        counts = masks.of_rings(objects.outline(i), height, width)
        texts[i] = masks.write(counts) if masks.area(counts) else ""
    return _shaped(objects, [()] * len(objects), texts)


def joined(objects: Objects, sizes: NDArray[np.int32]) -> tuple[Objects, int]:
    """Return the masks of ``objects`` as one picture of classes for each image, and how many objects that changes.

    Each class of an image gets one mask, in the order of the classes; a pixel belongs to the last object that covers
    it. All objects must have masks.
    """
    texts, keep, changed = list(objects.masks), np.zeros(len(objects), bool), 0
    boxes, order = objects.boxes.copy(), np.arange(len(objects))
    for image, (height, width) in enumerate(sizes.tolist()):
        rows = range(*objects.of(image).indices(len(objects)))
        painted = np.full(height * width, -1, np.int64)
        for i in rows:
            painted[_covered(texts[i])] = objects.class_ids[i]
        firsts = {int(objects.class_ids[i]): i for i in reversed(rows)}
        counts_of_class = Counter(objects.class_ids[rows.start : rows.stop].tolist())
        changed += len(rows) - len(firsts)
        order[rows.start : rows.stop] = sorted(rows, key=lambda i: (int(objects.class_ids[i]), i))
        for class_id, i in firsts.items():
            counts = masks.counts_of((painted == class_id)[:, None])
            keep[i] = masks.area(counts) > 0
            changed += masks.write(counts) != texts[i] and counts_of_class[class_id] == 1
            texts[i], boxes[i] = masks.write(counts), masks.around(counts, height)
    whole = replace(objects, masks=Strings.of(texts), boxes=boxes)
    return whole.reordered(order).where(keep[order]), changed


def _covered(text: str) -> NDArray[np.bool_]:
    counts = masks.read(text)
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts)


def _seam(rings: Sequence[Ring]) -> Ring:
    home = rings[0][:1]
    return np.concatenate([rings[0], home, *(part for ring in rings[1:] for part in (ring, ring[:1], home))])


def _shaped(objects: Objects, outlines: Sequence[Sequence[Ring]], texts: Strings | Sequence[str]) -> Objects:
    rings = [ring for outline in outlines for ring in outline]
    return replace(
        objects,
        rings=_bounds([len(outline) for outline in outlines]),
        corners=_bounds([len(ring) for ring in rings]),
        points=np.concatenate(rings) if rings else np.empty((0, 2)),
        masks=texts if isinstance(texts, Strings) else Strings.of(texts),
    )


def _bounds(counts: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
