"""Test data: one label file with a box in each format that has label files, for a photo of 80 x 40 called anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lince import images

PHOTO = images.encode_png(np.zeros((40, 80, 3), np.uint8))  # uint8 (40, 80, 3)
BOX = [8.0, 10.0, 40.0, 20.0]  # left, top, right, bottom of the object in every sample; its class is "gato"
CORNERS = [[8, 10], [40, 10], [40, 20], [8, 20]]


def write_files(root: Path, files: dict[str, str | bytes]) -> Path:
    """Write ``files`` below ``root``, with their folders, and return ``root``."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def make_voc(name: str) -> str:
    sides = "".join(
        f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), BOX, strict=True)
    )
    size = "<size><width>80</width><height>40</height></size>"
    return (
        f"<annotation><filename>{name}</filename>{size}<object><name>gato</name><bndbox>{sides}</bndbox></object>"
        "</annotation>"
    )


def make_labelme(name: str) -> str:
    shape = {"label": "gato", "points": [BOX[:2], BOX[2:]], "shape_type": "rectangle", "flags": {}}
    return json.dumps({"version": "5.1", "flags": {}, "shapes": [shape], "imagePath": name, "imageData": None})


def make_coco(name: str) -> str:
    box = [8, 10, 32, 10]
    return json.dumps({
        "images": [{"id": 1, "file_name": name, "width": 80, "height": 40}],
        "categories": [{"id": 1, "name": "gato"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": box, "area": 320, "iscrowd": 0}],
    })  # fmt: skip


def make_cvat(name: str) -> str:
    box = '<box label="gato" xtl="8" ytl="10" xbr="40" ybr="20" occluded="0"/>'
    return (
        f'<annotations><version>1.1</version><image id="0" name="{name}" width="80" height="40">{box}</image>'
        "</annotations>"
    )


def make_createml(name: str) -> str:
    coordinates = {"x": 24, "y": 15, "width": 32, "height": 10}
    return json.dumps([{"image": name, "annotations": [{"label": "gato", "coordinates": coordinates}]}])


def make_labelstudio(name: str) -> str:
    value = {"x": 10, "y": 25, "width": 40, "height": 25, "rectanglelabels": ["gato"]}
    result = {"type": "rectanglelabels", "original_width": 80, "original_height": 40, "value": value, "id": "r"}
    task = {"id": 1, "data": {"image": name}, "annotations": [{"id": 1, "result": [result]}]}
    return json.dumps([task])


def make_via(name: str) -> str:
    shape = {"name": "rect", "x": 8, "y": 10, "width": 32, "height": 10}
    region = {"shape_attributes": shape, "region_attributes": {"type": "gato"}}
    return json.dumps({f"{name}1": {"filename": name, "size": 1, "regions": [region], "file_attributes": {}}})


def make_supervisely(_name: str = "") -> str:
    points = {"exterior": [BOX[:2], BOX[2:]], "interior": []}
    shape = {"classTitle": "gato", "geometryType": "rectangle", "points": points, "tags": []}
    return json.dumps({"description": "", "tags": [], "size": {"height": 40, "width": 80}, "objects": [shape]})


def make_vott(name: str) -> str:
    box = {"left": 8, "top": 10, "width": 32, "height": 10}
    asset = {"format": "png", "id": "1", "name": name, "path": f"file:{name}", "size": {"width": 80, "height": 40}}
    regions = [{"id": "r", "type": "RECTANGLE", "tags": ["gato"], "boundingBox": box, "points": []}]
    return json.dumps({"name": "p", "assets": {"1": {"asset": asset, "regions": regions}}, "tags": [{"name": "gato"}]})


def make_datumaro(name: str) -> str:
    box = {"id": 0, "type": "bbox", "label_id": 0, "bbox": [8, 10, 32, 10], "attributes": {}, "group": 0}
    item = {"id": "0", "annotations": [box], "image": {"path": name, "size": [40, 80]}}
    labels = {"labels": [{"name": "gato", "parent": "", "attributes": []}]}
    return json.dumps({"info": {}, "categories": {"label": labels}, "items": [item]})


KITTI = "gato 0 0 0 8 10 40 20 0 0 0 0 0 0 0\n"
DOTA = "8 10 40 10 40 20 8 20 gato 0\n"
YOLO = "0 0.3 0.375 0.4 0.25\n"
HUGGING_FACE = {"objects": {"bbox": [[8, 10, 32, 10]], "categories": ["gato"]}}

# Formats whose files name the photo; each makes the label files for a name.
NAMING: dict[str, Callable[[str], dict[str, str | bytes]]] = {
    "voc": lambda name: {"labels/otro.xml": make_voc(name)},
    "labelme": lambda name: {"labels/otro.json": make_labelme(name)},
    "coco": lambda name: {"labels/l.json": make_coco(name)},
    "cvat": lambda name: {"labels/annotations.xml": make_cvat(name)},
    "createml": lambda name: {"labels/l.json": make_createml(name)},
    "labelstudio": lambda name: {"labels/l.json": make_labelstudio(name)},
    "via": lambda name: {"labels/via.json": make_via(name)},
    "vott": lambda name: {"labels/vott.json": make_vott(name)},
    "datumaro": lambda name: {"annotations/default.json": make_datumaro(name)},
    "huggingface": lambda name: {"metadata.jsonl": json.dumps({"file_name": name, **HUGGING_FACE})},
    "keras-yolo": lambda name: {"_annotations.txt": f"{name} 8,10,40,20,0\n", "_classes.txt": "gato\n"},
    "csv-boxes": lambda name: {"l.csv": f"filename,class,xmin,ymin,xmax,ymax\n{name},gato,8,10,40,20\n"},
}  # fmt: skip
# Formats whose label file is called as the photo is.
SIDECARS: dict[str, Callable[[str], dict[str, str | bytes]]] = {
    "yolo": lambda stem: {f"labels/{stem}.txt": YOLO, "classes.txt": "gato\n"},
    "kitti": lambda stem: {f"label_2/{stem}.txt": KITTI},
    "dota": lambda stem: {f"labelTxt/{stem}.txt": DOTA},
    "supervisely": lambda stem: {f"ds/ann/{stem}.png.json": make_supervisely()},
    "voc": lambda stem: {f"labels/{stem}.xml": make_voc(f"{stem}.png")},
}
