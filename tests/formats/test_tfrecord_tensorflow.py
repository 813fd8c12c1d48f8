"""TFRecord and TensorFlow: each reads what the other writes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.support.tf_records import PHOTO, export_of, many, objects_of, splits_of

from lince import images, rle
from lince.annotations import CROWD, DIFFICULT, GROUP, TRUNCATED
from lince.formats import open_table
from lince.formats.tfrecord import writer as tfrecord_writer
from lince.splits import TRAIN
from lince.storage.tree import LocalFolder

_READ = """
import glob, json, sys, numpy as np, tensorflow as tf
lists = {"image/object/bbox/" + side: tf.io.VarLenFeature(tf.float32) for side in ("xmin", "ymin", "xmax", "ymax")}
lists |= {"image/object/" + name: tf.io.VarLenFeature(tf.int64)
          for name in ("class/label", "difficult", "truncated", "is_crowd", "group_of")}
lists |= {"image/object/" + name: tf.io.VarLenFeature(tf.string) for name in ("class/text", "mask")}
lists |= {"image/" + name: tf.io.FixedLenFeature((), tf.string) for name in ("encoded", "filename", "format")}
lists |= {"image/" + name: tf.io.FixedLenFeature((), tf.int64) for name in ("height", "width")}
found = {}
for path in sorted(glob.glob(sys.argv[1] + "/*.record*")):
    for data in tf.data.TFRecordDataset(path):
        one = tf.io.parse_single_example(data, lists)
        dense = lambda v: tf.sparse.to_dense(v) if isinstance(v, tf.SparseTensor) else v
        plain = {key: dense(value).numpy() for key, value in one.items()}
        pixels = tf.io.decode_image(plain["image/encoded"], channels=3).numpy()
        found[plain["image/filename"].decode()] = {
            "file": path.rpartition("/")[2], "shape": pixels.shape, "sum": int(pixels.astype(int).sum()),
            "size": [int(plain["image/height"]), int(plain["image/width"])],
            "boxes": [plain["image/object/bbox/" + side].tolist() for side in ("xmin", "ymin", "xmax", "ymax")],
            "labels": plain["image/object/class/label"].tolist(),
            "texts": [text.decode() for text in plain["image/object/class/text"]],
            "flags": [plain["image/object/" + n].tolist() for n in ("difficult", "truncated", "is_crowd", "group_of")],
            "masks": [int((tf.io.decode_png(mask, channels=1).numpy() > 0).sum())
                      for mask in plain["image/object/mask"]],
        }
print(json.dumps(found))
"""
_WRITE = """
import sys, numpy as np, tensorflow as tf
def feature(values):
    if isinstance(values[0], bytes): return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], float): return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
for part in range(2):
    with tf.io.TFRecordWriter(f"{sys.argv[1]}/train.record-{part:05d}-of-00002") as writer:
        for i in range(2):
            pixels = np.full((30, 40, 3), 40 * part + i, np.uint8)
            mask = np.zeros((30, 40, 1), np.uint8); mask[3:15, 4:20] = 1
            features = {
                "image/encoded": [tf.io.encode_jpeg(pixels).numpy()], "image/format": [b"jpeg"],
                "image/filename": [f"{part}{i}.jpg".encode()], "image/height": [30], "image/width": [40],
                "image/object/bbox/xmin": [4 / 40], "image/object/bbox/ymin": [3 / 30],
                "image/object/bbox/xmax": [20 / 40], "image/object/bbox/ymax": [15 / 30],
                "image/object/class/text": ["ñandú".encode()], "image/object/class/label": [2],
                "image/object/difficult": [1], "image/object/mask": [tf.io.encode_png(mask).numpy()],
            }
            features = {name: feature(values) for name, values in features.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
"""


def tensorflow(script: str, folder: Path) -> str:
    python = Path(__file__).parents[2] / "benchmarks/.venv-peers/bin/python"
    if not python.exists():
        pytest.skip("no TensorFlow: make benchmarks/.venv-peers as the benchmarks say")
    done = subprocess.run([python, "-c", script, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_tensorflow_reads_what_lince_writes(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfrecord_writer, "MAX_IMAGES_PER_FILE", 2)
    table = many(LocalFolder(awkward), [f"ñ {i}.png" for i in range(13)])
    tfrecord_writer.write(export_of(table), awkward)
    found = json.loads(tensorflow(_READ, awkward))
    assert table.objects is not None
    assert set(found) == set(table.names)
    total = int(images.decode_image(PHOTO).astype(int).sum())
    for row, name in enumerate(table.names):
        one, rows = found[name], table.objects.slice_of_image(row)
        assert (one["shape"], one["size"], one["sum"]) == ([30, 40, 3], [30, 40], total)
        boxes = np.array(one["boxes"]).T.reshape(-1, 4) * (40, 30, 40, 30)
        assert np.allclose(boxes, table.objects.boxes[rows], rtol=1e-6)
        assert one["labels"] == (table.objects.class_ids[rows] + 1).tolist()
        assert one["texts"] == [table.classes.names[i] for i in table.objects.class_ids[rows]]
        bits = (DIFFICULT, TRUNCATED, CROWD, GROUP)
        assert one["flags"] == [((table.objects.flags[rows] & bit) > 0).astype(int).tolist() for bit in bits]
        texts = [table.objects.masks[i] for i in range(rows.start, rows.stop) if table.objects.masks[i]]
        assert one["masks"] == [int(rle.decode(text, 30, 40).sum()) for text in texts]


@pytest.mark.slow
def test_lince_reads_what_tensorflow_writes(awkward: Path) -> None:
    tensorflow(_WRITE, awkward)
    table = open_table(awkward)
    assert (table.classes.names, table.rejected) == (("ñandú",), ())
    assert splits_of(table) == {f"{part}{i}.jpg": TRAIN for part in range(2) for i in range(2)}
    for name, ((kind, box, flags, mask),) in objects_of(table).items():
        assert (kind, box, flags) == ("ñandú", (4, 3, 20, 15), DIFFICULT)
        assert int(rle.decode(mask, 30, 40)[3:15, 4:20].sum()) == 12 * 16
        assert table.tree is not None
        assert abs(int(images.decode_image(table.tree.read(name)).mean()) - 40 * int(name[0]) - int(name[1])) <= 1
