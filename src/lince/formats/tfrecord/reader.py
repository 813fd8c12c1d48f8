"""TFRecord files of the TF Object Detection API, and of image classification, with their ``label_map.pbtxt``.

The features are those of the API's ``tf_example_decoder``. Boxes are stored there as 32-bit shares of the image; each
side is read as the shortest decimal number of pixels that these 32 bits stand for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lince.annotations import UNLABELLED, RejectedItem
from lince.errors import DataError, ImageError, UsageError
from lince.formats.builders.classification_table import shorten_list
from lince.formats.builders.object_table import ObjectTableBuilder, RawObject
from lince.formats.format import Capability, Format
from lince.formats.table import ReadOptions, Table
from lince.formats.tfrecord import classes as tfrecord_classes
from lince.formats.tfrecord import example
from lince.formats.tfrecord.classes import RecordClasses
from lince.formats.tfrecord.example import ParsedExample, ParsedObject, choose_image_suffix, decode_object_mask
from lince.formats.tfrecord.shards import (
    HEADER_BYTES,
    Record,
    RecordImageTree,
    ShardSet,
    is_compressed,
    is_record_header,
    iterate_records,
)
from lince.formats.tfrecord.writer import write
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, UNASSIGNED
from lince.storage.tree import DataLocation, get_file_stem

NAME = "tfrecord"
_SUFFIXES = (".tfrecord", ".tfrecords", ".tfrec", ".record", ".records")
_SHARD_NAME = re.compile(r"(?P<set>.*)-(?P<number>\d{3,6})-of-(?P<count>\d{3,6})(?P<end>[.\w]*)")
_PROBE_COUNT = 3
_PREFIX_BYTES = 64  # bytes by which a picture is found in its record


def detect(place: DataLocation) -> str | None:
    """Return what speaks for records at ``place``: the names, and a first record whose checksum is right."""
    files = _record_files(place)
    if not any(_looks_like_records(place, name) for name in files[:_PROBE_COUNT]):
        return None
    return _("record files: {names}").format(names=shorten_list(files))


def read(place: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> Table:
    """Read every record: its picture stays in its file and is read from there; train, val and test by file name.

    Damaged records, pictures that are none, and objects of a class that is not in the label map are rejected with the
    file and the number of the record. Raise ``DataError`` for a label map that cannot be understood.
    """
    files = _record_files(place)
    if not files:
        raise UsageError(
            _("{path} holds no record files.").format(path=place.path),
            _("Expected names that end in {endings}, or such as {example}.").format(
                endings=", ".join(_SUFFIXES), example="train-00000-of-00010"
            ),
        )
    items, where = tfrecord_classes.find_label_map(place, files)
    if where:
        progress.show_message(_("Classes by the label map {path}.").format(path=where))
    reader = _TfRecordReader(place, options, RecordClasses(items))
    with progress.open_stage(_("Reading record files"), len(files)) as stage:
        for name in files:
            reader.read(name)
            stage.advance()
    if not place.file:
        reader.builder.rejected += _missing_shards(files)
    return reader.build_table()


class _TfRecordReader:
    """Turns records into a table; remembers where each picture lies."""

    def __init__(self, place: DataLocation, options: ReadOptions, classes: RecordClasses) -> None:
        self.builder = ObjectTableBuilder(options)
        self._classes = classes
        self._shards = ShardSet(place.tree)
        self._image_tree = RecordImageTree(place.path, self._shards)
        self._has_objects = False

    def read(self, name: str) -> None:
        """Read the file ``name``; one that cannot be opened is a rejected row."""
        split, found = _split_from_name(name), 0
        try:
            with self._shards.open(name) as stream:
                for found, record in enumerate(iterate_records(stream, name), 1):  # noqa: B007
                    self._add_record(name, split, record)
            if not found:
                self.builder.reject(name, _("it holds no record"), _("copy it again, or remove it"), kind="unusable")
        except (DataError, OSError) as error:
            self.builder.reject(name, str(error), _("copy it again"), kind="unusable")

    def build_table(self) -> Table:
        """Return the table with the classes in their order; without objects where only whole images have classes."""
        order = self._classes.sort_indices()
        table = self.builder.build_table(self._image_tree, NAME, [self._classes.names[i] for i in order])
        ids = np.argsort([*order, len(order)]).astype(np.int32)  # the last one is for UNLABELLED
        ids[-1] = -1
        objects = table.objects
        if objects is not None:
            objects = replace(objects, class_ids=ids[objects.class_ids]) if self._has_objects else None
        return replace(table, class_ids=ids[table.class_ids], objects=objects)

    def _add_record(self, name: str, split: int, record: Record | RejectedItem) -> None:
        if isinstance(record, RejectedItem):
            self.builder.rejected.append(record)
            return
        at = f"{name}#{record.number}"
        try:
            said = example.parse_example(record.data)
        except ImageError as error:
            self._reject(at, error, "unusable")
        except DataError as error:
            self._reject(at, error, "row")
        else:
            self._add_image(name, split, record, said)

    def _add_image(self, name: str, split: int, record: Record, said: ParsedExample) -> None:
        at = f"{name}#{record.number}"
        class_id = UNLABELLED
        if said.label is not None or said.text:
            try:
                class_id = self._classes.index(said.label, said.text)
            except DataError as error:
                self._reject(at, error, "class")
                return
        called = said.name or f"{get_file_stem(name)}-{record.number:05d}{choose_image_suffix(said.image)}"
        start = record.start + _find_image_offset(record.data, said.image)
        called = self._image_tree.add_image(called, name, start, len(said.image))
        row = self.builder.add_image(called, split, said.size, class_id)
        self._has_objects |= said.objects is not None
        for number, drawn in enumerate(said.objects or (), 1):
            self._add_object(row, f"{at}/{number}", drawn, said.size)

    def _add_object(self, row: int, at: str, drawn: ParsedObject, size: tuple[int, int]) -> None:
        try:
            class_id = self._classes.index(drawn.label, drawn.text)
        except DataError as error:
            self._reject(at, error, "class")
            return
        try:
            mask = decode_object_mask(drawn, size)
        except DataError as error:
            self._reject(at, error, "row")
            return
        self.builder.add(row, RawObject(class_id, drawn.box, at, flags=drawn.flags, mask=mask))

    def _reject(self, at: str, error: DataError, fault: str) -> None:
        self.builder.reject(at, error.problem.rstrip("."), error.remedy.rstrip("."), kind=fault)


def _find_image_offset(data: bytes, photo: bytes) -> int:
    """Return where ``photo`` starts in ``data``, which holds it; searching for all of it at once takes longer."""
    start = data.find(photo[:_PREFIX_BYTES])
    while data[start : start + len(photo)] != photo:
        start = data.find(photo[:_PREFIX_BYTES], start + 1)
    return start


def _record_files(place: DataLocation) -> list[str]:
    named = (place.file,) if place.file else place.tree.names
    found = set(place.find_by_suffix(*_SUFFIXES))
    return [name for name in named if name in found or ("-of-" in name and _SHARD_NAME.fullmatch(name))]


def _looks_like_records(place: DataLocation, name: str) -> bool:
    try:
        head = place.tree.head(name, HEADER_BYTES)
    except DataError:
        return False
    return is_record_header(head) or (name.lower().endswith(_SUFFIXES) and is_compressed(head))


def _split_from_name(name: str) -> int:
    """Return the split that ``name`` tells of: in the file's name, else in the closest folder that tells of one."""
    for part in reversed(name.lower().split("/")):
        words = {SPLIT_WORDS[word] for word in re.split("[^a-z]+", part) if word in SPLIT_WORDS}
        if len(words) == 1:
            return words.pop()
        if words:
            break  # "train_val" is both, so neither
    return UNASSIGNED


def _missing_shards(files: Sequence[str]) -> list[RejectedItem]:
    """Return a refusal for each set of files of which a part is not there, as their names count them."""
    found: dict[tuple[str, str, str], set[int]] = {}
    for match in filter(None, map(_SHARD_NAME.fullmatch, files)):
        found.setdefault((match["set"], match["count"], match["end"]), set()).add(int(match["number"]))
    return [
        RejectedItem(
            f"{name}-of-{count}{end}",
            _("{missing} of {count} parts are not there").format(missing=int(count) - len(numbers), count=int(count)),
            _("copy them beside the others"),
        )
        for (name, count, end), numbers in found.items()
        if len(numbers) < int(count)
    ]


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.LABELS
    | Capability.BOXES
    | Capability.MASKS
    | Capability.SPLITS
    | Capability.FLAGS
    | Capability.CLASSES
    | Capability.NEGATIVES,
    write,
)
