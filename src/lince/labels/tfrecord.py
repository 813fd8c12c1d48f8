"""TFRecord files of the TF Object Detection API, and of image classification, with their ``label_map.pbtxt``.

The features are those of the API's ``tf_example_decoder``. Boxes are stored there as 32-bit shares of the image; each
side is read as the shortest decimal number of pixels that these 32 bits stand for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lince.annotations import UNLABELLED, Rejected
from lince.errors import DataError, ImageError, UsageError
from lince.labels import tfclasses, tfexample
from lince.labels.columns import shorten
from lince.labels.format import Format, Holds
from lince.labels.marks import Mark, Marks
from lince.labels.records import HEAD, Pictures, Record, Shards, is_compressed, records, starts_as_records
from lince.labels.table import SPLIT_WORDS, UNASSIGNED, Options, Table
from lince.labels.tfclasses import TfClasses
from lince.labels.tfexample import Drawn, Said, ending, mask_of
from lince.labels.tfwrite import write
from lince.labels.tree import Place, stem
from lince.messages import _
from lince.progress import SILENT, Progress

NAME = "tfrecord"
_ENDINGS = (".tfrecord", ".tfrecords", ".tfrec", ".record", ".records")
_SHARD = re.compile(r"(?P<set>.*)-(?P<number>\d{3,6})-of-(?P<count>\d{3,6})(?P<end>[.\w]*)")
_PROBE = 3
_OPENING = 64  # bytes by which a picture is found in its record


def detect(place: Place) -> str | None:
    """Return what speaks for records at ``place``: the names, and a first record whose checksum is right."""
    files = _files(place)
    if not any(_starts_well(place, name) for name in files[:_PROBE]):
        return None
    return _("record files: {names}").format(names=shorten(files))


def read(place: Place, options: Options, progress: Progress = SILENT) -> Table:
    """Read every record: its picture stays in its file and is read from there; train, val and test by file name.

    Damaged records, pictures that are none, and objects of a class that is not in the label map are rejected with the
    file and the number of the record. Raise ``DataError`` for a label map that cannot be understood.
    """
    files = _files(place)
    if not files:
        raise UsageError(
            _("{path} holds no record files.").format(path=place.path),
            _("Expected names that end in {endings}, or such as {example}.").format(
                endings=", ".join(_ENDINGS), example="train-00000-of-00010"
            ),
        )
    items, where = tfclasses.find(place, files)
    if where:
        progress.say(_("Classes by the label map {path}.").format(path=where))
    reader = _Reader(place, options, TfClasses(items))
    with progress.stage(_("Reading record files"), len(files)) as stage:
        for name in files:
            reader.read(name)
            stage.advance()
    if not place.file:
        reader.marks.rejected += _missing(files)
    return reader.table()


class _Reader:
    """Turns records into a table; remembers where each picture lies."""

    def __init__(self, place: Place, options: Options, classes: TfClasses) -> None:
        self.marks = Marks(options)
        self._classes = classes
        self._shards = Shards(place.tree)
        self._pictures = Pictures(place.path, self._shards)
        self._marked = False

    def read(self, name: str) -> None:
        """Read the file ``name``; one that cannot be opened is a rejected row."""
        split, found = _split(name), 0
        try:
            with self._shards.open(name) as stream:
                for found, record in enumerate(records(stream, name), 1):  # noqa: B007  (asked for below)
                    self._take(name, split, record)
            if not found:
                self.marks.reject(name, _("it holds no record"), _("copy it again, or remove it"), fault="unusable")
        except (DataError, OSError) as error:
            self.marks.reject(name, str(error), _("copy it again"), fault="unusable")

    def table(self) -> Table:
        """Return the table with the classes in their order; without objects where only whole images have classes."""
        order = self._classes.order()
        table = self.marks.table(self._pictures, NAME, [self._classes.names[i] for i in order])
        ids = np.argsort([*order, len(order)]).astype(np.int32)  # the last one is for UNLABELLED
        ids[-1] = -1
        objects = table.objects
        if objects is not None:
            objects = replace(objects, class_ids=ids[objects.class_ids]) if self._marked else None
        return replace(table, class_ids=ids[table.class_ids], objects=objects)

    def _take(self, name: str, split: int, record: Record | Rejected) -> None:
        if isinstance(record, Rejected):
            self.marks.rejected.append(record)
            return
        at = f"{name}#{record.number}"
        try:
            said = tfexample.read(record.data)
        except ImageError as error:
            self._reject(at, error, "unusable")
        except DataError as error:
            self._reject(at, error, "row")
        else:
            self._image(name, split, record, said)

    def _image(self, name: str, split: int, record: Record, said: Said) -> None:
        at = f"{name}#{record.number}"
        class_id = UNLABELLED
        if said.label is not None or said.text:
            try:
                class_id = self._classes.index(said.label, said.text)
            except DataError as error:
                self._reject(at, error, "class")
                return
        called = said.name or f"{stem(name)}-{record.number:05d}{ending(said.photo)}"
        start = record.start + _position(record.data, said.photo)
        called = self._pictures.add(called, name, start, len(said.photo))
        row = self.marks.image(called, split, said.size, class_id)
        self._marked |= said.objects is not None
        for number, drawn in enumerate(said.objects or (), 1):
            self._object(row, f"{at}/{number}", drawn, said.size)

    def _object(self, row: int, at: str, drawn: Drawn, size: tuple[int, int]) -> None:
        try:
            class_id = self._classes.index(drawn.label, drawn.text)
        except DataError as error:
            self._reject(at, error, "class")
            return
        try:
            mask = mask_of(drawn, size)
        except DataError as error:
            self._reject(at, error, "row")
            return
        self.marks.add(row, Mark(class_id, drawn.box, at, flags=drawn.flags, mask=mask))

    def _reject(self, at: str, error: DataError, fault: str) -> None:
        self.marks.reject(at, error.found.rstrip("."), error.remedy.rstrip("."), fault=fault)


def _position(data: bytes, photo: bytes) -> int:
    """Return where ``photo`` starts in ``data``, which holds it; searching for all of it at once takes longer."""
    start = data.find(photo[:_OPENING])
    while data[start : start + len(photo)] != photo:
        start = data.find(photo[:_OPENING], start + 1)
    return start


def _files(place: Place) -> list[str]:
    named = (place.file,) if place.file else place.tree.names
    found = set(place.ending(*_ENDINGS))
    return [name for name in named if name in found or ("-of-" in name and _SHARD.fullmatch(name))]


def _starts_well(place: Place, name: str) -> bool:
    try:
        head = place.tree.head(name, HEAD)
    except DataError:
        return False
    return starts_as_records(head) or (name.lower().endswith(_ENDINGS) and is_compressed(head))


def _split(name: str) -> int:
    """Return the split that ``name`` tells of: in the file's name, else in the closest folder that tells of one."""
    for part in reversed(name.lower().split("/")):
        words = {SPLIT_WORDS[word] for word in re.split("[^a-z]+", part) if word in SPLIT_WORDS}
        if len(words) == 1:
            return words.pop()
        if words:
            break  # "train_val" is both, so neither
    return UNASSIGNED


def _missing(files: Sequence[str]) -> list[Rejected]:
    """Return a refusal for each set of files of which a part is not there, as their names count them."""
    found: dict[tuple[str, str, str], set[int]] = {}
    for match in filter(None, map(_SHARD.fullmatch, files)):
        found.setdefault((match["set"], match["count"], match["end"]), set()).add(int(match["number"]))
    return [
        Rejected(
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
    Holds.LABELS | Holds.BOXES | Holds.MASKS | Holds.SPLITS | Holds.FLAGS | Holds.CLASSES | Holds.NEGATIVES,
    write,
)
