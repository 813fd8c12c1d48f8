"""Reads folders of PNG masks: ``images/x.jpg`` and ``masks/x.png``, where the value or colour of a pixel is its class.

The masks are semantic segmentation: all pixels of one class in an image become one object, with a
mask and its bounding box. Masks of instances (``SegmentationObject`` of Pascal VOC) are not read.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from lince import rle
from lince.errors import DataError, UsageError
from lince.formats.builders.object_table import ObjectTableBuilder, RawObject
from lince.formats.folder_roles import IMAGE_FOLDERS, MASK_FOLDERS, MASK_WORDS, is_mask_folder
from lince.formats.format import Capability, Format
from lince.formats.image_lookup import ImageLookup, read_image_sizes
from lince.formats.masks import color_map, png
from lince.formats.masks.color_map import ColourMap, PixelValue
from lince.formats.masks.writer import image_path, write
from lince.formats.table import LabelTable, ReadOptions
from lince.formats.voc.image_sets import ImageSets
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import UNASSIGNED, fold_accents, parse_split_name
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation, FileTree

NAME = "masks"
_IMAGE_WORDS = frozenset({"image", "images", "img", "imgs", "photo", "photos", "imagenes", "imagens", "fotos"})
_IGNORED_FOLDERS = frozenset({"segmentationobject", "segmentationobjectpng", "segmentationclassvisualization"})
_SUFFIXES = ("_mask", "-mask", "_label", "_seg")
_PROBE_COUNT = 20  # masks looked at to recognise the format
_BATCH = 256  # masks per progress step
_MAX_COLOURS = 256  # per mask
_MAX_SHOWN_VALUES = 20


@dataclass(frozen=True)
class MaskSet:
    """The masks of a dataset and their images, as names in ``tree``.

    ``pairs`` are (mask, image), with ``None`` for a mask without an image; ``images`` are all
    images.
    """

    tree: FileTree
    pairs: list[tuple[str, str | None]]
    images: tuple[str, ...]


@dataclass(frozen=True)
class MaskRegion:
    """All pixels of one value or colour in a mask.

    ``counts`` is their run-length string, ``box`` their bounding box (left, top, right, bottom) in
    pixels.
    """

    pixel_value: PixelValue
    counts: str
    box: tuple[float, float, float, float]


def detect(location: DataLocation) -> str | None:
    """Return the evidence that ``location`` holds masks, ``None`` when it does not.

    Required are PNGs in a folder for masks, or named as ``x_mask.png`` beside the images, most of
    them with an image.
    """
    mask_set = _find_masks(location, _PROBE_COUNT)
    if mask_set is None:
        return None
    folders = sorted({posixpath.dirname(mask_file) or "." for mask_file, _image in mask_set.pairs})
    try:
        legend = color_map.find_colour_map(mask_set.tree, folders)
    except DataError:
        legend = _("several legends")
    if legend:
        return _("masks in {folders}, with the legend {legend}").format(folders=", ".join(folders[:3]), legend=legend)
    return _("masks in {folders}, without a legend: values become class_1, class_2, ...").format(
        folders=", ".join(folders[:3])
    )


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read every mask and its image; classes are those of the legend, or else one per value.

    Rejected are masks without an image, of another size than their image, damaged, or with values
    that the legend does not have, and images without a mask. The split is that of the lists in
    ``ImageSets``, else of the image's folder. Raise ``DataError`` when the legend cannot be read,
    or cannot be done without.
    """
    mask_set = _find_masks(location)
    if mask_set is None:
        raise UsageError(
            _("{path} contains no masks next to photos.").format(path=location.path),
            _("Expected PNG files with the photos' names in a folder {names}.").format(
                names=", ".join(sorted(MASK_FOLDERS))
            ),
        )
    builder = ObjectTableBuilder(options)
    pairs = _select_pairs(mask_set, builder)
    contents = _read_regions(mask_set.tree, [mask_file for mask_file, _image in pairs], progress)
    readable = [content for content in contents if not isinstance(content, DataError)]
    pixel_values = {region.pixel_value for _size, regions in readable for region in regions}
    colour_map = _load_colour_map(mask_set, pixel_values, options.void, progress)
    image_sets = ImageSets(mask_set.tree, [mask_file for mask_file, _image in pairs], builder)
    sizes = read_image_sizes(mask_set.tree, [image_name for _mask_file, image_name in pairs], progress)
    for (mask_file, image_name), content, size in zip(pairs, contents, sizes.tolist(), strict=True):
        if _check_size(builder, mask_file, content, (size[0], size[1])) and not isinstance(content, DataError):
            split = image_sets.get_split(mask_file)
            split = _split_from_path(image_name) if split == UNASSIGNED else split
            row = builder.add_image(image_name, split, (size[0], size[1]))
            _add_objects(builder, row, mask_file, content, colour_map)
    return builder.build_table(mask_set.tree, NAME, colour_map.names)


def _find_masks(location: DataLocation, max_count: int | None = None) -> MaskSet | None:
    """Return the masks at ``location``, at most ``max_count``, and their images.

    Images may be in a parent folder, where the location is the folder of masks. Return ``None``
    when there are no masks, or fewer than half of them have an image.
    """
    if location.file:
        return None
    root = location.tree.root.name.lower()
    png_files = location.tree.listing.find_by_suffix(".png")
    in_folders = [name for name in png_files if _is_in_mask_folder(f"{root}/{name}")]
    masks = in_folders or [name for name in png_files if _image_stems(name)[1:]]
    for tree, prefix in iterate_parent_trees(location) if masks else ():
        parts = {part for folder in tree.listing.all_folders for part in folder.lower().split("/")}
        mask_folders = frozenset(filter(is_mask_folder, parts)) | _IGNORED_FOLDERS
        image_lookup = ImageLookup(tree, mask_folders if in_folders else frozenset())
        image_finder = _MaskImagePairs(image_lookup)
        mask_files = frozenset(prefix + name for name in masks)
        pairs = [(prefix + name, image_finder.find_image(prefix + name)) for name in masks[:max_count]]
        if 2 * sum(image_name is not None for _mask_file, image_name in pairs) >= len(pairs):
            return MaskSet(tree, pairs, tuple(name for name in image_lookup.names if name not in mask_files))
        if not in_folders:
            return None
    return None


def _is_in_mask_folder(name: str) -> bool:
    """Whether a path leads through a folder for masks, and none for images or instances."""
    folders = fold_accents(name).split("/")[:-1]
    return (
        any(map(is_mask_folder, folders))
        and _IGNORED_FOLDERS.isdisjoint(folders)
        and IMAGE_FOLDERS.isdisjoint(folders[1:])
    )


def _image_stems(name: str) -> list[str]:
    """Return the names that the image of the mask ``name`` may have, without suffix; the mask's own first."""
    stem = posixpath.splitext(name)[0]
    return [stem, *(stem.removesuffix(suffix) for suffix in _SUFFIXES if stem.lower().endswith(suffix))]


class _MaskImagePairs:
    """Finds the image of a mask: same name and same folders, apart from the folders for images and masks."""

    def __init__(self, image_lookup: ImageLookup) -> None:
        self._image_lookup = image_lookup
        self._images_by_stem: dict[str, list[str]] = {}
        for image_name in image_lookup.names:
            stem = _strip_known_folders(posixpath.splitext(image_name)[0])
            self._images_by_stem.setdefault(stem, []).append(image_name)

    def find_image(self, mask_file: str) -> str | None:
        """Return the image of ``mask_file``, ``None`` when there is none or it is ambiguous."""
        for stem in _image_stems(mask_file):
            same_stem = self._images_by_stem.get(_strip_known_folders(stem), ())
            candidates = [name for name in same_stem if name != mask_file]
            image_file = candidates[0] if len(candidates) == 1 else self._image_lookup.find_by_stem(stem + ".png")
            if not image_file or image_file == mask_file:
                continue
            if candidates or _is_related_folder(posixpath.dirname(image_file), mask_file):
                return image_file
        return None


def _strip_known_folders(name: str) -> str:
    """Return ``name`` without the folders that only separate images from masks."""
    *folders, stem = name.split("/")
    return "/".join([*filter(None, map(_strip_kind_words, folders)), stem])


def _strip_kind_words(folder: str) -> str:
    """Return the name of a folder without what says that it holds images or masks: ``train`` for ``train_masks``."""
    folded = fold_accents(folder)
    if folded in MASK_FOLDERS | IMAGE_FOLDERS:
        return ""
    if folded.endswith("annot") and is_mask_folder(folder):
        return folder[: -len("annot")]
    words = re.split(r"[-_ ]", folder)
    return "_".join(word for word in words if fold_accents(word) not in MASK_WORDS | _IMAGE_WORDS)


def _is_related_folder(folder: str, mask_file: str) -> bool:
    """Whether an image in ``folder`` can belong to the mask: it is above the mask, or a folder for images."""
    is_ancestor = not folder or f"{posixpath.dirname(mask_file)}/".startswith(f"{folder}/")
    return is_ancestor or not IMAGE_FOLDERS.isdisjoint(fold_accents(folder).split("/"))


def _select_pairs(mask_set: MaskSet, builder: ObjectTableBuilder) -> list[tuple[str, str]]:
    """Return the pairs (mask, image), one per image.

    Masks without an image, second masks of an image and images without a mask are rejected.
    """
    mask_by_image: dict[str, str] = {}
    for mask_file, image_name in mask_set.pairs:
        if image_name is None:
            builder.reject(
                mask_file, _("its photo is missing"), _("add the photo, or remove the mask"), kind="no-image"
            )
        elif image_name in mask_by_image:
            reason = _("{photo} already has a mask: {mask}").format(photo=image_name, mask=mask_by_image[image_name])
            builder.reject(mask_file, reason, _("keep only one of them"), kind="double")
        else:
            mask_by_image[image_name] = mask_file
    for image_name in mask_set.images:
        if image_name not in mask_by_image:
            builder.reject(image_name, _("no mask"), _("draw one, or remove the photo"), kind="no-label")
    return [(mask_file, image_name) for image_name, mask_file in mask_by_image.items()]


def _load_colour_map(
    mask_set: MaskSet, pixel_values: set[PixelValue], void: frozenset[str], progress: Progress
) -> ColourMap:
    """Return the legend, or the default one with a message that names its classes.

    Raises ``UsageError`` where ``void`` names what neither the masks nor the legend have.
    """
    name = color_map.find_colour_map(
        mask_set.tree, {posixpath.dirname(mask_file) for mask_file, _image in mask_set.pairs}
    )
    if name:
        colour_map = color_map.read_colour_map(mask_set.tree, name, pixel_values, void)
    else:
        colour_map = color_map.make_default_colour_map(pixel_values, void)
    _require_known_void(void, colour_map, pixel_values)
    if not name and colour_map.names:
        text = _("There is no legend for the masks: the classes are named {names}.")
        progress.show_message(text.format(names=", ".join(colour_map.names)))
    return colour_map


def _require_known_void(void: frozenset[str], colour_map: ColourMap, pixel_values: set[PixelValue]) -> None:
    """Raise ``UsageError`` where ``void`` has a word that is no value or colour of the masks and no name of a class."""
    contents = [color_map.spell_content(one.value, one.colour) for one in pixel_values]
    known = {word for words in contents for word in words} | {name.casefold() for name in colour_map.void_names}
    unknown = sorted(word for word in void if word.casefold() not in known)
    if not unknown:
        return
    shown = sorted({words[0] for words in contents}, key=lambda word: (len(word), word))
    raise UsageError(
        _("--void names {names}, which the masks do not contain.").format(names=", ".join(unknown)),
        _("Expected values or colours of the masks: {values}.").format(values=", ".join(shown[:_MAX_SHOWN_VALUES])),
    )


# The (height, width) and the regions of a mask, or why it cannot be read.
MaskContent = tuple[tuple[int, int], list[MaskRegion]] | DataError


def _read_regions(tree: FileTree, names: Sequence[str], progress: Progress) -> list[MaskContent]:
    """Return the content of each mask, or its error, in the order of ``names``; reads with several threads."""
    contents: list[MaskContent] = []
    with progress.open_stage(_("Reading the masks"), len(names)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            contents += pool.map(lambda name: _read_mask(tree, name), batch)
            stage.advance(len(batch))
    return contents


def _read_mask(tree: FileTree, name: str) -> MaskContent:
    """Return the size and the regions of a mask, or the error."""
    try:
        pixels = png.decode_mask_png(tree.read(name))
        return (pixels.values.shape[0], pixels.values.shape[1]), _extract_regions(pixels)
    except DataError as error:
        return error


def _extract_regions(pixels: png.MaskPixels) -> list[MaskRegion]:
    """Return one region per value or colour, in ascending order.

    Raise ``DataError`` when there are more than 256, as in photographs and anti-aliased masks.
    """
    values = pixels.values
    if values.ndim == 3:
        channels = values.astype(np.int32)
        values = channels[..., 0] << 16 | channels[..., 1] << 8 | channels[..., 2]
    unique_values = np.unique(values) if values.dtype == np.int32 else np.flatnonzero(np.bincount(values.ravel()))
    if len(unique_values) > _MAX_COLOURS:
        raise DataError(
            _("{count:,} different values: not a mask, or one with anti-aliased edges").format(count=len(unique_values))
        )
    regions = []
    for value in unique_values.tolist():
        counts = rle.mask_to_counts(values == value)
        regions.append(
            MaskRegion(
                _pixel_value(value, pixels),
                rle.counts_to_string(counts),
                rle.compute_bounding_box(counts, values.shape[0]),
            )
        )
    return regions


def _pixel_value(value: int, pixels: png.MaskPixels) -> PixelValue:
    """Return what a pixel of this ``value`` stands for; in RGB masks ``value`` is the packed 24-bit colour."""
    if pixels.values.ndim == 3:
        red, green, blue = value >> 16, value >> 8 & 255, value & 255
        return PixelValue(None, (red, green, blue))
    if pixels.palette is not None and value < len(pixels.palette):
        red, green, blue = pixels.palette[value].tolist()
        return PixelValue(value, (red, green, blue))
    return PixelValue(value, (value, value, value))


def _check_size(builder: ObjectTableBuilder, mask_file: str, content: MaskContent, size: tuple[int, int]) -> bool:
    """Whether the mask could be read and has the size of its image; rejected otherwise."""
    if isinstance(content, DataError):
        builder.reject(mask_file, content.problem.rstrip("."), content.remedy.rstrip("."), kind="unusable")
        return False
    if content[0] != size:
        reason = _("{width} x {height} pixels, but its photo has {photo_width} x {photo_height}").format(
            width=content[0][1], height=content[0][0], photo_width=size[1], photo_height=size[0]
        )
        builder.reject(
            mask_file, reason, _("draw it at the displayed size and orientation of the photo"), kind="outside"
        )
        return False
    return True


def _add_objects(
    builder: ObjectTableBuilder,
    row: int,
    mask_file: str,
    content: tuple[tuple[int, int], list[MaskRegion]],
    colour_map: ColourMap,
) -> None:
    """Add one object per class to the image at ``row``; values that are not in the legend are rejected."""
    (height, _width), regions = content
    void_regions: list[MaskRegion] = []
    by_class: dict[int, list[MaskRegion]] = {}
    for region in regions:
        class_id = colour_map.find(region.pixel_value)
        if class_id is None:
            value = region.pixel_value.value
            shown_value = region.pixel_value.colour if value is None else value
            reason = _("{what} is not in the legend").format(what=shown_value)
            builder.reject(mask_file, reason, _("add it to the legend"), kind="class", row=row)
        elif class_id == color_map.VOID:
            void_regions.append(region)
        elif class_id != color_map.BACKGROUND:
            by_class.setdefault(class_id, []).append(region)
    builder.set_void(row, _merge_regions(void_regions, height).counts if void_regions else "")
    for class_id, class_regions in sorted(by_class.items()):
        merged = _merge_regions(class_regions, height)
        builder.add(row, RawObject(class_id, merged.box, mask_file, mask=merged.counts))


def _merge_regions(regions: Sequence[MaskRegion], height: int) -> MaskRegion:
    """Return the union of regions of the same class, of one at least."""
    if len(regions) == 1:
        return regions[0]
    counts = rle.merge_counts([rle.string_to_counts(region.counts) for region in regions])
    return MaskRegion(regions[0].pixel_value, rle.counts_to_string(counts), rle.compute_bounding_box(counts, height))


def _split_from_path(image_name: str) -> int:
    """Return the split that a folder of the image is named after, the innermost one if there are several."""
    splits = map(parse_split_name, reversed(image_name.split("/")[:-1]))
    return next((split for split in splits if split is not None), UNASSIGNED)


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.MASKS | Capability.VOID | Capability.SPLITS | Capability.CLASSES | Capability.NEGATIVES,
    write,
    image_path,
)
