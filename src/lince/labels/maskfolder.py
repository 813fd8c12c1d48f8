"""PNG mask folders: ``images/x.jpg`` and ``masks/x.png``, in which each pixel's number or colour stands for a class.

What is read is semantic: all pixels of one class in an image are one object, with a mask and the box around it. Masks
that tell objects of one class apart (``SegmentationObject``) are not read.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import masks
from lince.errors import DataError, UsageError
from lince.files import write_bytes, write_text
from lince.labels import legend, maskpng
from lince.labels.format import Export, Format, Holds
from lince.labels.imagesets import ImageSets
from lince.labels.legend import Key, Legend
from lince.labels.marks import Mark, Marks
from lince.labels.nearby import outwards
from lince.labels.photos import Photos, sizes
from lince.labels.table import SPLIT_WORDS, UNASSIGNED, Options, Table
from lince.labels.tree import Place, Tree
from lince.messages import _
from lince.progress import SILENT, Progress

NAME = "masks"
FOLDERS = frozenset({
    "masks", "mask", "segmentationclass", "segmentationclasspng", "segmentationclassraw", "trimaps", "segmentations",
    "segmentation", "labels", "annotations",
})  # fmt: skip
_NOT_READ = frozenset({"segmentationobject", "segmentationobjectpng", "segmentationclassvisualization"})
_PHOTO_FOLDERS = frozenset({"images", "image", "img", "imgs", "jpegimages", "photos", "pictures", "rgb"})
_SUFFIXES = ("_mask", "-mask", "_label", "_seg")
_PROBE = 20
_BATCH = 256
_COLOURS_AT_MOST = 256
_CLASSES_AT_MOST = 254


@dataclass(frozen=True)
class Set:
    """Where masks and photos lie: ``pairs`` of a mask and its photo (``None`` where there is none) in ``tree``."""

    tree: Tree
    pairs: list[tuple[str, str | None]]
    photos: tuple[str, ...]


@dataclass(frozen=True)
class Region:
    """All pixels of one value or colour in a mask, as run lengths, with the box around them."""

    key: Key
    counts: str
    box: tuple[float, float, float, float]


def detect(place: Place) -> str | None:
    """Return what speaks for masks: PNGs in folders called so, or as ``x_mask.png`` beside photos, and the photos."""
    found = _find(place, _PROBE)
    if found is None:
        return None
    folders = sorted({posixpath.dirname(mask) or "." for mask, _photo in found.pairs})
    try:
        told = legend.find(found.tree, folders)
    except DataError:
        told = _("several legends")
    if told:
        return _("masks in {folders}, with the legend {legend}").format(folders=", ".join(folders[:3]), legend=told)
    return _("masks in {folders}, without a legend: values become class_1, class_2, ...").format(
        folders=", ".join(folders[:3])
    )


def read(place: Place, options: Options, progress: Progress = SILENT) -> Table:
    """Read every mask beside its photo; the legend tells classes, else each value becomes one, named after it.

    Masks of another size than their photo, without a photo, damaged, or with values that the legend does not tell are
    rejected, and photos without a mask. Raise ``DataError`` when the legend, or what to make of its lack, is unclear.
    """
    found = _find(place)
    if found is None:
        raise UsageError(
            _("{path} holds no masks beside photos.").format(path=place.path),
            _("Expected PNGs of the photos' names in a folder {names}.").format(names=", ".join(sorted(FOLDERS))),
        )
    marks = Marks(options)
    pairs = _usable(found, marks)
    regions = _regions(found.tree, [mask for mask, _photo in pairs], progress)
    keys = {region.key for said in regions if not isinstance(said, DataError) for region in said[1]}
    told = _legend(found, keys, progress)
    splits = ImageSets(found.tree, [mask for mask, _photo in pairs], marks)
    shapes = sizes(found.tree, [photo for _mask, photo in pairs], progress)
    for (mask, photo), said, size in zip(pairs, regions, shapes.tolist(), strict=True):
        if _fits(marks, mask, said, (size[0], size[1])) and not isinstance(said, DataError):
            split = splits.split(mask)
            row = marks.image(photo, _split(photo) if split == UNASSIGNED else split, (size[0], size[1]))
            _mark(marks, row, mask, said, told)
    return marks.table(found.tree, NAME, told.names)


def write(export: Export, folder: Path) -> None:
    """Write a mask for each image, a PNG whose numbers have colours, and ``labelmap.txt`` that names them.

    Class i is i + 1, 0 is background. Where objects overlap, the later covers the earlier; several of one class become
    one. Boxes without a mask are not written.
    """
    names = export.table.classes.names
    if len(names) > _CLASSES_AT_MOST:
        raise DataError(
            _("There are {count} classes.").format(count=len(names)),
            _("Expected at most {limit}: a mask has a byte for each pixel.").format(limit=_CLASSES_AT_MOST),
        )
    write_text(folder / legend.MAP, legend.write(names))
    colours = np.array(legend.palette(), np.uint8)
    for row, path in enumerate(export.files):
        target = folder / "masks" / (posixpath.splitext(path.removeprefix("images/"))[0] + ".png")
        write_bytes(target, maskpng.write(_pixels(export, row), colours))


def file(split_word: str, class_name: str, file_name: str) -> str:
    """Return where an image goes: ``images/train/x.jpg``, or ``images/x.jpg`` without a split."""
    return posixpath.join("images", split_word, file_name)


def _pixels(export: Export, row: int) -> NDArray[np.uint8]:
    height, width = export.sizes[row].tolist()
    pixels = np.zeros((height, width), np.uint8)
    objects = export.table.objects
    if objects is not None:
        span = objects.of(row)
        for i in range(span.start, span.stop):
            if objects.masks[i]:
                pixels[masks.decode(objects.masks[i], height, width)] = objects.class_ids[i] + 1
    return pixels


def _find(place: Place, at_most: int | None = None) -> Set | None:
    """Return the masks at ``place`` and their photos, of ``at_most`` masks; ``None`` when most have no photo."""
    if place.file:
        return None
    root = place.tree.root.name.lower()
    named = [name for name in place.tree.listing.ending(".png") if _in_masks(f"{root}/{name}")]
    beside = [] if named else [name for name in place.tree.listing.ending(".png") if _stems(name)[1:]]
    for tree, prefix in outwards(place) if named or beside else ():
        photos = Photos(tree, (FOLDERS | _NOT_READ) if named else frozenset())
        twins = _Twins(photos)
        own = frozenset(prefix + name for name in (named or beside))
        pairs = [(prefix + name, twins.of(prefix + name)) for name in (named or beside)[:at_most]]
        if 2 * sum(photo is not None for _mask, photo in pairs) >= len(pairs):
            return Set(tree, pairs, tuple(name for name in photos.names if name not in own))
        if not named:
            return None
    return None


def _in_masks(name: str) -> bool:
    folders = name.lower().split("/")[:-1]
    return not FOLDERS.isdisjoint(folders) and _NOT_READ.isdisjoint(folders) and _PHOTO_FOLDERS.isdisjoint(folders[1:])


def _stems(name: str) -> list[str]:
    """Return what the photo of the mask ``name`` may be called, without its ending."""
    stem = posixpath.splitext(name)[0]
    return [stem, *(stem.removesuffix(suffix) for suffix in _SUFFIXES if stem.lower().endswith(suffix))]


class _Twins:
    """Finds the photo of a mask: of the same name, in the same folders but for the words for photos and masks."""

    def __init__(self, photos: Photos) -> None:
        self._photos = photos
        self._known: dict[str, list[str]] = {}
        for photo in photos.names:
            self._known.setdefault(_plain(posixpath.splitext(photo)[0]), []).append(photo)

    def of(self, mask: str) -> str | None:
        """Return the photo of ``mask``; ``None`` when there is none, or none that stands out."""
        for stem in _stems(mask):
            close = [photo for photo in self._known.get(_plain(stem), ()) if photo != mask]
            found = close[0] if len(close) == 1 else self._photos.twin(stem + ".png")
            if found and found != mask and (close or _may_hold(posixpath.dirname(found), mask)):
                return found
        return None


def _plain(name: str) -> str:
    *folders, stem = name.split("/")
    return "/".join([*(folder for folder in folders if folder.lower() not in FOLDERS | _PHOTO_FOLDERS), stem])


def _may_hold(folder: str, mask: str) -> bool:
    above = not folder or f"{posixpath.dirname(mask)}/".startswith(f"{folder}/")
    return above or not _PHOTO_FOLDERS.isdisjoint(folder.lower().split("/"))


def _usable(found: Set, marks: Marks) -> list[tuple[str, str]]:
    """Return the masks with a photo of their own, and refuse the others, and the photos that are left over."""
    pairs: dict[str, str] = {}
    for mask, photo in found.pairs:
        if photo is None:
            marks.reject(mask, _("its photo is not there"), _("add the photo, or remove the mask"), fault="no-image")
        elif photo in pairs:
            marks.reject(mask, _("{photo} has a mask already: {mask}").format(photo=photo, mask=pairs[photo]),
                         _("leave one of them"), fault="double")  # fmt: skip
        else:
            pairs[photo] = mask
    for photo in found.photos:
        if photo not in pairs:
            marks.reject(photo, _("no mask"), _("draw one, or remove the photo"), fault="no-label")
    return [(mask, photo) for photo, mask in pairs.items()]


def _legend(found: Set, keys: set[Key], progress: Progress) -> Legend:
    name = legend.find(found.tree, {posixpath.dirname(mask) for mask, _photo in found.pairs})
    if name:
        return legend.read(found.tree, name, keys)
    told = legend.made(keys)
    progress.say(_("No legend tells what the masks mean: the classes are {names}.").format(names=", ".join(told.names)))
    return told


Said = tuple[tuple[int, int], list[Region]] | DataError


def _regions(tree: Tree, names: Sequence[str], progress: Progress) -> list[Said]:
    """Return for each mask its (height, width) and its regions, or why it cannot be read."""
    found: list[Said] = []
    with progress.stage(_("Reading the masks"), len(names)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            found += pool.map(lambda name: _said(tree, name), batch)
            stage.advance(len(batch))
    return found


def _said(tree: Tree, name: str) -> Said:
    try:
        stored = maskpng.read(tree.read(name))
        return (stored.values.shape[0], stored.values.shape[1]), _regions_of(stored)
    except DataError as error:
        return error


def _regions_of(stored: maskpng.Stored) -> list[Region]:
    values = stored.values
    if values.ndim == 3:
        wide = values.astype(np.int32)
        values = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    kinds = np.unique(values) if values.dtype == np.int32 else np.flatnonzero(np.bincount(values.ravel()))
    if len(kinds) > _COLOURS_AT_MOST:
        raise DataError(_("{count:,} different values: no mask, or one with smoothed edges").format(count=len(kinds)))
    found = []
    for kind in kinds.tolist():
        counts = masks.counts_of(values == kind)
        found.append(Region(_key(kind, stored), masks.write(counts), masks.around(counts, values.shape[0])))
    return found


def _key(kind: int, stored: maskpng.Stored) -> Key:
    if stored.values.ndim == 3:
        red, green, blue = kind >> 16, kind >> 8 & 255, kind & 255
        return Key(None, (red, green, blue))
    if stored.palette is not None and kind < len(stored.palette):
        red, green, blue = stored.palette[kind].tolist()
        return Key(kind, (red, green, blue))
    return Key(kind, (kind, kind, kind))


def _fits(marks: Marks, mask: str, said: Said, size: tuple[int, int]) -> bool:
    if isinstance(said, DataError):
        marks.reject(mask, said.found.rstrip("."), said.remedy.rstrip("."), fault="unusable")
        return False
    if said[0] != size:
        reason = _("{width} x {height} pixels, but its photo has {photo_width} x {photo_height}").format(
            width=said[0][1], height=said[0][0], photo_width=size[1], photo_height=size[0]
        )
        marks.reject(mask, reason, _("draw it on the photo as it is shown"), fault="outside")
        return False
    return True


def _mark(marks: Marks, row: int, mask: str, said: tuple[tuple[int, int], list[Region]], told: Legend) -> None:
    (height, _width), regions = said
    by_class: dict[int, list[Region]] = {}
    for region in regions:
        class_id = told.find(region.key)
        if class_id is None:
            what = region.key.value if region.key.value is not None else region.key.colour
            reason = _("{what} is not in the legend").format(what=what)
            marks.reject(mask, reason, _("add it to the legend"), fault="class")
        elif class_id != legend.NOTHING:
            by_class.setdefault(class_id, []).append(region)
    for class_id, parts in sorted(by_class.items()):
        whole = parts[0] if len(parts) == 1 else _together(parts, height)
        marks.add(row, Mark(class_id, whole.box, mask, mask=whole.counts))


def _together(parts: Sequence[Region], height: int) -> Region:
    counts = masks.union([masks.read(part.counts) for part in parts])
    return Region(parts[0].key, masks.write(counts), masks.around(counts, height))


def _split(photo: str) -> int:
    words = (SPLIT_WORDS.get(folder) for folder in reversed(photo.lower().split("/")[:-1]))
    return next((split for split in words if split is not None), UNASSIGNED)


FORMAT = Format(NAME, detect, read, Holds.MASKS | Holds.SPLITS | Holds.CLASSES | Holds.NEGATIVES, write, file)
