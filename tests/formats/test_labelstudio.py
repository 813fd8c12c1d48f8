"""Label Studio: both kinds of JSON, unusual photo names, all shapes, and regions that are not used."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lince import images, rle
from lince.annotations import UNLABELLED
from lince.datasets import open_dataset
from lince.datasets.conversion import convert_dataset
from lince.errors import DataError, LinceError
from lince.formats import FORMATS, LabelTable, open_table, row_rle
from lince.splits import TRAIN, UNASSIGNED, VAL
from lince.storage.resolve import resolve_location

PHOTO = images.encode_png(np.zeros((50, 200, 3), np.uint8))
SIZE = {"original_width": 200, "original_height": 50, "image_rotation": 0}


def region(kind: str, label: str = "gato", about: dict[str, Any] | None = None, **value: Any) -> dict[str, Any]:
    names = {kind: [label]} if label else {}
    return {"id": "a1", "type": kind, **SIZE, **(about or {}), "value": {**names, **value}}


def rectangle(x: Any = 10, y: Any = 20, width: Any = 30, height: Any = 40, **more: Any) -> dict[str, Any]:
    return region("rectanglelabels", x=x, y=y, width=width, height=height, **{"rotation": 0, **more})


def task(mention: str, *results: Any, **more: Any) -> dict[str, Any]:
    annotation = {"id": 5, "completed_by": 1, "was_cancelled": False, "result": list(results)}
    return {"id": 1, "annotations": [annotation], "data": {"image": mention}, "predictions": [], **more}


def made(root: Path, value: Any, *names: str) -> Path:
    for name in names or ("1.png",):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PHOTO)
    (root / "project-1.json").write_text(value if isinstance(value, str) else json.dumps(value))
    return root


def boxes(table: LabelTable) -> list[list[float]]:
    assert table.objects is not None
    return table.objects.boxes.tolist()


def test_rectangles_in_percent(awkward: Path) -> None:
    table = open_table(made(awkward, [task("1.png", rectangle(), rectangle(0.5, 0, 99.5, 100))]))
    assert (table.format, table.rejected, table.classes.names) == ("labelstudio", (), ("gato",))
    np.testing.assert_allclose(boxes(table), [[20, 10, 80, 30], [1, 0, 200, 50]], rtol=1e-12)
    assert table.sizes is not None
    assert table.sizes.tolist() == [[50, 200]]


@pytest.mark.parametrize(
    ("mention", "name"),
    [
        ("/data/upload/1/0123abcd-ñ 1.png", "fotos/ñ 1.png"),
        ("/data/upload/1/0123abcd-1.png", "images/0123abcd-1.png"),
        ("/data/local-files/?d=set/images/a%20%C3%B1.png", "images/a ñ.png"),
        ("/data/local-files/?d=set\\images\\a.png&x=1", "images/a.png"),
        ("s3://bucket/deep/a.png", "a.png"),
        ("https://example.com/photos/a.png?token=1&x=/b.png", "photos/a.png"),
        ("a%201.png", "a 1.png"),
        ("100%.png", "100%.png"),
    ],
)
def test_photos_are_found_under_the_names_that_tasks_give_them(awkward: Path, mention: str, name: str) -> None:
    table = open_table(made(awkward, [task(mention, rectangle())], name))
    assert (list(table.names), table.rejected) == ([name], ())


def test_photos_in_the_next_folder_and_data_under_other_keys(awkward: Path) -> None:
    tasks = [task("", rectangle(), data={"title": "una casa", "picture": "x/1.png"})]
    made(awkward / "labels", tasks, "../images/1.png")
    table = open_table(awkward / "labels/project-1.json")
    assert (table.format, list(table.names)) == ("labelstudio", ["images/1.png"])


def test_polygons_and_ellipses(awkward: Path) -> None:
    polygon = region("polygonlabels", points=[[10, 20], [50, 20], [50, 80.5]], closed=True)
    ellipse = region("ellipselabels", x=50, y=50, radiusX=5, radiusY=40, rotation=0)
    table = open_table(made(awkward, [task("1.png", polygon, ellipse)]))
    assert table.rejected == ()
    np.testing.assert_allclose(boxes(table), [[20, 10, 100, 40.25], [90, 5, 110, 45]], atol=1e-9)
    assert table.objects is not None
    np.testing.assert_allclose(table.objects.get_polygons(0), [[[20, 10], [100, 10], [100, 40.25]]])


def test_a_turn_goes_clockwise_round_the_corner_given(awkward: Path) -> None:
    # Label Studio issue 2293: on 1000 x 500, (200, 100, 300, 100) turned by 90 is (100, 100, 100, 300).
    about = {"original_width": 1000, "original_height": 500}
    turned = region("rectanglelabels", about=about, x=20, y=20, width=30, height=20, rotation=90)
    table = open_table(made(awkward, [task("1.png", turned)]))
    np.testing.assert_allclose(boxes(table), [[100, 100, 200, 400]], atol=1e-9)
    assert table.objects is not None
    np.testing.assert_allclose(
        table.objects.get_polygons(0)[0], [[200, 100], [200, 400], [100, 400], [100, 100]], atol=1e-9
    )


def test_whole_images_have_choices(awkward: Path) -> None:
    tasks = [task(f"{i}.png", region("choices", "", choices=[name])) for i, name in enumerate(("no", "sí", "no"))]
    tasks.append(task("3.png", region("choices", "", choices=["no", "sí"])))
    table = open_table(made(awkward, tasks, *(f"{i}.png" for i in range(4))))
    assert table.objects is None
    assert [table.list_class_names(row) for row in range(4)] == [["no"], ["sí"], ["no"], ["no", "sí"]]
    assert (table.class_ids[3], table.rejected) == (UNLABELLED, ())


def test_of_several_annotations_the_first_not_cancelled_counts(awkward: Path) -> None:
    def annotation(cancelled: bool, *results: Any) -> dict[str, Any]:
        return {"was_cancelled": cancelled, "result": list(results)}

    several = [annotation(True, rectangle()), annotation(False, rectangle(1)), annotation(False, rectangle(2))]
    tasks = [task("1.png", annotations=several), task("2.png", annotations=[annotation(True)]), task("3.png")]
    tasks += [task("4.png", annotations=[]), task("3.png"), task("5.png", rectangle())]
    table = open_table(made(awkward, tasks, *(f"{i}.png" for i in range(1, 5))))
    assert list(table.names) == ["1.png", "3.png"]
    assert [box[0] for box in boxes(table)] == [2]
    assert [(refusal.path[14:], refusal.kind) for refusal in table.rejected] == [
        ("#/0/annotations/0", "row"),
        ("#/0/annotations/2", "row"),
        ("#/1/annotations/0", "row"),
        ("#/1", "no-label"),
        ("#/3", "no-label"),
        ("#/4", "double"),
        ("#/5", "no-image"),
    ]


def test_the_short_form(awkward: Path) -> None:
    after = {"annotator": 1, "annotation_id": 3, "created_at": "x", "updated_at": "y", "lead_time": 1.5}
    drawn = {**{k: v for k, v in SIZE.items() if k != "image_rotation"}, "x": 10, "y": 20, "width": 30, "height": 40}
    tasks: list[dict[str, Any]] = [
        {"image": "/data/upload/1/0123abcd-1.png", "id": 1, "label": [{**drawn, "rectanglelabels": ["gato"]}], **after},
        {"image": "2.png", "note": "perro", "id": 2, **after},
        {"image": "3.png", "id": 3, "choice": "perro", **after},
        {"image": "4.png", "id": 4, "choice": {"choices": ["a", "b"]}, "label": [7], **after},
    ]
    table = open_table(made(awkward, tasks, *(f"{i}.png" for i in range(1, 5))))
    assert (table.format, list(table.names)) == ("labelstudio", ["1.png", "2.png", "3.png", "4.png"])
    assert boxes(table) == [[20, 10, 80, 30]]
    assert [table.list_class_names(row) for row in range(4)] == [[], [], ["perro"], ["a", "b"]]
    assert [refusal.path[14:] for refusal in table.rejected] == ["#/3/label/0"]


def test_splits_and_the_order_of_classes(awkward: Path) -> None:
    tasks = [task("1.png", rectangle(), data={"image": "1.png", "split": "Train"}), task("val/2.png"), task("3.png")]
    made(awkward, tasks, "1.png", "val/2.png", "3.png")
    config = '<View><Image name="i" value="$image"/><RectangleLabels name="l" toName="i"><Label value="zorro"/>'
    config += '<Label value="Gato" alias="gato"/></RectangleLabels><Choices><Choice value="zorro"/></Choices></View>'
    (awkward / "config.xml").write_text(config)
    table = open_table(awkward)
    assert table.classes.names == ("zorro", "gato")
    assert table.splits.tolist() == [TRAIN, VAL, UNASSIGNED]
    (awkward / "config.xml").write_text(config[:-3])
    assert [refusal.path for refusal in open_table(awkward).rejected] == ["config.xml"]


def test_what_is_not_used_is_listed_with_its_place(awkward: Path) -> None:
    wrong: list[tuple[Any, str, str]] = [
        (region("keypointlabels", x=1, y=1), "row", "keypointlabels"),
        (region("textarea", "", text=["hola"], about={"id": "t"}), "row", "textarea"),
        ({"type": "relation", "from_id": "a", "to_id": "b"}, "row", "relation"),
        (7, "row", "a result"),
        (rectangle("uno"), "number", "'x'"),
        (rectangle(float("nan")), "number", "'x'"),
        (rectangle(True), "number", "'x'"),
        (rectangle(80), "outside", "20 px"),
        (rectangle(width=-1), "inverted", "order"),
        (rectangle(1e308, width=1e308), "number", "not a number"),
        (rectangle(rotation="x"), "number", "rotation"),
        (rectangle(about={"image_rotation": 90}), "row", "rotated"),
        (region("rectanglelabels", "", x=1, y=1, width=2, height=2, about={"id": "z"}), "row", "0 labels"),
        (rectangle(rectanglelabels=["a", "b"]), "row", "2 labels"),
        (region("polygonlabels", points=[[1, 1], [2, 2]]), "empty", "three"),
        (region("polygonlabels", points=[[1, 1], [2, 2], [3, "x"]]), "number", "pair"),
        (region("polygonlabels", points=[[1, 1], [2, 2], [3, 10**400]]), "number", "not a number"),
        (region("brushlabels", rle="x"), "row", "packed"),
        (region("brushlabels", rle=[1, 2, 3]), "row", "damaged"),
        (region("brushlabels", rle=[300]), "row", "damaged"),
        (region("brushlabels", rle=[255] * 40), "row", "damaged"),
    ]
    tasks = [task("1.png", *(result for result, _fault, _said in wrong)), 9, task("2.png")]
    table = open_table(made(awkward, tasks, "1.png", "2.png"))
    assert (boxes(table), list(table.names)) == ([], ["2.png"])
    rows = [refusal for refusal in table.rejected if "/result/" in refusal.path]
    assert [refusal.path for refusal in table.rejected if refusal not in rows] == ["project-1.json#/1", "1.png"]
    assert len(rows) == len(wrong)
    for place_in_list, (_result, fault, said) in enumerate(wrong):
        (refusal,) = (row for row in rows if row.path.endswith(f"/result/{place_in_list}"))
        assert refusal.kind == fault
        assert said in str(refusal)


def test_what_is_said_about_a_region_beside_its_label_is_passed_over(awkward: Path) -> None:
    bare = region("rectangle", "", x=10, y=20, width=30, height=40, rotation=0)
    labelled = region("labels", x=10, y=20, width=30, height=40, rotation=0)
    text = region("textarea", "", x=10, y=20, width=30, height=40, text=["hola"])
    table = open_table(made(awkward, [task("1.png", bare, labelled, text)]))
    assert (len(boxes(table)), table.classes.names, table.rejected) == (1, ("gato",), ())


@pytest.mark.parametrize("text", ["[", '{"a": 1}', "[" * 100_000, '[{"annotations": [{"result": []}], "data": {}}'])
def test_a_file_that_is_not_whole_is_an_error(awkward: Path, text: str) -> None:
    made(awkward, text)
    with pytest.raises(DataError) as caught:
        open_table(awkward / "project-1.json", "labelstudio")
    assert "project-1.json" in caught.value.problem


def test_a_damaged_file_beside_a_valid_one_is_reported(awkward: Path) -> None:
    made(awkward, [task("1.png", rectangle())])
    (awkward / "project-2.json").write_text(json.dumps([task("2.png")])[1:])
    table = open_table(awkward)
    assert (len(boxes(table)), [refusal.path for refusal in table.rejected]) == (1, ["project-2.json"])


@pytest.mark.parametrize(
    "value",
    [
        [{"image": "1.png", "annotations": [{"label": "a", "coordinates": {"x": 1}}]}],
        {"images": [], "annotations": [], "categories": []},
        {"shapes": [], "imagePath": "1.png"},
        [],
        [1],
        "junk",
    ],
)
def test_json_of_others_is_not_taken_for_it(awkward: Path, value: Any) -> None:
    assert FORMATS["labelstudio"].detect(resolve_location(made(awkward, value))) is None


# Brush strokes


def packed(values: list[int], lengths: tuple[int, ...] = (3, 4, 8, 16)) -> list[int]:
    """Pack as rle-pack specifies: runs of equal values as runs, all others one by one."""
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{length - 1:04b}" for length in lengths)
    at = 0
    while at < len(values):
        end = at + 1
        while end < len(values) and values[end] == values[at] and end - at < 2 ** lengths[1]:
            end += 1
        if end - at > 1:
            bits += f"101{end - at - 1:0{lengths[1]}b}{values[at]:08b}"
        else:
            end = min(at + 2, len(values))
            bits += f"000{end - at - 1:0{lengths[0]}b}" + "".join(f"{value:08b}" for value in values[at:end])
        at = end
    return [int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8)]


@settings(max_examples=60, deadline=None, database=None)
@given(st.integers(1, 7), st.integers(1, 9), st.integers(0, 2**32 - 1), st.sampled_from([(3, 4, 8, 16), (1, 2, 9, 12)]))
def test_brush_strokes_are_unpacked(height: int, width: int, seed: int, lengths: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    covered = rng.random((height, width)) < 0.5
    colours = rng.integers(0, 256, (height, width, 4))
    colours[..., 3] = np.where(covered, np.maximum(colours[..., 3], 1), 0)
    if rng.random() < 0.5:
        colours[..., :3] = 255 * covered[..., None]
    assert row_rle.decode_labelstudio_rle(packed(colours.ravel().tolist(), lengths), (height, width)) == rle.encode(
        covered
    )


def test_a_brush_stroke_in_a_task(awkward: Path) -> None:
    mask = np.zeros((50, 200), bool)
    mask[3:9, 7:15] = True
    stroke = region("brushlabels", format="rle", rle=packed((255 * np.repeat(mask.ravel(), 4)).tolist()))
    table = open_table(made(awkward, [task("1.png", stroke)]))
    assert table.objects is not None
    assert (table.objects.masks[0], boxes(table)) == (rle.encode(mask), [[7, 3, 15, 9]])


# Mutated input


ODD: list[Any] = [None, True, 0, -1, 1e-300, 1e308, 10**400, float("nan"), float("inf"), "", "x", "\ud800", [], {}]
ODD += [[None], [[]], ["a", 1], [1, 2, 3], [[1, 1], [2, 2], [3, 3]], {"x": 1}, {"value": {"rle": [0] * 20}}, [255] * 20]


@settings(max_examples=100, deadline=None, database=None)
@given(st.data())
def test_a_changed_task_is_an_error_or_loses_nothing(data: st.DataObject) -> None:
    results: list[Any] = [rectangle(), region("polygonlabels", points=[[1, 1], [5, 1], [5, 5]]), rectangle(30)]
    for _turn in range(data.draw(st.integers(1, 3))):
        target = data.draw(st.sampled_from(results))
        if not isinstance(target, dict):
            continue
        inner = data.draw(st.sampled_from([target, target.get("value")]))
        if isinstance(inner, dict) and inner:
            inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(st.sampled_from(ODD))
    results.append(data.draw(st.sampled_from(ODD)))
    for number, result in enumerate(results):
        if isinstance(result, dict):
            result["id"] = str(number)
    with tempfile.TemporaryDirectory() as folder:
        root = made(Path(folder), [task("1.png", *results), task("2.png")], "1.png", "2.png")
        table = open_table(root)
        used = 0 if table.objects is None else len(table.objects)
        classed = int((table.class_ids != UNLABELLED).sum())
        lost = [item.path for item in table.rejected if item.kind == "lost"]
        assert sorted([*table.names, *lost]) == ["1.png", "2.png"]
        assert used + classed + len(table.rejected) - len(lost) >= len(results)


@settings(max_examples=80, deadline=None, database=None)
@given(st.integers(0, 10_000), st.integers(0, 4), st.binary(max_size=4))
@example(0, 0, b"")
def test_a_cut_or_overwritten_file_is_clean(at: int, count: int, instead: bytes) -> None:
    content = json.dumps([task("1.png", rectangle(), region("choices", "", choices=["sí"]))]).encode()
    at %= len(content)
    with tempfile.TemporaryDirectory() as folder:
        root = made(Path(folder), "")
        (root / "project-1.json").write_bytes(content[:at] + instead + content[at + count :])
        FORMATS["labelstudio"].detect(resolve_location(root))
        try:
            table = open_table(root / "project-1.json", "labelstudio")
        except LinceError:
            return
        assert len(table.names) == 1


def test_what_is_written_can_be_imported(shared: Path, awkward: Path) -> None:
    hats = open_dataset(shared / "data/hardhat", format="voc").select(range(6))
    convert_dataset(hats, awkward / "out", "labelstudio")
    tasks = json.loads((awkward / "out/tasks.json").read_text(encoding="utf-8"))
    first = tasks[0]
    assert first["data"] == {"image": "/data/local-files/?d=images/train/hard_hat_workers0.jpg", "split": "train"}
    result = first["annotations"][0]["result"][0]
    assert (result["type"], result["value"]["rectanglelabels"], result["original_width"]) == (
        "rectanglelabels",
        ["helmet"],
        416,
    )
    assert result["value"]["x"] == pytest.approx(100 * 357 / 416)
    back = open_dataset(awkward / "out")
    assert (back.format, back.classes, back.count_per_class()) == ("labelstudio", hats.classes, hats.count_per_class())
