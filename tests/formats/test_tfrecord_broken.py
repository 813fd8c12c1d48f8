"""TFRecord damage: label maps and mutated records end in an error or a listed row, never a traceback."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.tf_records import PHOTO, put, reasons, record

from lince.errors import DataError, LinceError
from lince.formats import ReadOptions, open_table
from lince.formats.masks import png
from lince.formats.tfrecord import example_proto, label_map
from lince.formats.tfrecord import reader as tfrecord_reader
from lince.formats.tfrecord.shards import encode_record
from lince.progress import SILENT
from lince.storage.tree import DataLocation, LocalFolder

LABEL_MAP = "# cats\nitem {\n  id: 1\n  name: 'cat'\n}\nitem {\n  id: 2\n  name: \"d\\303\\263g\"\n}\n"


def test_every_form_of_label_map_is_read() -> None:
    text = LABEL_MAP + "item: < name: 'a' 'b\\n\\x41' ; id: 9, keypoints { id: 3 label: 'eye' } ancestor_ids: [1, 2] >"
    items = label_map.parse_label_map(text, "m.pbtxt")
    assert [(item.id, item.name) for item in items] == [(1, "cat"), (2, "dóg"), (9, "ab\nA")]
    names = ["it's", "back\\slash", "new\nline", 'quo"te', "ñ 漢"]
    assert (
        label_map.choose_class_names(label_map.parse_label_map(label_map.format_label_map(names), "m.pbtxt")) == names
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("item {\n id: 1\n name: 'x'\n", "m.pbtxt:1: The item is not closed"),
        ("item { id: 1 name: 'x' }\n\nitem { id: 1 name: 'y' }", "m.pbtxt:3: The id 1 appears twice"),
        ("item { id: one name: 'x' }", "m.pbtxt:1: The item has no id"),
        ("item { id: 1\n}", "m.pbtxt:1: The item has no name"),
        ("item { id: 1 id: 2 name: 'x' }", "id appears twice in one item"),
        ("item { id: 1 name: 'x\n' }", "m.pbtxt:1: ''x"),
        ("item { id: 1 name: 'x' } node { }", "'node' was found where an item was expected"),
        ("item { id:", "m.pbtxt:1: id has no value"),
        ("", "There is no item"),
    ],
)
def test_label_maps_that_are_wrong_name_their_line(text: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        label_map.parse_label_map(text, "m.pbtxt")
    assert words in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=80), st.text("item{}<>:'\" \\\nd1", max_size=80), st.binary(max_size=40).map(
    lambda data: LABEL_MAP + data.decode("latin-1"))))  # fmt: skip
def test_any_text_as_a_label_map(text: str) -> None:
    with contextlib.suppress(DataError):
        assert label_map.parse_label_map(text, "m.pbtxt")


@pytest.fixture(scope="module")
def two_records() -> bytes:
    mask = png.encode_mask_png(np.ones((30, 40), np.uint8))
    found = (record(image__object__mask=[mask], image__object__difficult=[1]), record(image__filename=[b"b.png"]))
    return b"".join(encode_record(example_proto.serialise_example(features)) for features in found)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_change_is_an_error_or_a_listed_row(
    tmp_path_factory: pytest.TempPathFactory, two_records: bytes, draw: st.DataObject
) -> None:
    data = bytearray(two_records)
    for _i in range(draw.draw(st.integers(1, 3))):
        data[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "any.record"
    path.write_bytes(data[: draw.draw(st.integers(0, len(data)))])
    with contextlib.suppress(LinceError):
        table = open_table(path, "tfrecord")
        assert len(table.names) + len({refusal.path for refusal in table.rejected}) >= 1


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_change_within_a_record(
    tmp_path_factory: pytest.TempPathFactory, two_records: bytes, draw: st.DataObject
) -> None:
    size = struct.unpack_from("<Q", two_records)[0]
    data = bytearray(two_records[12 : 12 + size])
    photo = data.find(PHOTO)
    places = [*range(photo), *range(photo + len(PHOTO), len(data)), photo + 18, photo + 22, photo + 60]
    for _i in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.sampled_from(places))] = draw.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "within.record"
    path.write_bytes(encode_record(bytes(data)))
    table = tfrecord_reader.read(place_of(path), ReadOptions(), SILENT)
    assert len(table.names) + len(table.rejected) >= 1


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_as_records(tmp_path_factory: pytest.TempPathFactory, data: bytes, framed: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.record"
    path.write_bytes(encode_record(data) if framed else data)
    table = tfrecord_reader.read(place_of(path), ReadOptions(), SILENT)
    assert len(table.names) == 0
    assert len(table.rejected) == 1


def place_of(path: Path) -> DataLocation:
    return DataLocation(LocalFolder(path.parent), path.name)


def test_a_length_that_is_no_length_stops_the_file(awkward: Path) -> None:
    huge = struct.pack("<Q", 2**62)
    crc = google_crc32c.value(huge)
    huge += struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
    path = put(awkward / "x.record", record())
    path.write_bytes(path.read_bytes() + huge + b"x" * 50)
    assert "record 2 at byte" in reasons(open_table(path))["x.record#2"]
    assert "truncated" in reasons(open_table(path))["x.record#2"]
