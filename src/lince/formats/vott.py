"""Reads VoTT 2 (Microsoft's Visual Object Tagging Tool): its JSON export, or the file that it keeps for each image.

The export holds all images and regions; without one, the files ``ID-asset.json`` of the project are read, and the
project itself (``.vott``) gives the order of the tags.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from lince.errors import DataError
from lince.formats.builders.entry_table import EntryTableBuilder, ImageEntry
from lince.formats.builders.shapes import Shape, are_coordinates, make_polygon
from lince.formats.format import Capability, Format
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.parsing.json_reader import (
    JsonNode,
    JsonValueError,
    format_value,
    is_encodable_text,
    load_json,
    parse_image_side,
    peek_json,
)
from lince.progress import SILENT, Progress
from lince.storage.tree import DataLocation, FileTree

NAME = "vott"
_ASSET_SUFFIX = "-asset.json"
_PROJECT_SUFFIX = ".vott"
_MAX_PROBES = 64
_NOT_VISITED = 0  # the state of an image that nobody has looked at


def detect(location: DataLocation) -> str | None:
    """Return the names of the exports or asset files of VoTT, ``None`` when there are none."""
    names = _find_label_files(location, _MAX_PROBES)
    return _("JSON of VoTT: {names}").format(names=", ".join(names[:2])) if names else None


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read every image of the exports, or of the asset files where there is no export.

    An image that was visited and has no region shows no object; one that was not is rejected. Raise ``DataError`` when
    a file is damaged.
    """
    label_files = [location.file] if location.file else _find_label_files(location)
    nodes = [node for name in label_files for node in _load_assets(location.tree, name)]
    table = EntryTableBuilder(location, ((_file_of(node), _sample_reference(node)) for node in nodes), options)
    for name in (*location.tree.listing.find_by_suffix(_PROJECT_SUFFIX), *label_files):
        table.class_index.declare_classes(_read_tags(location.tree, name))
    with progress.open_stage(_("Reading the labels"), len(nodes)) as stage:
        for node in nodes:
            try:
                _add_asset(table, node)
            except JsonValueError as error:
                table.reject_value(error)
            stage.advance()
    return table.build_table(NAME)


def _load_assets(tree: FileTree, name: str) -> list[JsonNode]:
    """Return the records of images in a file; raise ``DataError`` when it has none."""
    root = JsonNode(load_json(tree, name), name)
    if isinstance(root.value, dict) and "asset" in root.value:
        return [root]
    try:
        assets = root.get_child("assets")
        if isinstance(assets.value, dict):
            return [assets.get_child(key) for key in assets.value]
        return list(assets.items())
    except JsonValueError as error:
        raise error.to_file_error(tree.root) from error


def _file_of(node: JsonNode) -> str:
    return node.path.partition("#")[0]


def _sample_reference(node: JsonNode) -> str:
    try:
        return _read_references(node.get_child("asset"))[0]
    except JsonValueError:
        return ""


def _read_references(asset: JsonNode) -> tuple[str, ...]:
    """Return what the image of an asset may be called: its name, then the end of its path or address."""
    path = asset.get_child("path").value
    names = [unquote(path.partition("?")[0]).removeprefix("file:")] if isinstance(path, str) else []
    return asset.get_text("name"), *(name for name in names if name and is_encodable_text(name))


def _add_asset(table: EntryTableBuilder, node: JsonNode) -> None:
    """Add an image and its regions; raise ``JsonValueError`` where the record is not one."""
    asset, regions = node.get_child("asset"), list(node.get_child("regions").items())
    references = _read_references(asset)
    if not regions and asset.value.get("state") == _NOT_VISITED:
        raise JsonValueError(node.path, _("{name} has not been labelled yet").format(name=references[0]), "no-label")
    size, count = _read_size(asset), len(regions)
    row = table.add_image(ImageEntry(_file_of(node), node.path, references, size=size, object_count=count))
    for region in regions if row is not None else ():
        try:
            class_name, shape = _read_tag(region), _parse_shape(region)
        except JsonValueError as error:
            table.reject_value(error, row)
        else:
            table.add_object(row or 0, class_name, shape, region.path)


def _read_size(asset: JsonNode) -> tuple[int, int]:
    size = asset.value.get("size")
    height, width = (parse_image_side(size.get(key)) if isinstance(size, dict) else 0 for key in ("height", "width"))
    return (height, width) if height and width else (0, 0)


def _read_tag(region: JsonNode) -> str:
    """Return the only tag of a region; raise ``JsonValueError`` for none, or several."""
    tags = [tag for tag in region.get_child("tags").as_list() if isinstance(tag, str) and is_encodable_text(tag)]
    if not any(tag.strip() for tag in tags):
        raise JsonValueError(region.path, _("a shape without a label"), "no-class")
    if len(tags) > 1:
        reason = _("it has several classes: {names}").format(names=", ".join(tags))
        raise JsonValueError(region.path, reason, "several-classes")
    return tags[0]


def _parse_shape(region: JsonNode) -> Shape:
    """Return the box or polygon of a region in pixels; raise ``JsonValueError`` for anything else."""
    kind = region.get_child("type").value
    if kind in ("RECTANGLE", "SQUARE"):
        box = region.get_child("boundingBox")
        left, top, width, height = (box.get_number(key) for key in ("left", "top", "width", "height"))
        return Shape((left, top, left + width, top + height))
    if kind != "POLYGON":
        reason = _("a shape of type {kind}, which has no area").format(kind=format_value(kind))
        raise JsonValueError(region.path, reason)
    points = [(point.get_number("x"), point.get_number("y")) for point in region.get_child("points").items()]
    if len(points) < 3:
        raise JsonValueError(region.path, _("a polygon of {count} points").format(count=len(points)), "empty")
    if not all(map(are_coordinates, points)):
        raise JsonValueError(region.path, _("a coordinate is not a number"), "number")
    return make_polygon(points)


def _read_tags(tree: FileTree, name: str) -> Iterator[str]:
    """Yield the tags of a project or an export in their order; none where it cannot be read."""
    try:
        tags = JsonNode(load_json(tree, name), name).get_child("tags").value
        for node in JsonNode(tags, name).items() if isinstance(tags, list) else ():
            yield node.get_text("name")
    except DataError:
        return


def _find_label_files(location: DataLocation, probes: int | None = None) -> list[str]:
    """Return the exports among the first ``probes`` JSON files (all when ``None``); without any, the asset files."""
    names = location.find_by_suffix(".json")[:probes]
    exports = [name for name in names if not name.endswith(_ASSET_SUFFIX) and _is_export(location.tree, name)]
    return exports or [name for name in names if name.endswith(_ASSET_SUFFIX) and _is_asset(location.tree, name)]


def _is_export(tree: FileTree, name: str) -> bool:
    """Whether a JSON file begins as an export: a record of ``assets`` with regions."""
    value = peek_json(tree, name)
    assets = value.get("assets") if isinstance(value, dict) else None
    values: Any = assets.values() if isinstance(assets, dict) else assets if isinstance(assets, list) else ()
    first = next(iter(values), None)
    return isinstance(first, dict) and isinstance(first.get("asset"), dict)


def _is_asset(tree: FileTree, name: str) -> bool:
    value = peek_json(tree, name)
    return isinstance(value, dict) and isinstance(value.get("asset"), dict) and "regions" in value


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.BOXES | Capability.OUTLINES | Capability.SPLITS | Capability.CLASSES | Capability.NEGATIVES,
)
