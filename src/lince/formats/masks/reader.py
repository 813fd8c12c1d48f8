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

from lince import rle
from lince.errors import DataError, UsageError
from lince.fileio import write_bytes, write_text
from lince.formats.builders.object_table import ObjectTableBuilder, RawObject
from lince.formats.format import Capability, Format, WriteRequest
from lince.formats.image_lookup import ImageLookup, read_image_sizes
from lince.formats.masks import color_map, png
from lince.formats.masks.color_map import ColourMap, PixelValue
from lince.formats.table import ReadOptions, Table
from lince.formats.voc.image_sets import ImageSets
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, UNASSIGNED
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation, FileTree

NAME = "masks"
MASK_FOLDERS = frozenset({
    "masks", "mask", "segmentationclass", "segmentationclasspng", "segmentationclassraw", "trimaps", "segmentations",
    "segmentation", "labels", "annotations",
})  # fmt: skip
_IGNORED_FOLDERS = frozenset({"segmentationobject", "segmentationobjectpng", "segmentationclassvisualization"})
_IMAGE_FOLDERS = frozenset({"images", "image", "img", "imgs", "jpegimages", "photos", "pictures", "rgb"})
_SUFFIXES = ("_mask", "-mask", "_label", "_seg")
_PROBE_COUNT = 20
_BATCH = 256
_MAX_COLOURS = 256
_MAX_CLASSES = 254


@dataclass(frozen=True)
class MaskSet:
    """Where masks and photos lie: ``pairs`` of a mask and its photo (``None`` where there is none) in ``tree``."""

    tree: FileTree
    pairs: list[tuple[str, str | None]]
    images: tuple[str, ...]


@dataclass(frozen=True)
class MaskRegion:
    """All pixels of one value or colour in a mask, as run lengths, with the box around them."""

    pixel_value: PixelValue
    counts: str
    box: tuple[float, float, float, float]


def detect(place: DataLocation) -> str | None:
    """Return what speaks for masks: PNGs in folders called so, or as ``x_mask.png`` beside photos, and the photos."""
    found = _find_masks(place, _PROBE_COUNT)
    if found is None:
        return None
    folders = sorted({posixpath.dirname(mask) or "." for mask, _photo in found.pairs})
    try:
        told = color_map.find_colour_map(found.tree, folders)
    except DataError:
        told = _("several legends")
    if told:
        return _("masks in {folders}, with the legend {legend}").format(folders=", ".join(folders[:3]), legend=told)
    return _("masks in {folders}, without a legend: values become class_1, class_2, ...").format(
        folders=", ".join(folders[:3])
    )


def read(place: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> Table:
    """Read every mask beside its photo; the legend tells classes, else each value becomes one, named after it.

    Masks of another size than their photo, without a photo, damaged, or with values that the legend does not tell are
    rejected, and photos without a mask. Raise ``DataError`` when the legend, or what to make of its lack, is unclear.
    """
    found = _find_masks(place)
    if found is None:
        raise UsageError(
            _("{path} holds no masks beside photos.").format(path=place.path),
            _("Expected PNGs of the photos' names in a folder {names}.").format(names=", ".join(sorted(MASK_FOLDERS))),
        )
    marks = ObjectTableBuilder(options)
    pairs = _select_pairs(found, marks)
    regions = _read_regions(found.tree, [mask for mask, _photo in pairs], progress)
    keys = {region.pixel_value for said in regions if not isinstance(said, DataError) for region in said[1]}
    told = _load_colour_map(found, keys, progress)
    splits = ImageSets(found.tree, [mask for mask, _photo in pairs], marks)
    shapes = read_image_sizes(found.tree, [photo for _mask, photo in pairs], progress)
    for (mask, photo), said, size in zip(pairs, regions, shapes.tolist(), strict=True):
        if _check_size(marks, mask, said, (size[0], size[1])) and not isinstance(said, DataError):
            split = splits.get_split(mask)
            row = marks.add_image(photo, _split_from_path(photo) if split == UNASSIGNED else split, (size[0], size[1]))
            _add_objects(marks, row, mask, said, told)
    return marks.build_table(found.tree, NAME, told.names)


def write(export: WriteRequest, folder: Path) -> None:
    """Write a mask for each image, a PNG whose numbers have colours, and ``labelmap.txt`` that names them.

    Class i is i + 1, 0 is background. Where objects overlap, the later covers the earlier; several of one class become
    one. Boxes without a mask are not written.
    """
    names = export.table.classes.names
    if len(names) > _MAX_CLASSES:
        raise DataError(
            _("There are {count} classes.").format(count=len(names)),
            _("Expected at most {limit}: a mask has a byte for each pixel.").format(limit=_MAX_CLASSES),
        )
    write_text(folder / color_map.LABELMAP_FILE, color_map.format_labelmap(names))
    colours = np.array(color_map.make_voc_palette(), np.uint8)
    for row, path in enumerate(export.image_paths):
        target = folder / "masks" / (posixpath.splitext(path.removeprefix("images/"))[0] + ".png")
        write_bytes(target, png.encode_mask_png(_draw_class_mask(export, row), colours))


def image_path(split_word: str, class_name: str, file_name: str) -> str:
    """Return where an image goes: ``images/train/x.jpg``, or ``images/x.jpg`` without a split."""
    return posixpath.join("images", split_word, file_name)


def _draw_class_mask(export: WriteRequest, row: int) -> NDArray[np.uint8]:
    height, width = export.image_sizes[row].tolist()
    pixels = np.zeros((height, width), np.uint8)
    objects = export.table.objects
    if objects is not None:
        span = objects.slice_of_image(row)
        for i in range(span.start, span.stop):
            if objects.masks[i]:
                pixels[rle.decode(objects.masks[i], height, width)] = objects.class_ids[i] + 1
    return pixels


def _find_masks(place: DataLocation, at_most: int | None = None) -> MaskSet | None:
    """Return the masks at ``place`` and their photos, of ``at_most`` masks; ``None`` when most have no photo."""
    if place.file:
        return None
    root = place.tree.root.name.lower()
    named = [name for name in place.tree.listing.find_by_suffix(".png") if _is_in_mask_folder(f"{root}/{name}")]
    beside = [] if named else [name for name in place.tree.listing.find_by_suffix(".png") if _image_stems(name)[1:]]
    for tree, prefix in iterate_parent_trees(place) if named or beside else ():
        photos = ImageLookup(tree, (MASK_FOLDERS | _IGNORED_FOLDERS) if named else frozenset())
        twins = _MaskImagePairs(photos)
        own = frozenset(prefix + name for name in (named or beside))
        pairs = [(prefix + name, twins.find_image(prefix + name)) for name in (named or beside)[:at_most]]
        if 2 * sum(photo is not None for _mask, photo in pairs) >= len(pairs):
            return MaskSet(tree, pairs, tuple(name for name in photos.names if name not in own))
        if not named:
            return None
    return None


def _is_in_mask_folder(name: str) -> bool:
    folders = name.lower().split("/")[:-1]
    return (
        not MASK_FOLDERS.isdisjoint(folders)
        and _IGNORED_FOLDERS.isdisjoint(folders)
        and _IMAGE_FOLDERS.isdisjoint(folders[1:])
    )


def _image_stems(name: str) -> list[str]:
    """Return what the photo of the mask ``name`` may be called, without its ending."""
    stem = posixpath.splitext(name)[0]
    return [stem, *(stem.removesuffix(suffix) for suffix in _SUFFIXES if stem.lower().endswith(suffix))]


class _MaskImagePairs:
    """Finds the photo of a mask: of the same name, in the same folders but for the words for photos and masks."""

    def __init__(self, photos: ImageLookup) -> None:
        self._image_lookup = photos
        self._images_by_stem: dict[str, list[str]] = {}
        for photo in photos.names:
            self._images_by_stem.setdefault(_strip_known_folders(posixpath.splitext(photo)[0]), []).append(photo)

    def find_image(self, mask: str) -> str | None:
        """Return the photo of ``mask``; ``None`` when there is none, or none that stands out."""
        for stem in _image_stems(mask):
            close = [photo for photo in self._images_by_stem.get(_strip_known_folders(stem), ()) if photo != mask]
            found = close[0] if len(close) == 1 else self._image_lookup.find_by_stem(stem + ".png")
            if found and found != mask and (close or _is_related_folder(posixpath.dirname(found), mask)):
                return found
        return None


def _strip_known_folders(name: str) -> str:
    *folders, stem = name.split("/")
    return "/".join([*(folder for folder in folders if folder.lower() not in MASK_FOLDERS | _IMAGE_FOLDERS), stem])


def _is_related_folder(folder: str, mask: str) -> bool:
    above = not folder or f"{posixpath.dirname(mask)}/".startswith(f"{folder}/")
    return above or not _IMAGE_FOLDERS.isdisjoint(folder.lower().split("/"))


def _select_pairs(found: MaskSet, marks: ObjectTableBuilder) -> list[tuple[str, str]]:
    """Return the masks with a photo of their own, and refuse the others, and the photos that are left over."""
    pairs: dict[str, str] = {}
    for mask, photo in found.pairs:
        if photo is None:
            marks.reject(mask, _("its photo is not there"), _("add the photo, or remove the mask"), kind="no-image")
        elif photo in pairs:
            marks.reject(mask, _("{photo} has a mask already: {mask}").format(photo=photo, mask=pairs[photo]),
                         _("leave one of them"), kind="double")  # fmt: skip
        else:
            pairs[photo] = mask
    for photo in found.images:
        if photo not in pairs:
            marks.reject(photo, _("no mask"), _("draw one, or remove the photo"), kind="no-label")
    return [(mask, photo) for photo, mask in pairs.items()]


def _load_colour_map(found: MaskSet, keys: set[PixelValue], progress: Progress) -> ColourMap:
    name = color_map.find_colour_map(found.tree, {posixpath.dirname(mask) for mask, _photo in found.pairs})
    if name:
        return color_map.read_colour_map(found.tree, name, keys)
    told = color_map.make_default_colour_map(keys)
    progress.show_message(
        _("No legend tells what the masks mean: the classes are {names}.").format(names=", ".join(told.names))
    )
    return told


MaskContent = tuple[tuple[int, int], list[MaskRegion]] | DataError


def _read_regions(tree: FileTree, names: Sequence[str], progress: Progress) -> list[MaskContent]:
    """Return for each mask its (height, width) and its regions, or why it cannot be read."""
    found: list[MaskContent] = []
    with progress.open_stage(_("Reading the masks"), len(names)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            found += pool.map(lambda name: _read_mask(tree, name), batch)
            stage.advance(len(batch))
    return found


def _read_mask(tree: FileTree, name: str) -> MaskContent:
    try:
        stored = png.decode_mask_png(tree.read(name))
        return (stored.values.shape[0], stored.values.shape[1]), _extract_regions(stored)
    except DataError as error:
        return error


def _extract_regions(stored: png.MaskPixels) -> list[MaskRegion]:
    values = stored.values
    if values.ndim == 3:
        wide = values.astype(np.int32)
        values = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    kinds = np.unique(values) if values.dtype == np.int32 else np.flatnonzero(np.bincount(values.ravel()))
    if len(kinds) > _MAX_COLOURS:
        raise DataError(_("{count:,} different values: no mask, or one with smoothed edges").format(count=len(kinds)))
    found = []
    for kind in kinds.tolist():
        counts = rle.mask_to_counts(values == kind)
        found.append(
            MaskRegion(
                _pixel_value(kind, stored),
                rle.counts_to_string(counts),
                rle.compute_bounding_box(counts, values.shape[0]),
            )
        )
    return found


def _pixel_value(kind: int, stored: png.MaskPixels) -> PixelValue:
    if stored.values.ndim == 3:
        red, green, blue = kind >> 16, kind >> 8 & 255, kind & 255
        return PixelValue(None, (red, green, blue))
    if stored.palette is not None and kind < len(stored.palette):
        red, green, blue = stored.palette[kind].tolist()
        return PixelValue(kind, (red, green, blue))
    return PixelValue(kind, (kind, kind, kind))


def _check_size(marks: ObjectTableBuilder, mask: str, said: MaskContent, size: tuple[int, int]) -> bool:
    if isinstance(said, DataError):
        marks.reject(mask, said.problem.rstrip("."), said.remedy.rstrip("."), kind="unusable")
        return False
    if said[0] != size:
        reason = _("{width} x {height} pixels, but its photo has {photo_width} x {photo_height}").format(
            width=said[0][1], height=said[0][0], photo_width=size[1], photo_height=size[0]
        )
        marks.reject(mask, reason, _("draw it on the photo as it is shown"), kind="outside")
        return False
    return True


def _add_objects(
    marks: ObjectTableBuilder, row: int, mask: str, said: tuple[tuple[int, int], list[MaskRegion]], told: ColourMap
) -> None:
    (height, _width), regions = said
    by_class: dict[int, list[MaskRegion]] = {}
    for region in regions:
        class_id = told.find(region.pixel_value)
        if class_id is None:
            what = region.pixel_value.value if region.pixel_value.value is not None else region.pixel_value.colour
            reason = _("{what} is not in the legend").format(what=what)
            marks.reject(mask, reason, _("add it to the legend"), kind="class")
        elif class_id != color_map.BACKGROUND:
            by_class.setdefault(class_id, []).append(region)
    for class_id, parts in sorted(by_class.items()):
        whole = parts[0] if len(parts) == 1 else _merge_regions(parts, height)
        marks.add(row, RawObject(class_id, whole.box, mask, mask=whole.counts))


def _merge_regions(parts: Sequence[MaskRegion], height: int) -> MaskRegion:
    counts = rle.merge_counts([rle.string_to_counts(part.counts) for part in parts])
    return MaskRegion(parts[0].pixel_value, rle.counts_to_string(counts), rle.compute_bounding_box(counts, height))


def _split_from_path(photo: str) -> int:
    words = (SPLIT_WORDS.get(folder) for folder in reversed(photo.lower().split("/")[:-1]))
    return next((split for split in words if split is not None), UNASSIGNED)


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.MASKS | Capability.SPLITS | Capability.CLASSES | Capability.NEGATIVES,
    write,
    image_path,
)
