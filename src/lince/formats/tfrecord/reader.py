"""Reads TFRecord files of the TF Object Detection API and of image classification, with their ``label_map.pbtxt``.

The features are those of ``tf_example_decoder``. It stores boxes as float32 fractions of the image;
each side is read as the shortest decimal number of pixels with the same float32 fraction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lince.annotations import RejectedItem
from lince.errors import DataError, ImageError, UsageError
from lince.formats.builders.classification_table import shorten_list
from lince.formats.builders.object_table import ObjectTableBuilder, RawObject
from lince.formats.format import Capability, Format
from lince.formats.table import LabelTable, ReadOptions
from lince.formats.tfrecord import classes as tfrecord_classes
from lince.formats.tfrecord import example
from lince.formats.tfrecord.classes import RecordClasses
from lince.formats.tfrecord.example import ParsedExample, ParsedObject, choose_image_suffix, decode_object_mask
from lince.formats.tfrecord.shards import (
    HEADER_BYTES,
    RecordImageTree,
    ShardSet,
    TfRecord,
    is_compressed,
    is_record_header,
    iterate_records,
)
from lince.formats.tfrecord.writer import write
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import UNASSIGNED, find_split_words
from lince.storage.tree import DataLocation, get_file_stem

NAME = "tfrecord"
_SUFFIXES = (".tfrecord", ".tfrecords", ".tfrec", ".record", ".records")
_SHARD_NAME = re.compile(r"(?P<set>.*)-(?P<number>\d{3,6})-of-(?P<count>\d{3,6})(?P<end>[.\w]*)")
_PROBE_COUNT = 3  # files opened to recognise the format
_PREFIX_BYTES = 64  # of an image, searched for in its record


def detect(location: DataLocation) -> str | None:
    """Return the evidence that ``location`` holds TFRecord files, ``None`` when it does not.

    This takes their names, and in one of the first files a record header with the right checksum.
    """
    files = _record_files(location)
    if not any(_looks_like_records(location, name) for name in files[:_PROBE_COUNT]):
        return None
    return _("record files: {names}").format(names=shorten_list(files))


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read every record; the images stay in the record files and are read from there.

    The split follows from the file name. Rejected, with file and number of the record, are damaged
    records, records without a readable image, and images and objects whose class is not in the
    label map. Raise ``DataError`` for a label map that cannot be parsed.
    """
    files = _record_files(location)
    if not files:
        raise UsageError(
            _("{path} contains no record files.").format(path=location.path),
            _("Expected names that end in {endings}, or such as {example}.").format(
                endings=", ".join(_SUFFIXES), example="train-00000-of-00010"
            ),
        )
    items, label_map_file = tfrecord_classes.find_label_map(location, files)
    if label_map_file:
        progress.show_message(_("Classes from the label map {path}.").format(path=label_map_file))
    reader = _TfRecordReader(location, options, RecordClasses(items))
    with progress.open_stage(_("Reading record files"), len(files)) as stage:
        for name in files:
            reader.read_file(name)
            stage.advance()
    if not location.file:
        reader.builder.rejected += _missing_shards(files)
    return reader.build_table()


class _TfRecordReader:
    """Collects the records of all files into a table, and the positions of their images into a tree."""

    def __init__(self, location: DataLocation, options: ReadOptions, classes: RecordClasses) -> None:
        self.builder = ObjectTableBuilder(options)
        self._classes = classes
        self._shards = ShardSet(location.tree)
        self._image_tree = RecordImageTree(location.path, self._shards)
        self._has_objects = False

    def read_file(self, name: str) -> None:
        """Add all records of the file ``name``; a file that cannot be opened is rejected."""
        split, record_count = _split_from_name(name), 0
        try:
            with self._shards.open(name) as stream:
                for record_count, record in enumerate(iterate_records(stream, name), 1):  # noqa: B007
                    self._add_record(name, split, record)
            if not record_count:
                self.builder.reject(name, _("it contains no record"), _("copy it again, or remove it"), kind="unusable")
        except (DataError, OSError) as error:
            self.builder.reject(name, str(error), _("copy it again"), kind="unusable")

    def build_table(self) -> LabelTable:
        """Return the table with the classes in their final order.

        Without objects where no record has features about objects: then it is image classification.
        """
        order = self._classes.sort_indices()
        table = self.builder.build_table(self._image_tree, NAME, [self._classes.names[i] for i in order])
        ids = np.argsort([*order, len(order)]).astype(np.int32)  # the last one is for UNLABELLED
        ids[-1] = -1
        objects = table.objects
        if objects is not None:
            objects = replace(objects, class_ids=ids[objects.class_ids]) if self._has_objects else None
        return replace(table, class_ids=ids[table.class_ids], objects=objects)

    def _add_record(self, name: str, split: int, record: TfRecord | RejectedItem) -> None:
        """Add a record, or its rejection."""
        if isinstance(record, RejectedItem):
            self.builder.rejected.append(record)
            return
        path = f"{name}#{record.number}"
        try:
            parsed = example.parse_example(record.data)
        except ImageError as error:
            self._reject(path, error, "unusable")
        except DataError as error:
            self._reject(path, error, "row")
        else:
            self._add_image(name, split, record, parsed)

    def _add_image(self, name: str, split: int, record: TfRecord, parsed: ParsedExample) -> None:
        """Add the image of a record and its objects; one of an unknown class is rejected."""
        path = f"{name}#{record.number}"
        class_ids = None
        if parsed.label is not None or parsed.text:
            try:
                class_ids = [self._classes.get_index(parsed.label, parsed.text)]
            except DataError as error:
                self._reject(path, error, "class")
                return
        image_name = parsed.name or f"{get_file_stem(name)}-{record.number:05d}{choose_image_suffix(parsed.image)}"
        start = record.start + _find_image_offset(record.data, parsed.image)
        image_name = self._image_tree.add_image(image_name, name, start, len(parsed.image))
        row = self.builder.add_image(image_name, split, parsed.size, class_ids)
        self._has_objects |= parsed.objects is not None
        for number, parsed_object in enumerate(parsed.objects or (), 1):
            self._add_object(row, f"{path}/{number}", parsed_object, parsed.size)

    def _add_object(self, row: int, path: str, parsed_object: ParsedObject, size: tuple[int, int]) -> None:
        """Add an object to the image at ``row``, or its rejection."""
        try:
            class_id = self._classes.get_index(parsed_object.label, parsed_object.text)
        except DataError as error:
            self._reject(path, error, "class", row)
            return
        try:
            mask = decode_object_mask(parsed_object, size)
        except DataError as error:
            self._reject(path, error, "row", row)
            return
        self.builder.add(row, RawObject(class_id, parsed_object.box, path, flags=parsed_object.flags, mask=mask))

    def _reject(self, path: str, error: DataError, kind: str, row: int | None = None) -> None:
        """Reject the record, or object of the image at ``row``, at ``path`` because of ``error``."""
        self.builder.reject(path, error.problem.rstrip("."), error.remedy.rstrip("."), kind=kind, row=row)


def _find_image_offset(data: bytes, image: bytes) -> int:
    """Return the position of ``image`` in ``data``; its first bytes are searched for, which is faster than all."""
    start = data.find(image[:_PREFIX_BYTES])
    while data[start : start + len(image)] != image:
        start = data.find(image[:_PREFIX_BYTES], start + 1)
    return start


def _record_files(location: DataLocation) -> list[str]:
    """Return the files with the suffix of record files, or named as shards (``x-00000-of-00010``)."""
    names = (location.file,) if location.file else location.tree.names
    with_suffix = set(location.find_by_suffix(*_SUFFIXES))
    return [name for name in names if name in with_suffix or ("-of-" in name and _SHARD_NAME.fullmatch(name))]


def _looks_like_records(location: DataLocation, name: str) -> bool:
    """Whether the file starts with a record header, or is a record file that was compressed."""
    try:
        head = location.tree.head(name, HEADER_BYTES)
    except DataError:
        return False
    return is_record_header(head) or (name.lower().endswith(_SUFFIXES) and is_compressed(head))


def _split_from_name(name: str) -> int:
    """Return the split that ``name`` contains as a word: in the file name, else in the innermost folder with one.

    A name with several, such as ``train_val``, has none.
    """
    for part in reversed(name.split("/")):
        words = set(find_split_words(part))
        if len(words) == 1:
            return words.pop()
        if words:
            break  # "train_val" is both, so neither
    return UNASSIGNED


def _missing_shards(files: Sequence[str]) -> list[RejectedItem]:
    """Return a rejection for each set of shards that is incomplete, going by the number in the names."""
    numbers_by_set: dict[tuple[str, str, str], set[int]] = {}
    for match in filter(None, map(_SHARD_NAME.fullmatch, files)):
        numbers_by_set.setdefault((match["set"], match["count"], match["end"]), set()).add(int(match["number"]))
    return [
        RejectedItem(
            f"{name}-of-{count}{end}",
            _("{missing} of {count} shards are missing").format(missing=int(count) - len(numbers), count=int(count)),
            _("copy them next to the others"),
        )
        for (name, count, end), numbers in numbers_by_set.items()
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
