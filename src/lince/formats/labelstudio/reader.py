"""Reads Label Studio's JSON, JSON_MIN and CSV exports: tasks, each an image with its annotations (labelstud.io).

Of several annotations of one task, the first that was not cancelled counts; the others are
rejected. Texts and ratings given to single regions are ignored. A labelling configuration (XML with
the root ``View``) beside the tasks gives the order of the classes; otherwise they are sorted by
name.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from lince.annotations import RejectedItem
from lince.errors import DataError
from lince.formats.builders.class_index import ClassIndex
from lince.formats.builders.object_table import ObjectTableBuilder
from lince.formats.csv_text import CSV_SUFFIXES
from lince.formats.format import Capability, Format
from lince.formats.image_lookup import ImageLookup, read_image_size
from lince.formats.labelstudio.csv_tasks import is_task_table, read_tasks
from lince.formats.labelstudio.shapes import AnnotationRegion, get_image_classes, get_region_labels, parse_region
from lince.formats.labelstudio.writer import image_path, write
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.parsing import json_reader, xml_reader
from lince.parsing.json_reader import JsonNode, JsonValueError, is_encodable_text
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, infer_split_from_folders
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.scan import looks_like_image
from lince.storage.tree import DataLocation, FileTree

NAME = "labelstudio"
_PROBE_COUNT = 8  # files opened to recognise the format
_HEAD_BYTES = 2048
_MAX_REFERENCE_LENGTH = 4096  # characters; longer texts are not paths
_ANNOTATION_KEYS = {"result", "completed_by", "was_cancelled"}
_MINIMAL_KEYS = {"annotator", "annotation_id", "lead_time"}
_METADATA_KEYS = _MINIMAL_KEYS | {"created_at", "updated_at"}
_SERVER_PREFIX = re.compile(r"[a-z][a-z0-9+.-]*://[^/]*/", re.IGNORECASE)
_UPLOAD_NAME = re.compile(r"((?:.*/)?)[0-9a-f]{8}-(.+)")


def detect(location: DataLocation) -> str | None:
    """Return the evidence that ``location`` holds Label Studio tasks, ``None`` when it does not."""
    names = location.find_by_suffix(".json")
    matches = [name for name in names[:: max(1, len(names) // _PROBE_COUNT)] if _is_task_list(location.tree, name)]
    tables = location.find_by_suffix(*CSV_SUFFIXES)[:_PROBE_COUNT]
    matches = matches or [name for name in tables if is_task_table(location.tree, name)]
    return _("Label Studio's tasks: {names}").format(names=", ".join(matches[:2])) if matches else None


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read every task of the JSON files at ``location``, or of its tables where none of those holds tasks.

    The split is ``split`` or ``subset`` in the data of the task, else the name of a folder of its
    image. Tasks without image or annotation, and results that are not boxes, polygons, ellipses,
    brushes or choices, are rejected. Raise ``DataError`` when a file is not JSON, and
    ``JsonValueError`` when it is not a list.
    """
    image_lookup, names, other_files = _locate_files(location)
    reader = _LabelStudioReader(image_lookup, options)
    reader.reject_files(other_files)
    for name in names:
        if name.lower().endswith(CSV_SUFFIXES):
            for node in read_tasks(image_lookup.tree, name):
                reader.add(node, name)
            continue
        root = JsonNode(json_reader.load_json(image_lookup.tree, name), name)
        if not isinstance(root.value, list):
            raise root.make_error(_("a list of tasks"))
        with progress.open_stage(_("Reading the labels"), len(root.value)) as stage:
            for task in root.items():
                reader.add(task, name)
                stage.advance()
    return reader.build_table(location)


class _LabelStudioReader:
    """Collects the images and objects of tasks."""

    def __init__(self, image_lookup: ImageLookup, options: ReadOptions) -> None:
        self._image_lookup = image_lookup
        self._builder = ObjectTableBuilder(options)
        self._class_index = ClassIndex(_configured_classes(image_lookup.tree, self._builder))
        self._used_images: set[str] = set()
        self._named_images: set[str] = set()

    def reject_files(self, names: list[str]) -> None:
        """Reject the JSON files ``names`` that are not lists of tasks."""
        for name in names:
            self._builder.reject(name, _("not the tasks of Label Studio"), _("export it again, or move it elsewhere"))

    def add(self, task: JsonNode | JsonValueError, label_file: str) -> None:
        """Add a task of ``label_file``, or its rejection, or that of an error."""
        try:
            if isinstance(task, JsonValueError):
                raise task
            self._add_task(task, label_file)
        except JsonValueError as error:
            self._builder.reject(error.path, error.reason, error.remedy, kind=error.kind)

    def build_table(self, location: DataLocation) -> LabelTable:
        """Return the table of all tasks added; the images of ``location`` without a task are rejected."""
        self._builder.rejected += self._image_lookup.pop_guesses()
        self._builder.rejected += self._image_lookup.list_unnamed(self._named_images, location)
        return self._class_index.finalise_table(
            self._builder.build_table(self._image_lookup.tree, NAME, self._class_index.names)
        )

    def _add_task(self, task: JsonNode, label_file: str) -> None:
        """Add the image and the objects of a task; raise ``JsonValueError`` when it cannot be used."""
        if not isinstance(task.value, dict):
            raise task.make_error(_("a task"))
        data = task.value["data"] if isinstance(task.value.get("data"), dict) else task.value
        reference, folder = _image_reference(data), posixpath.dirname(label_file)
        image_name = self._find_image(reference, folder)
        if image_name is None:
            reason = _("its photo {name} is missing").format(name=json_reader.format_value(reference))
            reason = self._image_lookup.explain_missing(reason, _read_file_name(reference), folder)
            raise JsonValueError(task.path, reason, "no-image")
        self._named_images.add(image_name)
        if image_name in self._used_images:
            raise JsonValueError(task.path, _("{name} appears twice").format(name=image_name), "double")
        self._refused_results = 0
        regions = self._parse_regions(task)
        if regions is None:
            raise JsonValueError(task.path, _("{name} has not been labelled yet").format(name=image_name), "no-label")
        self._used_images.add(image_name)
        if posixpath.basename(image_name) not in map(posixpath.basename, _candidate_paths(reference)):
            self._image_lookup.note_guess(_read_file_name(reference), image_name, label_file)
        class_names = [name for region in regions for name in get_image_classes(region)]
        class_ids = [self._class_index.get_id(name) for name in class_names] or None
        size = next(filter(all, (region.size for region in regions)), None) or read_image_size(
            self._image_lookup.tree, image_name
        )
        row = self._builder.add_image(image_name, _find_split(data, image_name), size, class_ids)
        self._builder.count_refused(row, self._refused_results)
        self._add_objects(row, regions, size)

    def _parse_regions(self, task: JsonNode) -> list[AnnotationRegion] | None:
        """Return the regions of the annotation that counts; ``None`` when there is no annotation.

        Tasks of JSON_MIN have no list of annotations but the keys of one, and the regions among
        their own values.
        """
        key = "completions" if "completions" in task.value else "annotations"
        if not isinstance(task.value.get(key), list):
            return (
                list(self._parse_each(_parse_minimal, _minimal_results(task)))
                if _MINIMAL_KEYS & task.value.keys()
                else None
            )
        used_annotation: JsonNode | None = None
        for annotation in task.get_child(key).items():
            is_cancelled = (
                annotation.get_child("was_cancelled").value is True or annotation.get_child("skipped").value is True
            )
            if is_cancelled:
                self._reject_annotation(annotation, _("an annotation that was cancelled"))
            elif used_annotation is not None:
                self._reject_annotation(annotation, _("another annotation of the same task"))
            else:
                used_annotation = annotation
        return (
            None
            if used_annotation is None
            else list(self._parse_each(AnnotationRegion.from_result, used_annotation.get_child("result").items()))
        )

    def _parse_each(
        self, parse: Callable[[JsonNode], AnnotationRegion], nodes: Iterable[JsonNode]
    ) -> Iterator[AnnotationRegion]:
        """Yield what ``parse`` makes of each of ``nodes``; those that it cannot read are rejected."""
        for node in nodes:
            try:
                yield parse(node)
            except JsonValueError as error:
                self._builder.reject(error.path, error.reason, error.remedy, kind=error.kind)
                self._refused_results += 1

    def _reject_annotation(self, annotation: JsonNode, reason: str) -> None:
        """Reject an annotation that does not count."""
        self._builder.reject(annotation.path, reason, _("the first that was not cancelled counts; remove the others"))

    def _add_objects(self, row: int, regions: list[AnnotationRegion], size: tuple[int, int]) -> None:
        """Add the regions that mark objects on an image of ``size`` (height, width).

        Label Studio may export one region as several results with the same id: one with its label,
        and others, such as ratings, which are skipped.
        """
        labelled_ids = {region.id for region in regions if region.id and get_region_labels(region)}
        for region in regions:
            if get_image_classes(region) or (region.id in labelled_ids and not get_region_labels(region)):
                continue
            try:
                name, make_object = parse_region(region, size)
            except JsonValueError as error:
                self._builder.reject(error.path, error.reason, error.remedy, kind=error.kind, row=row)
            except DataError as error:
                self._builder.reject(region.path, error.problem, error.remedy, row=row)
            else:
                self._builder.add(row, make_object(self._class_index.get_id(name)))

    def _find_image(self, reference: str, folder: str) -> str | None:
        """Return the image that ``reference`` in a file in ``folder`` means, ``None`` if there is none."""
        if len(reference) > _MAX_REFERENCE_LENGTH or not is_encodable_text(reference):
            return None
        for find in (self._image_lookup.find, self._image_lookup.find_by_name_or_stem):
            for path in _candidate_paths(reference):
                image_name = find(path, folder)
                if image_name is not None and is_encodable_text(image_name):
                    return image_name
        return None


def _candidate_paths(reference: str) -> Iterator[str]:
    """Yield the paths that the ``reference`` to an image may stand for.

    It may be a path, a URL, or a path of Label Studio's local storage (``?d=...``), percent-encoded
    or not; uploaded files have eight hexadecimal digits before their own name.
    """
    path = _SERVER_PREFIX.sub("", reference.strip(), count=1)
    if "?d=" in path:
        path = path.partition("?d=")[2].partition("&")[0]
    elif path != reference.strip():
        path = path.partition("?")[0]
    for candidate in dict.fromkeys((path, unquote(path))):
        yield candidate
        upload_match = _UPLOAD_NAME.fullmatch(candidate)
        if upload_match:
            yield upload_match[1] + upload_match[2]


def _read_file_name(reference: str) -> str:
    """Return the file name in the ``reference`` to an image, which is otherwise an address or a path of the server."""
    return posixpath.basename(unquote(next(_candidate_paths(reference)).replace("\\", "/")))


def _image_reference(data: dict[str, Any]) -> str:
    """Return the reference to the image in the data of a task, '' when there is no text.

    This is ``image``, if it looks like one, else the first value that does.
    """
    texts = [value for value in (data.get("image"), *data.values()) if isinstance(value, str)]
    image_like = (text for text in texts if looks_like_image(text.partition("?")[0]) or looks_like_image(text))
    return next(image_like, texts[0] if texts else "")


def _minimal_results(task: JsonNode) -> Iterator[JsonNode]:
    """Yield the results in a task of JSON_MIN: regions one by one, and choices.

    They are the values after the key ``id``, under the names of the controls that the labelling
    configuration chose.
    """
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
    """Return the region or choice at ``node`` of JSON_MIN; raise ``JsonValueError`` when it is neither."""
    return (
        AnnotationRegion(node.path, {"choices": node.value}, {})
        if isinstance(node.value, str)
        else AnnotationRegion.from_minimal(node)
    )


def _find_split(data: dict[str, Any], image_name: str) -> int:
    """Return the split in the data of a task, else that of the image's folders."""
    split_name = data.get("split", data.get("subset"))
    if isinstance(split_name, str) and split_name.lower() in SPLIT_WORDS:
        return SPLIT_WORDS[split_name.lower()]
    return infer_split_from_folders(image_name)


def _configured_classes(tree: FileTree, builder: ObjectTableBuilder) -> list[str]:
    """Return the classes in the order of the first labelling configuration in ``tree``; empty if there is none.

    An XML file that cannot be parsed is rejected in ``builder``.
    """
    for name in tree.listing.find_by_suffix(".xml")[:_PROBE_COUNT]:
        try:
            if xml_reader.read_root_tag(tree.head(name, _HEAD_BYTES)) != "View":
                continue
            root = xml_reader.parse_xml(tree.read(name, xml_reader.MAX_XML_BYTES), name)
        except DataError as error:
            root = RejectedItem(name, error.problem, error.remedy)
        if isinstance(root, RejectedItem):
            builder.rejected.append(root)
            continue
        label_attributes = (
            element.attributes for element in root.iterate_descendants() if element.tag in ("Label", "Choice")
        )
        return [
            name
            for attributes in label_attributes
            if (name := (attributes.get("alias") or attributes.get("value", "")).strip())
        ]
    return []


def _is_task_list(tree: FileTree, name: str) -> bool:
    """Whether the beginning of the JSON file ``name`` is that of a list of Label Studio tasks."""
    value = json_reader.peek_json(tree, name)
    first = value[0] if isinstance(value, list) and value else None
    if not isinstance(first, dict):
        return False
    annotations = first.get("annotations", first.get("completions"))
    if not isinstance(annotations, list):
        return bool(_MINIMAL_KEYS & first.keys()) or (isinstance(first.get("data"), dict) and "predictions" in first)
    annotation = annotations[0] if annotations else {}
    return isinstance(first.get("data"), dict) or (
        isinstance(annotation, dict) and bool(_ANNOTATION_KEYS & annotation.keys())
    )


def _locate_files(location: DataLocation) -> tuple[ImageLookup, list[str], list[str]]:
    """Return the images, the files or else tables with tasks, and the other JSON files.

    The images are those of the location itself or of a parent folder, whichever has some first; the
    files are relative to the same root.
    """
    json_files = location.find_by_suffix(".json")
    task_files = [name for name in json_files if location.file or _is_task_list(location.tree, name)]
    other_files = sorted(set(json_files) - set(task_files))
    if not task_files:
        tables = location.find_by_suffix(*CSV_SUFFIXES)
        task_files = [name for name in tables if is_task_table(location.tree, name)]
    first: tuple[ImageLookup, list[str], list[str]] | None = None
    for tree, prefix in iterate_parent_trees(location):
        candidate = ImageLookup(tree), [prefix + name for name in task_files], [prefix + name for name in other_files]
        if candidate[0].names:
            return candidate
        first = first or candidate
    return first or (ImageLookup(location.tree), task_files, other_files)


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
