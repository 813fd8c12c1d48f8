"""CVAT XML for images: subsets, label order, all shapes, and refusals with their line."""

from __future__ import annotations

import tempfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.mutated_bytes import draw_mutated

from lince import images, rle
from lince.annotations import OCCLUDED, UNLABELLED
from lince.datasets import open_dataset
from lince.datasets.conversion import convert_dataset
from lince.errors import DataError, LinceError, UsageError
from lince.formats import FORMATS, LabelTable, ReadOptions, open_table, row_rle
from lince.progress import SILENT
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL
from lince.storage.resolve import resolve_location

PHOTO = images.encode_png(np.zeros((6, 8, 3), np.uint8))
META = """<meta><task><id>7</id><subset>{subset}</subset><labels>
<label><name>zorro</name><color>#fff</color><attributes><attribute><name>edad</name></attribute></attributes></label>
<label><name>árbol</name></label><label><name>nunca</name></label>
<label><name>pata</name><parent>zorro</parent></label>
</labels></task></meta>"""
BOX = '<box label="zorro" occluded="{o}" source="manual" xtl="1.25" ytl="2" xbr="7.5" ybr="5.00">{inner}</box>'


def document(*inner: str, subset: str = "") -> str:
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
    return head + META.format(subset=subset) + "\n" + "\n".join(inner) + "\n</annotations>\n"


def image(name: str, *shapes: str, more: str = "") -> str:
    return f'<image id="0" name="{name}" width="8" height="6" {more}>\n' + "\n".join(shapes) + "\n</image>"


def made(root: Path, text: str | bytes, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PHOTO)
    root.mkdir(parents=True, exist_ok=True)
    (root / "annotations.xml").write_bytes(text.encode() if isinstance(text, str) else text)
    return root


def boxes(table: LabelTable) -> list[list[float]]:
    assert table.objects is not None
    return table.objects.boxes.tolist()


def test_images_boxes_flags_and_the_order_of_labels(awkward: Path) -> None:
    attribute = '<attribute name="edad">3</attribute>'
    text = document(
        image("ñ 1.png", BOX.format(o=1, inner=attribute), BOX.format(o=0, inner="").replace("zorro", "otro")),
        image("2.png"),
    )
    table = open_table(made(awkward, text, "images/ñ 1.png", "images/2.png", "images/3.png"))
    assert (table.format, [(item.path, item.kind) for item in table.rejected]) == (
        "cvat", [("images/3.png", "unlabelled")]
    )  # fmt: skip
    assert list(table.names) == ["images/ñ 1.png", "images/2.png"]
    assert table.classes.names == ("zorro", "árbol", "nunca", "otro")
    assert boxes(table) == [[1.25, 2, 7.5, 5], [1.25, 2, 7.5, 5]]
    assert table.objects is not None
    assert table.objects.flags.tolist() == [OCCLUDED, 0]
    assert table.objects.class_ids.tolist() == [0, 3]
    assert table.sizes is not None
    assert table.sizes.tolist() == [[6, 8], [6, 8]]


def test_splits_are_subsets(awkward: Path) -> None:
    text = document(
        image("1.png", more='subset="Train"'), image("1.png", more='subset="Validation"'), image("2.png"), subset="Test"
    )
    table = open_table(made(awkward, text, "images/Train/1.png", "images/Validation/1.png", "images/2.png"))
    assert dict(zip(table.names, table.splits.tolist(), strict=True)) == {
        "images/Train/1.png": TRAIN,
        "images/Validation/1.png": VAL,
        "images/2.png": TEST,
    }
    assert table.rejected == ()


def test_subsets_of_a_project_go_by_task(awkward: Path) -> None:
    project = "<meta><project><labels><label><name>a</name></label></labels><tasks>{}</tasks></project></meta>".format(
        "".join(f"<task><id>{i}</id><subset>{word}</subset></task>" for i, word in ((3, "val"), (4, "default")))
    )
    shown = image("1.png", more='task_id="3"') + image("2.png", more='task_id="4"')
    text = f"<annotations>{project}{shown}</annotations>"
    table = open_table(made(awkward, text, "images/1.png", "images/2.png"))
    assert table.splits.tolist() == [VAL, UNASSIGNED]


def test_polygons_ellipses_and_turned_boxes(awkward: Path) -> None:
    polygon = '<polygon label="zorro" occluded="0" points="1,1;5.5,1.25;3,4"/>'
    turned = '<box label="zorro" occluded="0" xtl="2" ytl="1" xbr="6" ybr="3" rotation="90.0"/>'
    ellipse = '<ellipse label="zorro" occluded="0" cx="4" cy="3" rx="1" ry="2" rotation="90"/>'
    table = open_table(made(awkward, document(image("1.png", polygon, turned, ellipse)), "1.png"))
    np.testing.assert_allclose(boxes(table), [[1, 1, 5.5, 4], [3, 0, 5, 4], [2, 2, 6, 4]], atol=1e-9)
    assert table.objects is not None
    assert table.objects.get_polygons(0)[0].tolist() == [[1, 1], [5.5, 1.25], [3, 4]]
    np.testing.assert_allclose(table.objects.get_polygons(1)[0], [[5, 0], [5, 4], [3, 4], [3, 0]], atol=1e-9)


def test_masks_are_drawn_by_rows_within_a_rectangle(awkward: Path) -> None:
    mask = np.zeros((6, 8), bool)
    mask[2, 3:5] = mask[3, 2:5] = mask[4, 4] = True
    shape = '<mask label="zorro" occluded="0" rle="1, 5, 2, 1" left="2" top="2" width="3" height="3"/>'
    table = open_table(made(awkward, document(image("1.png", shape)), "1.png"))
    assert table.objects is not None
    assert table.objects.masks[0] == rle.encode(mask)
    assert boxes(table) == [[2, 2, 5, 5]]


def test_a_class_of_the_whole_image(awkward: Path) -> None:
    tag = '<tag label="árbol" source="manual"></tag>'
    other = tag.replace("árbol", "zorro")
    text = document(image("1.png", tag, tag), image("2.png", other), image("3.png", other, tag))
    table = open_table(made(awkward, text, "1.png", "2.png", "3.png"))
    assert table.objects is None
    assert [table.list_class_names(row) for row in range(3)] == [["árbol"], ["zorro"], ["zorro", "árbol"]]
    assert (table.class_ids.tolist(), table.rejected) == ([1, 0, UNLABELLED], ())
    boxed = open_table(made(awkward, document(image("1.png", other, tag, BOX.format(o=0, inner=""))), "1.png"))
    assert (boxed.class_ids.tolist(), boxes(boxed)) == ([UNLABELLED], boxes(boxed))
    assert len(boxes(boxed)) == 1
    assert boxed.list_class_names(0) == ["zorro", "árbol"]
    assert [item.kind for item in boxed.rejected] == ["unlabelled", "unlabelled"]
    both = open_table(made(awkward, document(image("1.png", tag, BOX.format(o=0, inner="")), image("2.png"))))
    assert both.objects is not None
    assert both.class_ids.tolist() == [1, UNLABELLED]


def test_what_is_not_used_is_listed_with_its_line(awkward: Path) -> None:
    wrong = {
        '<polyline label="zorro" points="1,1;2,2"/>': ("row", "<polyline>"),
        '<points label="zorro" points="1,1"/>': ("row", "<points>"),
        '<cuboid label="zorro" xtl1="1"/>': ("row", "<cuboid>"),
        '<box xtl="1" ytl="1" xbr="2" ybr="2"/>': ("row", "label"),
        '<box label="zorro" xtl="1" ytl="1" xbr="2"/>': ("row", "ybr"),
        '<box label="zorro" xtl="1" ytl="x" xbr="2" ybr="2"/>': ("number", "x"),
        '<box label="zorro" xtl="1" ytl="1" xbr="20" ybr="2"/>': ("outside", "12 px"),
        '<box label="zorro" xtl="3" ytl="1" xbr="2" ybr="2"/>': ("inverted", "order"),
        '<polygon label="zorro" points="1,1;2,2"/>': ("row", "three points"),
        '<polygon label="zorro" points="1,1;2,2;3"/>': ("row", "three points"),
        '<polygon label="zorro" points="1,1;2,2;3,inf"/>': ("number", "inf"),
        '<ellipse label="zorro" cx="1" cy="1" rx="1e308" ry="1e308"/>': ("outside", ""),
        '<mask label="zorro" rle="1, 2" left="2" top="2" width="3" height="3"/>': ("row", "fill"),
        '<mask label="zorro" rle="0, 9" left="6" top="2" width="3" height="3"/>': ("row", "extends past"),
        '<mask label="zorro" rle="0, -9" left="2" top="2" width="3" height="3"/>': ("number", "-9"),
        '<mask label="zorro" rle="0, 9" left="2" top="2" width="3"/>': ("row", "height"),
        '<mask label="zorro" rle="4, 0" left="0" top="0" width="2" height="2"/>': ("empty", "no area"),
        f'<mask label="zorro" rle="0,{10**14}" left="0" top="0" width="{10**7}" height="{10**7}"/>': (
            "row",
            "extends past",
        ),
    }
    track = '<track id="0" label="zorro"><box frame="0" outside="0" xtl="1" ytl="1" xbr="2" ybr="2"/></track>'
    text = document(image("1.png", *wrong), image("gone.png"), image("1.png"), track, image("2.png"))
    table = open_table(made(awkward, text, "1.png", "2.png"))
    assert boxes(table) == []
    assert list(table.names) == ["2.png"]  # what 1.png shows is not known; 2.png shows nothing
    *rows, gone, again, film, lost = table.rejected
    assert (lost.path, lost.kind) == ("1.png", "lost")
    for line, (refusal, (fault, said)) in enumerate(zip(rows, wrong.values(), strict=True), 10):
        assert (refusal.path, refusal.line, refusal.kind) == ("annotations.xml", line, fault)
        assert said in str(refusal)
    assert [refusal.kind for refusal in (gone, again, film)] == ["no-image", "double", "no-image"]
    assert "images 1.1" in film.remedy


def test_photos_lie_beside_the_file_or_in_the_next_folder(awkward: Path) -> None:
    made(awkward / "set/labels", document(image("1.png", BOX.format(o=0, inner=""))))
    (awkward / "set/images").mkdir()
    (awkward / "set/images/1.png").write_bytes(PHOTO)
    table = open_table(awkward / "set/labels/annotations.xml")
    assert (table.format, table.root, list(table.names)) == ("cvat", awkward / "set", ["images/1.png"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (document(image("1.png"))[:-20], "annotations.xml:11: not XML: it is truncated"),
        (document("<image>", "</annotations>"), "annotations.xml:10: not XML: mismatched"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>\n' + document()[39:], "annotations.xml:1: it declares"),
    ],
)
def test_a_file_that_is_not_whole_is_an_error(awkward: Path, text: str, said: str) -> None:
    made(awkward, text, "1.png")
    with pytest.raises(DataError) as caught:
        open_table(awkward, "cvat")
    assert said in caught.value.problem
    assert caught.value.remedy


def test_a_damaged_file_beside_a_valid_one_is_reported(awkward: Path) -> None:
    made(awkward, document(image("1.png", BOX.format(o=0, inner=""))), "1.png")
    (awkward / "more.xml").write_text(document(image("2.png"))[5:])
    table = open_table(awkward)
    assert len(boxes(table)) == 1
    assert [refusal.path for refusal in table.rejected] == ["more.xml"]


def test_other_xml_is_not_taken_for_it(awkward: Path) -> None:
    for name, text in (
        ("a", "<annotation><filename/></annotation>"),
        ("b", "<annotations><x/></annotations>"),
        ("c", ""),
    ):
        (awkward / f"{name}.xml").write_text(text)
    assert FORMATS["cvat"].detect(resolve_location(awkward)) is None


@settings(max_examples=100, deadline=None, database=None)
@given(st.data())
def test_a_mutated_file_is_an_error_or_loses_nothing(data: st.DataObject) -> None:
    shapes = [BOX.format(o=0, inner=""), '<mask label="a" rle="1, 5, 2, 1" left="2" top="2" width="3" height="3"/>']
    content = bytearray(document(image("1.png", *shapes, '<polygon label="b" points="1,1;5,1;3,4"/>')).encode())
    for _turn in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        insert = data.draw(st.sampled_from([b"", b"<", b'"', b"9" * 12, b"-", b"e9", b",", b"</image>", b"<image>"]))
        content[at : at + data.draw(st.integers(0, 2))] = insert
    with tempfile.TemporaryDirectory() as folder:
        root = made(Path(folder), bytes(content), "1.png")
        FORMATS["cvat"].detect(resolve_location(root))
        try:
            table = FORMATS["cvat"].read(resolve_location(root / "annotations.xml"), ReadOptions(), SILENT)
        except DataError:
            return
        found = ElementTree.fromstring(bytes(content)).findall("image")
        used = 0 if table.objects is None else len(table.objects)
        shapes_there = sum(len(item) for item in found[: len(table.names)])
        tags = int((table.class_ids != UNLABELLED).sum())
        assert len(table.names) == len(found) or table.rejected
        assert used + tags + len(table.rejected) >= shapes_there


# Masks by rows


@settings(max_examples=60, deadline=None, database=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.5, 0.9, 1.0]))
def test_masks_go_there_and_back(height: int, width: int, seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    text = rle.encode(mask)
    if mask.any():
        runs, rectangle = row_rle.encode_cvat_rle(text, (height, width))
        assert row_rle.decode_cvat_rle(np.array(runs), rectangle, (height, width)) == text
    assert (
        row_rle.decode_labelstudio_rle(row_rle.encode_labelstudio_rle(text, (height, width)), (height, width)) == text
    )


def test_what_is_written_reads_back_in_cvat_s_own_terms(shared: Path, awkward: Path) -> None:
    hats = open_dataset(shared / "data/hardhat", format="voc").select(range(5))
    convert_dataset(hats, awkward / "out", "cvat")
    root = ElementTree.parse(awkward / "out/annotations.xml").getroot()
    assert [label.findtext("name") for label in root.iter("label")] == list(hats.classes.names)
    found = root.findall("image")
    assert [item.get("subset") for item in found] == ["train", "train", "train", "train", "val"]
    assert all((awkward / "out/images" / str(item.get("subset")) / str(item.get("name"))).is_file() for item in found)
    first = found[0].findall("box")[0]
    assert [float(first.get(side, "")) for side in ("xtl", "ytl", "xbr", "ybr")] == [357, 116, 404, 175]


# Tracks of a video


def video(*tracks: str, size: int = 6, start: int = 0) -> str:
    meta = f"<meta><task><size>{size}</size><start_frame>{start}</start_frame><labels><label><name>árbol</name></label>"
    sides = "<original_size><width>8</width><height>6</height></original_size>"
    return f"<annotations><version>1.1</version>{meta}</labels>{sides}</task></meta>{''.join(tracks)}</annotations>"


def shown(frame: int, left: float = 1, outside: int = 0, tag: str = "box", more: str = "") -> str:
    sides = f'xtl="{left}" ytl="1" xbr="{left + 2}" ybr="3"' if tag == "box" else 'points="1,1;5,1;3,4"'
    return f'<{tag} frame="{frame}" outside="{outside}" occluded="{frame % 2}" keyframe="1" {sides} {more}/>'


def frames(*numbers: int, prefix: str = "images/frame_") -> list[str]:
    return [f"{prefix}{number:06d}.png" for number in numbers]


def test_tracks_are_shapes_of_the_frames_that_are_there(awkward: Path) -> None:
    tracks = [
        '<track id="0" label="zorro">' + shown(0, 1) + shown(4, 5) + shown(5, 5, 1) + "</track>",
        '<track id="1" label="árbol">'
        + shown(1, tag="polygon")
        + shown(2, tag="polygon")
        + shown(9, 1, 1)
        + "</track>",
    ]
    table = open_table(made(awkward, video(*tracks, size=8), *frames(0, 1, 2, 3, 5, 6, 20), "images/logo.png"))
    assert list(table.names) == frames(0, 1, 2, 3, 5, 6)
    assert table.classes.names == ("árbol", "zorro")
    assert table.objects is not None
    found = [boxes(table)[table.objects.slice_of_image(row)] for row in range(6)]
    assert found[:2] == [[[1, 1, 3, 3]], [[2, 1, 4, 3], [1, 1, 5, 4]]]
    assert found[2:] == [[[3, 1, 5, 3], [1, 1, 5, 4]], [[4, 1, 6, 3]], [], []]
    assert table.objects.flags[table.objects.slice_of_image(0)].tolist() == [0]
    assert [(item.kind, "frame_000004" in item.reason) for item in table.rejected] == [
        ("no-image", True), ("unlabelled", False), ("unlabelled", False),
    ]  # fmt: skip


def test_frames_may_be_called_otherwise_and_videos_alone_are_told(awkward: Path) -> None:
    text = video('<track id="0" label="zorro">' + shown(3) + shown(4) + shown(5, 1, 1) + "</track>", start=3, size=2)
    table = open_table(made(awkward / "a", text, "otra/b 3.png", *frames(3, 4, 5, prefix="clip ñ-")))
    assert list(table.names) == frames(3, 4, prefix="clip ñ-")
    made(awkward / "b", text)
    (awkward / "b" / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    with pytest.raises(UsageError, match=r"2 frames of the video .*\(2 shapes\)"):
        open_table(awkward / "b")


def test_damaged_shapes_of_a_track_are_named_and_their_frame_is_no_background(awkward: Path) -> None:
    bad = shown(1).replace('xtl="1"', 'xtl="x"') + shown(2).replace('frame="2"', 'frame="-2"')
    track = (
        '<track id="0" label="zorro">' + shown(0) + bad + shown(0, 9, 1).replace('frame="0"', 'frame="1"') + "</track>"
    )
    table = open_table(made(awkward, video(track, size=2), *frames(0, 1)))
    assert list(table.names) == frames(0)
    assert [item.kind for item in table.rejected] == ["row", "row", "lost"]


def test_counts_of_tracks_are_those_of_the_elements(awkward: Path) -> None:
    rng = np.random.default_rng(3)
    tracks = []
    for number in range(5):
        first = int(rng.integers(0, 20))
        shapes = [shown(frame, float(rng.uniform(0, 5))) for frame in range(first, first + 8)]
        tracks.append(f'<track id="{number}" label="zorro">' + "".join(shapes) + shown(first + 8, 1, 1) + "</track>")
    text = video(*tracks, size=30)
    table = open_table(made(awkward, text, *frames(*range(30))))
    inside = [one for one in ElementTree.fromstring(text).iter("box") if one.get("outside") == "0"]
    assert table.objects is not None
    assert (len(table.names), len(table.objects)) == (30, len(inside))
    named = {int(one.attrib["frame"]) for one in inside}
    assert (np.diff(table.objects.starts) > 0).nonzero()[0].tolist() == sorted(named)


@settings(max_examples=60, deadline=None)
@given(seed=st.data())
def test_damaged_tracks_are_refused_or_named(seed: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = video('<track id="0" label="zorro">' + "".join(map(shown, range(4))) + "</track>", size=4).encode()
    root = made(tmp_path_factory.getbasetemp() / "tracks", seed.draw(draw_mutated(whole)), *frames(0, 1, 2, 3))
    try:
        table = FORMATS["cvat"].read(resolve_location(root), ReadOptions(), SILENT)
    except LinceError:
        return
    assert table.objects is None or len(table.objects) >= 4 or table.rejected
