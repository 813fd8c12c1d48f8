"""Label files as text and as folders, and what ``lince convert`` reads of them, seen in what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from tests.support.command import Finished, read_rows, run_lince

VOC = "<annotation><filename>{}.png</filename><size><width>80</width><height>40</height></size>{}</annotation>"
VOC_BOX = "<object><name>x</name><bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
GOOD = {"id": 2, "image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4]}


def coco(annotations: list[dict], categories: object = None) -> str:
    photos = [{"id": i, "file_name": f"images/{name}.png", "width": 80, "height": 40} for i, name in enumerate("ab", 1)]
    return json.dumps(
        {"images": photos, "categories": categories or [{"id": 1, "name": "x"}], "annotations": annotations}
    )


def labelme(label: str, photo: str = "a.png", points: object = ((1, 2), (30, 20))) -> str:
    shape = {"label": label, "points": points, "shape_type": "rectangle", "flags": {}}
    return json.dumps({"version": "5", "flags": {}, "shapes": [shape], "imagePath": photo, "imageData": None,
                       "imageHeight": 40, "imageWidth": 80})  # fmt: skip


def save_photo(path: Path, seed: int, width: int = 80, height: int = 40) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.random.default_rng(seed).integers(0, 256, (5, 10, 3), dtype=np.uint8)
    Image.fromarray(cells).resize((width, height), Image.Resampling.NEAREST).save(path)


def save_photos(root: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        save_photo(root / name, seed + sum(name.encode()))
    return root


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def read_classes(root: Path, data: Path | str, *options: str) -> tuple[Finished, list[dict[str, str]]]:
    """Return what ``convert`` said, and the rows of the table of classes that it wrote; none where it refused."""
    done = run_lince(root, "convert", data, root / "out", "--to", "csv", *options)
    return done, read_rows(root / "out" / "labels.csv") if done.code == 0 else []


def read_boxes(root: Path, data: Path | str, *options: str) -> tuple[Finished, dict[str, list[list[float]]]]:
    """Return what ``convert`` said, and the boxes (class, x, y, width, height) of each photo that it wrote as COCO."""
    done = run_lince(root, "convert", data, root / "out", "--to", "coco", *options)
    found: dict[str, list[list[float]]] = {}
    for path in (root / "out").rglob("*.json") if done.code == 0 else ():
        document = json.loads(path.read_text("utf-8"))
        classes = {row["id"]: row["name"] for row in document["categories"]}
        names = {row["id"]: Path(row["file_name"]).name for row in document["images"]}
        found |= {name: [] for name in names.values()}
        for row in document["annotations"]:
            found[names[row["image_id"]]].append([classes[row["category_id"]], *(round(v, 6) for v in row["bbox"])])
    return done, found
