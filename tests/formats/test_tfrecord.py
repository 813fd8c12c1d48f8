"""TFRecord: agreement with other labels of the same photos, faults with their place, round trip."""

from __future__ import annotations

import csv
import gzip
import io
import struct
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.support.tf_records import PHOTO, export_of, many, objects_of, put, reasons, record, splits_of

from lince import images, rle
from lince.annotations import UNLABELLED
from lince.datasets.dataset import build_dataset
from lince.errors import AmbiguousError, DataError, UsageError
from lince.formats import LabelTable, ReadOptions, open_table
from lince.formats.builders.object_table import ObjectTableBuilder
from lince.formats.tfrecord import writer as tfrecord_writer
from lince.formats.tfrecord.shards import encode_record
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL
from lince.storage.tree import LocalFolder

RACCOON = Path("data/raccoon")


# Real photos


def test_raccoons_agree_with_their_table_and_their_xml(shared: Path) -> None:
    folder = shared / RACCOON
    table = open_table(folder / "data/test.record")
    assert (table.format, table.classes.names, table.rejected) == ("tfrecord", ("raccoon",), ())
    assert set(table.splits.tolist()) == {TEST}
    found = {name: [box for _kind, box, _flags, _mask in marks] for name, marks in objects_of(table).items()}
    from_csv: dict[str, list[tuple[float, ...]]] = {}
    with open(folder / "data/test_labels.csv", newline="") as stream:
        for line in csv.DictReader(stream):
            box = tuple(float(line[side]) for side in ("xmin", "ymin", "xmax", "ymax"))
            from_csv.setdefault(line["filename"], []).append(box)
    assert found == {name: sorted(boxes) for name, boxes in from_csv.items()}
    for row, name in enumerate(table.names):
        root = ET.parse(folder / "annotations" / name.replace(".jpg", ".xml")).getroot()
        boxes = [tuple(float(side.text or "") for side in box) for box in root.iter("bndbox")]
        assert found[name] == sorted(boxes)
        assert table.sizes is not None
        assert table.sizes[row].tolist() == [int(root.findtext(f"size/{side}") or 0) for side in ("height", "width")]


def test_pictures_are_read_from_their_record(shared: Path) -> None:
    folder = shared / RACCOON
    dataset = build_dataset(open_table(folder / "data/test.record"))
    assert len(dataset) == 40
    assert all(
        dataset.images.read_bytes(i) == (folder / "images" / dataset.images.get_name(i)).read_bytes()
        for i in range(len(dataset))
    )
    assert dataset.images.read_image(0).shape == (*dataset.sizes[0].tolist(), 3)  # type: ignore[index]


def test_a_flipped_bit_costs_one_record_and_is_named(shared: Path, awkward: Path) -> None:
    data = bytearray((shared / RACCOON / "data/test.record").read_bytes())
    first = struct.unpack_from("<Q", data)[0] + 16
    data[first + 5000] ^= 1
    path = awkward / "test.record"
    path.write_bytes(data)
    table = open_table(path)
    assert len(table.names) == 39
    assert [str(refusal) for refusal in table.rejected] == [
        f"test.record#2: record 2 at byte {first}: its checksum is wrong (copy the file again, or write it again)"
    ]


# Where labels and splits come from


def test_parts_splits_and_the_label_map(awkward: Path) -> None:
    for i in range(3):
        put(awkward / f"tr/train.record-{i:05d}-of-00003", record(image__filename=[f"t{i}.png".encode()]))
    put(awkward / "my_val.tfrecord", record(image__filename=[b"v.png"]))
    put(awkward / "test/x.tfrecords", record(image__filename=[b"te.png"]))
    put(awkward / "trainval.record", record(image__filename=[b"both.png"]))
    put(awkward / "train_val-00000-of-00001", record(image__filename=[b"either.png"]))
    (awkward / "label_map.pbtxt").write_text("item { id: 2 name: 'dog' } item { id: 1 name: 'cat' }")
    table = open_table(awkward)
    assert table.classes.names == ("cat", "dog")
    assert dict(zip(table.names, table.splits.tolist(), strict=True)) == {
        "t0.png": TRAIN, "t1.png": TRAIN, "t2.png": TRAIN, "v.png": VAL, "te.png": TEST, "both.png": UNASSIGNED,
        "either.png": UNASSIGNED,
    }  # fmt: skip
    assert table.rejected == ()


def test_a_missing_shard_is_reported(awkward: Path) -> None:
    put(awkward / "train.record-00000-of-00003", record())
    assert reasons(open_table(awkward)) == {"train.record-of-00003": "2 of 3 shards are missing"}
    assert open_table(awkward / "train.record-00000-of-00003").rejected == ()


def test_classes_without_a_label_map_keep_the_order_of_their_numbers(awkward: Path) -> None:
    zebra = record(image__object__class__text=[b"zebra"], image__object__class__label=[1])
    ant = record(image__object__class__text=[b"ant"], image__object__class__label=[2])
    table = open_table(put(awkward / "x.record", ant, zebra))
    assert table.classes.names == ("zebra", "ant")
    assert [kind for marks in objects_of(table).values() for kind, *_rest in marks] == ["ant", "zebra"]
    assert list(table.names) == ["a.png", "a-2.png"]


def test_classes_of_numbers_or_of_texts_alone(awkward: Path) -> None:
    numbers = record(image__object__class__text=None, image__object__class__label=[3])
    assert open_table(put(awkward / "n.record", numbers)).classes.names == ("class_3",)
    texts = [record(image__object__class__text=[name], image__object__class__label=None) for name in (b"z10", b"z9")]
    assert open_table(put(awkward / "t.record", *texts)).classes.names == ("z9", "z10")


def test_display_names_are_shown_and_names_are_found(awkward: Path) -> None:
    (awkward / "m.pbtxt").write_text('item { name: "/m/01" id: 5 display_name: "gato" }\n')
    table = open_table(put(awkward / "x.record", record(image__object__class__text=[b"/m/01"],
                                                        image__object__class__label=[5])))  # fmt: skip
    assert table.classes.names == ("gato",)
    assert table.rejected == ()


def test_label_maps_that_differ_are_refused(awkward: Path) -> None:
    put(awkward / "x.record", record())
    (awkward / "one.pbtxt").write_text("item { id: 1 name: 'cat' }")
    (awkward / "two.pbtxt").write_text("item { id: 1 name: 'dog' }")
    with pytest.raises(AmbiguousError, match=r"one\.pbtxt"):
        open_table(awkward)
    (awkward / "two.pbtxt").write_text("# same\nitem: < name: 'cat', id: 1 >")
    (awkward / "graph.pbtxt").write_text("node { name: 'x' op: 'Placeholder' }")
    assert open_table(awkward).classes.names == ("cat",)


def test_what_the_label_map_does_not_bear_out_is_rejected(awkward: Path) -> None:
    (awkward / "m.pbtxt").write_text("item { id: 1 name: 'cat' }\nitem { id: 2 name: 'dog' }")
    wrong = [
        record(image__object__class__label=[2]),
        record(image__object__class__text=[b"cow"]),
        record(image__object__class__text=None, image__object__class__label=[7]),
        record(image__object__class__text=None, image__object__class__label=None),
    ]
    table = open_table(put(awkward / "x.record", *wrong, record()))
    lost = {refusal.path for refusal in table.rejected if refusal.kind == "lost"}
    assert lost == {"a.png", "a-2.png", "a-3.png", "a-4.png"}
    assert {place: reason for place, reason in reasons(table).items() if place not in lost} == {
        "x.record#1/1": "class number 2 is 'dog' in the label map, but the record says 'cat'",
        "x.record#2/1": "class 'cow' is not in the label map",
        "x.record#3/1": "class '7' is not in the label map",
        "x.record#4/1": "no class",
    }
    assert {refusal.kind for refusal in table.rejected} == {"class", "lost"}
    assert len(table.names) == 1
    assert table.objects is not None
    assert len(table.objects) == 1


# Content of a record


def test_records_that_cannot_be_used_are_listed(awkward: Path) -> None:
    wrong: list[dict[str, Any]] = [
        record(image__encoded=None),
        record(image__encoded=[b"words"]),
        record(image__encoded=[PHOTO[:20]]),
        record(image__object__bbox__xmin=[0.1, 0.2]),
        record(image__object__bbox__xmin=[4]),
        record(image__object__bbox__xmin=[float("nan")]),
        record(image__object__bbox__xmax=[1.5]),
        record(image__object__bbox__xmax=[0.05]),
        record(image__object__mask=[images.encode_png(np.ones((5, 5, 3), np.uint8))]),
        record(image__object__mask=[b"words"]),
    ]
    path = put(awkward / "x.record", *wrong, record(image__filename=[b"good.png"]))
    with path.open("ab") as stream:
        stream.write(encode_record(b"\x0a\xff"))
    table = open_table(path)
    found = {place: reason for place, reason in reasons(table).items() if place.startswith("x.record")}
    assert len(reasons(table)) - len(found) == 5  # photos of which no object is left
    assert found == {
        "x.record#1": "the record contains no image",
        "x.record#2": "This is not an image",
        "x.record#3": found["x.record#3"],
        "x.record#4": "its lists of objects differ in length: [1, 2]",
        "x.record#5": "image/object/bbox/xmin is not float_list",
        "x.record#6/1": "a coordinate is not a number",
        "x.record#7/1": "box (4, 3, 60, 15) outside the image (40 x 30) by 20 px",
        "x.record#8/1": "box (4, 3, 2, 15) has swapped corners",
        "x.record#9/1": "a mask of 5 x 5 pixels for an image of 40 x 30",
        "x.record#10/1": "This is not a PNG",
        "x.record#12": "The record does not contain a tf.train.Example",
    }
    assert list(table.names) == ["good.png"]
    assert table.objects is not None
    assert len(table.objects) == 1


def test_boxes_follow_the_photo_where_the_stated_size_is_another(awkward: Path) -> None:
    table = open_table(put(awkward / "x.record", record(image__height=[300], image__width=[400])))
    assert objects_of(table)["a.png"][0][1] == (4, 3, 20, 15)
    missing = open_table(put(awkward / "x.record", record(image__height=None, image__width=None)))
    assert objects_of(missing)["a.png"][0][1] == (4, 3, 20, 15)
    turned = open_table(put(awkward / "x.record", record(image__height=[40], image__width=[30])))
    assert turned.sizes is not None
    assert turned.sizes.tolist() == [[40, 30]]  # drawn on the photo as the camera held it, perhaps: for the checks


def test_masks_as_pngs_and_as_numbers(awkward: Path) -> None:
    drawn = np.zeros((30, 40), np.uint8)
    drawn[3:15, 4:20] = 1
    stream = io.BytesIO()
    Image.fromarray(drawn * 255).save(stream, "PNG")
    for values in ([stream.getvalue()], drawn.ravel().astype(float).tolist()):
        table = open_table(put(awkward / "x.record", record(image__object__mask=values)))
        (mark,) = objects_of(table)["a.png"]
        assert np.array_equal(rle.decode(mark[3], 30, 40), drawn > 0)
    short = open_table(put(awkward / "x.record", record(), record(image__object__mask=[1.0, 0.0])))
    assert reasons(short)["x.record#2"] == "its masks have 2 pixels for 1 objects"


def test_whole_images_with_a_class(awkward: Path) -> None:
    slim = {"image/encoded": [PHOTO], "image/class/label": [0], "image/class/text": [b"daisy"]}
    plain = {"image": [PHOTO], "label": [4]}
    table = open_table(put(awkward / "flowers-00000-of-00001", slim, slim))
    assert (table.objects, table.classes.names, table.class_ids.tolist()) == (None, ("daisy",), [0, 0])
    assert list(table.names) == ["flowers-00000-of-00001-00001.png", "flowers-00000-of-00001-00002.png"]
    (awkward / "flowers-00000-of-00001").unlink()
    assert open_table(put(awkward / "mnist-train.tfrecord", plain)).classes.names == ("class_4",)
    several = {**slim, "image/class/label": [0, 1], "image/class/text": []}
    with pytest.raises(UsageError, match="2 image-level classes"):
        open_table(put(awkward / "mnist-train.tfrecord", several))


@pytest.mark.parametrize("name", [b"../../etc/x.png", b"/x.png", b"C:\\a\\..\\x.png", b"x", b"x\0.png"])
def test_names_stay_below_the_root(awkward: Path, name: bytes) -> None:
    table = open_table(put(awkward / "x.record", record(image__filename=[name])))
    assert table.names[0] in ("etc/x.png", "x.png", "a/x.png")
    assert table.tree is not None
    assert table.tree.read(table.names[0]) == PHOTO


def test_records_within_an_archive(awkward: Path) -> None:
    path = put(awkward / "train.record", record(), record(image__filename=[b"b.png"]))
    with zipfile.ZipFile(awkward / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "set/train.record")
        archive.writestr("set/label_map.pbtxt", "item { id: 1 name: 'cat' }")
    path.unlink()
    table = open_table(awkward / "all.zip")
    assert list(table.names) == ["a.png", "b.png"]
    assert table.tree is not None
    assert table.tree.read("b.png") == PHOTO


def test_names_beside_records_of_whole_images(awkward: Path) -> None:
    flower = {"image/encoded": [PHOTO], "image/class/label": [1]}
    path = put(awkward / "train-00000-of-00001", flower)
    (awkward / "labels.txt").write_text("0:daisy\n1:tulip\n")
    table = open_table(awkward)
    assert (table.classes.names, table.class_ids.tolist()) == (("daisy", "tulip"), [1])
    assert open_table(path).classes == table.classes
    (awkward / "labels.txt").rename(awkward / "label.labels.txt")
    (awkward / "label.labels.txt").write_text("tulip\ndaisy\n")
    assert open_table(awkward).classes.names == ("tulip", "daisy")
    (awkward / "label.labels.txt").write_text("1:tulip\n1:daisy\n")
    with pytest.raises(DataError, match="the same id to two"):
        open_table(awkward)


def test_files_compressed_as_a_whole_say_so(awkward: Path) -> None:
    path = put(awkward / "x.tfrecord", record())
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(UsageError, match="compressed as a whole"):
        open_table(awkward)


# Written and read again


@pytest.mark.parametrize("per_file", [1000, 2])
def test_there_and_back(awkward: Path, monkeypatch: pytest.MonkeyPatch, per_file: int) -> None:
    monkeypatch.setattr(tfrecord_writer, "MAX_IMAGES_PER_FILE", per_file)
    table = many(LocalFolder(awkward), [f"ñ {i}.png" for i in range(13)])
    tfrecord_writer.write(export_of(table), awkward)
    names = sorted(path.name for path in awkward.iterdir())
    if per_file == 2:
        assert names[:2] == ["data.record-00000-of-00002", "data.record-00001-of-00002"]
        assert "train.record-00001-of-00002" in names
    else:
        assert names == ["data.record", "label_map.pbtxt", "test.record", "train.record", "val.record"]
    again = open_table(awkward)
    assert again.rejected == ()
    assert again.classes == table.classes
    assert splits_of(again) == splits_of(table)
    assert objects_of(again) == objects_of(table)
    assert set(map(tuple, again.sizes.tolist())) == {(30, 40)}  # type: ignore[union-attr]
    before = {path.name: path.read_bytes() for path in awkward.iterdir()}
    tfrecord_writer.write(export_of(table), awkward)
    assert {path.name: path.read_bytes() for path in awkward.iterdir()} == before


def test_files_end_where_they_are_full(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = many(LocalFolder(awkward), [f"{i}.png" for i in range(20)])
    tfrecord_writer.write(export_of(table), awkward)
    limit = (awkward / "train.record").stat().st_size // 2
    (awkward / "train.record").unlink()
    monkeypatch.setattr(tfrecord_writer, "MAX_FILE_BYTES", limit)
    tfrecord_writer.write(export_of(table), awkward)
    files = sorted(awkward.glob("train.record-*"))
    assert [path.name[-14:] for path in files] == ["00000-of-00003", "00001-of-00003", "00002-of-00003"]
    assert all(path.stat().st_size < limit for path in files)
    for path in (awkward / "data.record", awkward / "test.record", awkward / "val.record"):
        path.unlink(missing_ok=True)
    assert objects_of(open_table(awkward)) == objects_of(table)


def test_whole_images_there_and_back(awkward: Path) -> None:
    marks = ObjectTableBuilder(ReadOptions())
    for name, class_id in (("a.png", 1), ("b.png", 0), ("c.png", UNLABELLED)):
        marks.add_image(name, TRAIN, (30, 40), None if class_id == UNLABELLED else [class_id])
    table = marks.build_table(LocalFolder(awkward), "test", ["x", "y", "z"])
    plain = LabelTable(table.root, "test", table.names, table.classes, table.class_ids, table.splits)
    tfrecord_writer.write(export_of(plain), awkward)
    again = open_table(awkward)
    assert (again.objects, again.classes) == (None, table.classes)
    assert again.class_ids.tolist() == [1, 0, UNLABELLED]


def test_photos_that_tensorflow_would_show_otherwise_are_stored_upright(awkward: Path) -> None:
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(io.BytesIO(PHOTO)).rotate(90, expand=True).save(stream, "JPEG", exif=exif, quality=95)
    tfrecord_writer.write(export_of(many(LocalFolder(awkward), ["a.jpg"]), stream.getvalue()), awkward)
    table = open_table(awkward)
    assert table.tree is not None
    stored = table.tree.read("a.jpg")
    assert images.detect_format(stored) == "png"
    assert np.array_equal(images.decode_image(stored), images.decode_image(stream.getvalue()))
