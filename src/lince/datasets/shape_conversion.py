"""Converts the shapes of objects: masks to polygons, polygons to masks, several rings to one, shapes to boxes."""

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
    """Return ``objects`` without masks; boxes and polygons stay."""
    return replace(objects, masks=StringColumn.from_strings([""] * len(objects)))


def drop_polygons(objects: ObjectTable) -> ObjectTable:
    """Return ``objects`` without polygons; boxes and masks stay."""
    return _replace_shapes(objects, [()] * len(objects), objects.masks)


def join_rings(objects: ObjectTable) -> ObjectTable:
    """Return ``objects`` with one ring per polygon: several rings are joined by a seam of zero width.

    From the end of the first ring the outline goes to each further ring and back, so that area (even-odd rule) and box
    stay the same.
    """
    polygons = [objects.get_polygons(i) for i in range(len(objects))]
    return _replace_shapes(
        objects, [[_join_with_seam(rings)] if len(rings) > 1 else rings for rings in polygons], objects.masks
    )


def masks_to_polygons(objects: ObjectTable, sizes: NDArray[np.int32]) -> ObjectTable:
    """Return ``objects`` with polygons along the pixel edges of their masks, and without masks.

    ``sizes`` int32 (N, 2) are (height, width) of the images.
    """
    polygons = [objects.get_polygons(index) for index in range(len(objects))]
    rows = objects.image_ids
    for index in np.flatnonzero(objects.has_mask).tolist():
        height, width = sizes[rows[index]].tolist()
        polygons[index] = rle.mask_to_polygons(rle.decode(objects.masks[index], height, width))
    return _replace_shapes(objects, polygons, [""] * len(objects))


def polygons_to_masks(objects: ObjectTable, sizes: NDArray[np.int32]) -> ObjectTable:
    """Return ``objects`` with masks of the pixels whose centres are inside their polygons, and without polygons.

    ``sizes`` int32 (N, 2) are (height, width) of the images. A polygon around no pixel centre leaves an object that has
    only its box.
    """
    texts = list(objects.masks)
    rows = objects.image_ids
    for index in np.flatnonzero(objects.has_polygons).tolist():
        height, width = sizes[rows[index]].tolist()
        counts = rle.polygons_to_counts(objects.get_polygons(index), height, width)
        texts[index] = rle.counts_to_string(counts) if rle.compute_area(counts) else ""
    return _replace_shapes(objects, [()] * len(objects), texts)


def merge_class_masks(objects: ObjectTable, sizes: NDArray[np.int32]) -> tuple[ObjectTable, int]:
    """Return ``objects`` with one mask per class and image, as a class map can hold, and how many objects that changes.

    A pixel belongs to the last object that covers it. The objects of an image are ordered by class, and those without
    pixels are dropped. ``sizes`` int32 (N, 2) are (height, width) of the images. All objects must have masks.
    """
    texts, keep, changed_count = list(objects.masks), np.zeros(len(objects), bool), 0
    boxes, order = objects.boxes.copy(), np.arange(len(objects))
    for row, (height, width) in enumerate(sizes.tolist()):
        rows = range(*objects.slice_of_image(row).indices(len(objects)))
        class_map = np.full(height * width, -1, np.int64)
        for index in rows:
            class_map[_decode_flat_mask(texts[index])] = objects.class_ids[index]
        first_of_class = {int(objects.class_ids[index]): index for index in reversed(rows)}
        counts_of_class = Counter(objects.class_ids[rows.start : rows.stop].tolist())
        changed_count += len(rows) - len(first_of_class)
        order[rows.start : rows.stop] = sorted(rows, key=lambda index: (int(objects.class_ids[index]), index))
        for class_id, index in first_of_class.items():
            counts = rle.mask_to_counts((class_map == class_id)[:, None])
            keep[index] = rle.compute_area(counts) > 0
            changed_count += rle.counts_to_string(counts) != texts[index] and counts_of_class[class_id] == 1
            texts[index], boxes[index] = rle.counts_to_string(counts), rle.compute_bounding_box(counts, height)
    merged = replace(objects, masks=StringColumn.from_strings(texts), boxes=boxes)
    return merged.reorder(order).filter(keep[order]), changed_count


def _decode_flat_mask(text: str) -> NDArray[np.bool_]:
    """Return the mask as bool (H * W,), column by column, as run lengths are stored."""
    counts = rle.string_to_counts(text)
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts)


def _join_with_seam(rings: Sequence[Ring]) -> Ring:
    """Return the rings as one: the first, then each further one with a way there and back to the start of the first."""
    start = rings[0][:1]
    return np.concatenate([rings[0], start, *(part for ring in rings[1:] for part in (ring, ring[:1], start))])


def _replace_shapes(
    objects: ObjectTable, polygons: Sequence[Sequence[Ring]], texts: StringColumn | Sequence[str]
) -> ObjectTable:
    """Return ``objects`` with other polygons and masks; ``texts`` are run lengths, empty for none."""
    rings = [ring for polygon in polygons for ring in polygon]
    return replace(
        objects,
        ring_starts=_cumulative_offsets([len(polygon) for polygon in polygons]),
        point_starts=_cumulative_offsets([len(ring) for ring in rings]),
        points=np.concatenate(rings) if rings else np.empty((0, 2)),
        masks=texts if isinstance(texts, StringColumn) else StringColumn.from_strings(texts),
    )


def _cumulative_offsets(counts: Sequence[int]) -> NDArray[np.int64]:
    """Return the offsets int64 (K + 1,) of parts with these lengths, starting at 0."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
