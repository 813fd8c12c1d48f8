"""Label Studio's JSON and JSON_MIN: a list of tasks, each a photo and what was drawn on it (labelstud.io, Task format).

Of several annotations of one task, the first that was not cancelled counts; the others are listed. What is said about a
region beside its label (texts, ratings) is passed over. A labelling configuration (XML with the root ``View``) beside
the tasks gives the order of the classes.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from lince.annotations import UNLABELLED, RejectedItem
from lince.errors import DataError
from lince.formats.builders.class_index import ClassIndex
from lince.formats.builders.object_table import ObjectTableBuilder
from lince.formats.format import Capability, Format
from lince.formats.image_lookup import ImageLookup, read_image_size
from lince.formats.labelstudio.shapes import AnnotationRegion, get_image_class, get_region_labels, parse_region
from lince.formats.labelstudio.writer import image_path, write
from lince.formats.table import ReadOptions, Table
from lince.i18n import _
from lince.parsing import json_reader, xml_reader
from lince.parsing.json_reader import JsonNode, JsonValueError, is_encodable_text
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, UNASSIGNED
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.scan import looks_like_image
from lince.storage.tree import DataLocation, FileTree

NAME = "labelstudio"
_PROBE_COUNT = 8
_HEAD_BYTES = 2048
_MAX_MENTION_LENGTH = 4096
_ANNOTATION_KEYS = {"result", "completed_by", "was_cancelled"}
_MINIMAL_KEYS = {"annotator", "annotation_id", "lead_time"}
_METADATA_KEYS = _MINIMAL_KEYS | {"created_at", "updated_at"}
_SERVER_PREFIX = re.compile(r"[a-z][a-z0-9+.-]*://[^/]*/", re.IGNORECASE)
_UPLOAD_NAME = re.compile(r"((?:.*/)?)[0-9a-f]{8}-(.+)")


def detect(place: DataLocation) -> str | None:
    """Return what speaks for Label Studio at ``place``: JSON with its tasks; ``None`` when nothing does."""
    names = place.find_by_suffix(".json")
    found = [name for name in names[:: max(1, len(names) // _PROBE_COUNT)] if _is_task_list(place.tree, name)]
    return _("Label Studio's tasks: {names}").format(names=", ".join(found[:2])) if found else None


def read(place: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> Table:
    """Read every task of the JSON files at ``place``; the split is in its data, else in the folder of its photo.

    Raise ``DataError`` when a file is not JSON.
    """
    photos, names, others = _locate_files(place)
    reader = _LabelStudioReader(photos, options)
    reader.reject_files(others)
    for name in names:
        root = JsonNode(json_reader.load_json(photos.tree, name), name)
        if not isinstance(root.value, list):
            raise root.make_error(_("a list of tasks"))
        with progress.open_stage(_("Reading the labels"), len(root.value)) as stage:
            for task in root.items():
                reader.add(task, posixpath.dirname(name))
                stage.advance()
    return reader.build_table()


class _LabelStudioReader:
    def __init__(self, photos: ImageLookup, options: ReadOptions) -> None:
        self._image_lookup = photos
        self._builder = ObjectTableBuilder(options)
        self._class_index = ClassIndex(_configured_classes(photos.tree, self._builder))
        self._used_images: set[str] = set()

    def reject_files(self, others: list[str]) -> None:
        """Name the files that are something else."""
        for name in others:
            self._builder.reject(name, _("not the tasks of Label Studio"), _("export it again, or move it elsewhere"))

    def add(self, task: JsonNode, near: str) -> None:
        """Add one task of a file in the folder ``near``."""
        try:
            self._add_task(task, near)
        except JsonValueError as error:
            self._builder.reject(error.path, error.reason, error.remedy, kind=error.kind)

    def build_table(self) -> Table:
        """Return the table of all tasks."""
        return self._class_index.finalise_table(
            self._builder.build_table(self._image_lookup.tree, NAME, self._class_index.names)
        )

    def _add_task(self, task: JsonNode, near: str) -> None:
        if not isinstance(task.value, dict):
            raise task.make_error(_("a task"))
        data = task.value["data"] if isinstance(task.value.get("data"), dict) else task.value
        mention = _image_mention(data)
        photo = self._find_image(mention, near)
        if photo is None:
            shown = json_reader.format_value(mention)
            raise JsonValueError(task.path, _("its photo {name} is not there").format(name=shown), "no-image")
        if photo in self._used_images:
            raise JsonValueError(task.path, _("{name} stands twice").format(name=photo), "double")
        regions = self._parse_regions(task)
        if regions is None:
            raise JsonValueError(task.path, _("nobody has labelled {name} yet").format(name=photo), "no-label")
        self._used_images.add(photo)
        shape = next(filter(all, (region.size for region in regions)), None) or read_image_size(
            self._image_lookup.tree, photo
        )
        row = self._builder.add_image(photo, _find_split(data, photo), shape, self._image_class(regions))
        self._add_objects(row, regions, shape)

    def _parse_regions(self, task: JsonNode) -> list[AnnotationRegion] | None:
        """Return what the annotation that counts says; ``None`` when there is no annotation."""
        key = "completions" if "completions" in task.value else "annotations"
        if not isinstance(task.value.get(key), list):
            return (
                list(self._parse_each(_parse_minimal, _minimal_results(task)))
                if _MINIMAL_KEYS & task.value.keys()
                else None
            )
        chosen: JsonNode | None = None
        for annotation in task.get_child(key).items():
            cancelled = (
                annotation.get_child("was_cancelled").value is True or annotation.get_child("skipped").value is True
            )
            if cancelled:
                self._reject_annotation(annotation, _("an annotation that was cancelled"))
            elif chosen is not None:
                self._reject_annotation(annotation, _("another annotation of the same task"))
            else:
                chosen = annotation
        return (
            None
            if chosen is None
            else list(self._parse_each(AnnotationRegion.from_result, chosen.get_child("result").items()))
        )

    def _parse_each(
        self, make: Callable[[JsonNode], AnnotationRegion], nodes: Iterable[JsonNode]
    ) -> Iterator[AnnotationRegion]:
        for node in nodes:
            try:
                yield make(node)
            except JsonValueError as error:
                self._builder.reject(error.path, error.reason, error.remedy, kind=error.kind)

    def _reject_annotation(self, annotation: JsonNode, reason: str) -> None:
        self._builder.reject(annotation.path, reason, _("the first that was not cancelled counts; remove the others"))

    def _image_class(self, regions: list[AnnotationRegion]) -> int:
        """Return the class of the image as a whole; further ones are refused."""
        found = UNLABELLED
        for region in regions:
            name = get_image_class(region)
            if name and found == UNLABELLED:
                found = self._class_index.get_id(name)
            elif name:
                self._builder.reject(region.path, _("an image of several classes"), _("keep one"))
        return found

    def _add_objects(self, row: int, regions: list[AnnotationRegion], shape: tuple[int, int]) -> None:
        labelled = {region.id for region in regions if region.id and get_region_labels(region)}
        for region in regions:
            if get_image_class(region) or (region.id in labelled and not get_region_labels(region)):
                continue
            try:
                name, mark = parse_region(region, shape)
            except JsonValueError as error:
                self._builder.reject(error.path, error.reason, error.remedy, kind=error.kind)
            except DataError as error:
                self._builder.reject(region.path, error.problem, error.remedy)
            else:
                self._builder.add(row, mark(self._class_index.get_id(name)))

    def _find_image(self, mention: str, near: str) -> str | None:
        if len(mention) > _MAX_MENTION_LENGTH or not is_encodable_text(mention):
            return None
        for name in _candidate_paths(mention):
            found = self._image_lookup.find(name, near)
            if found is not None and is_encodable_text(found):
                return found
        return None


def _candidate_paths(mention: str) -> Iterator[str]:
    """Yield what ``mention`` may call the photo: a path, one of local storage or a server, without upload's prefix."""
    path = _SERVER_PREFIX.sub("", mention.strip(), count=1)
    if "?d=" in path:
        path = path.partition("?d=")[2].partition("&")[0]
    elif path != mention.strip():
        path = path.partition("?")[0]
    for name in dict.fromkeys((path, unquote(path))):
        yield name
        uploaded = _UPLOAD_NAME.fullmatch(name)
        if uploaded:
            yield uploaded[1] + uploaded[2]


def _image_mention(data: dict[str, Any]) -> str:
    """Return what the data of a task call its photo: under ``image``, else the first that looks like one."""
    texts = [value for value in (data.get("image"), *data.values()) if isinstance(value, str)]
    likely = (text for text in texts if looks_like_image(text.partition("?")[0]) or looks_like_image(text))
    return next(likely, texts[0] if texts else "")


def _minimal_results(task: JsonNode) -> Iterator[JsonNode]:
    """Yield what a task of JSON_MIN says: regions one by one, and choices, which stand after its id."""
    keys = list(task.value)
    for key in keys[keys.index("id") + 1 if "id" in keys else 0 :]:
        node = task.get_child(key)
        if key in _METADATA_KEYS or node.value is None:
            continue
        if isinstance(node.value, list):
            yield from node.items()
        else:
            yield node


def _parse_minimal(node: JsonNode) -> AnnotationRegion:
    """Return the region or the choice at ``node``; raise ``WrongValueError`` when it is neither."""
    return (
        AnnotationRegion(node.path, {"choices": node.value}, {})
        if isinstance(node.value, str)
        else AnnotationRegion.from_minimal(node)
    )


def _find_split(data: dict[str, Any], photo: str) -> int:
    said = data.get("split", data.get("subset"))
    if isinstance(said, str) and said.lower() in SPLIT_WORDS:
        return SPLIT_WORDS[said.lower()]
    folders = [] if posixpath.isabs(photo) else photo.lower().split("/")[:-1]
    return next((SPLIT_WORDS[word] for word in folders if word in SPLIT_WORDS), UNASSIGNED)


def _configured_classes(tree: FileTree, marks: ObjectTableBuilder) -> list[str]:
    """Return the classes in the order of a labelling configuration in ``tree``, if there is one."""
    for name in tree.listing.find_by_suffix(".xml")[:_PROBE_COUNT]:
        try:
            if xml_reader.read_root_tag(tree.head(name, _HEAD_BYTES)) != "View":
                continue
            root = xml_reader.parse_xml(tree.read(name, xml_reader.MAX_XML_BYTES), name)
        except DataError as error:
            root = RejectedItem(name, error.problem, error.remedy)
        if isinstance(root, RejectedItem):
            marks.rejected.append(root)
            continue
        labels = (part.attributes for part in root.iterate_descendants() if part.tag in ("Label", "Choice"))
        return [name for label in labels if (name := (label.get("alias") or label.get("value", "")).strip())]
    return []


def _is_task_list(tree: FileTree, name: str) -> bool:
    value = json_reader.peek_json(tree, name)
    first = value[0] if isinstance(value, list) and value else None
    if not isinstance(first, dict):
        return False
    annotations = first.get("annotations", first.get("completions"))
    if not isinstance(annotations, list):
        return bool(_MINIMAL_KEYS & first.keys()) or (isinstance(first.get("data"), dict) and "predictions" in first)
    inner = annotations[0] if annotations else {}
    return isinstance(first.get("data"), dict) or (isinstance(inner, dict) and bool(_ANNOTATION_KEYS & inner.keys()))


def _locate_files(place: DataLocation) -> tuple[ImageLookup, list[str], list[str]]:
    """Return the photos, of the place or the folders beside it; the label files, and other JSON, as seen from there."""
    there = place.find_by_suffix(".json")
    named = [name for name in there if place.file or _is_task_list(place.tree, name)]
    others = sorted(set(there) - set(named))
    first: tuple[ImageLookup, list[str], list[str]] | None = None
    for tree, prefix in iterate_parent_trees(place):
        found = ImageLookup(tree), [prefix + name for name in named], [prefix + name for name in others]
        if found[0].names:
            return found
        first = first or found
    return first or (ImageLookup(place.tree), named, others)


FORMAT = Format(
    NAME,
    detect,
    read,
    (
        Capability.LABELS
        | Capability.BOXES
        | Capability.OUTLINES
        | Capability.MASKS
        | Capability.SPLITS
        | Capability.CLASSES
    )
    | (Capability.NEGATIVES | Capability.EXTERNAL_PATHS),
    write,
    image_path,
)
