"""Mask legends: colours and values of every tool's format; missing and wrong legends."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.mask_drawings import (
    CAT,
    EXPECTED,
    GREEN,
    PHOTO,
    RED,
    SHAPE,
    VALUES,
    cells,
    coloured,
    dataset,
    drawn,
    grey,
    png,
    put,
    read,
)

from lince.errors import AmbiguousError, DataError, LinceError
from lince.formats.masks import color_map
from lince.formats.masks import reader as mask_reader
from lince.storage.tree import DataLocation, LocalFolder


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0::\ndog:0,128,0::\n"),
        ("labelmap.txt", "cat:128,0,0\ndog:0,128,0"),
        ("label_colors.txt", "128 0 0\tcat\n0 128 0\tdog\n0 0 0\tVoid\n"),
        ("classes.txt", "cat 128 0 0\ndog 0 128 0\n"),
        ("class_dict.csv", "name,r,g,b\ncat,128,0,0\ndog,0,128,0\n"),
        ("classes.json", json.dumps({"cat": [128, 0, 0], "dog": [0, 128, 0]})),
        (
            "meta.json",
            json.dumps({"classes": [{"title": "cat", "color": "#800000"}, {"title": "dog", "color": "#008000"}]}),
        ),
    ],
)
@pytest.mark.parametrize("kind", ["rgb", "rgba", "palette"])
def test_colours_and_their_legends(awkward: Path, name: str, text: str, kind: str) -> None:
    data = {
        "rgb": png(coloured(VALUES, {1: RED, 2: GREEN})),
        "rgba": png(coloured(VALUES, {1: RED, 2: GREEN}), mode="RGBA"),
        "palette": png(VALUES, [(0, 0, 0), RED, GREEN]),
    }
    table = read(put(awkward, {"images/a.jpg": PHOTO, "masks/a.png": data[kind], name: text}))
    assert (table.classes.names, table.rejected) == (("cat", "dog"), ())
    assert drawn(table) == EXPECTED


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "background\ncat\ndog\n"),
        ("classes.txt", "cat\ndog\n"),
        ("classes.txt", "0 background\n1 cat\n2: dog\n"),
        ("labels.txt", "1: cat\n2: dog\n255: ignore"),
        ("_classes.csv", "Pixel Value, Class\n0, background\n1, cat\n2, dog\n"),
        ("classes.json", json.dumps({"0": "background", "1": "cat", "2": "dog"})),
        ("classes.json", json.dumps({"cat": 1, "dog": 2})),
        ("classes.json", json.dumps(["background", "cat", "dog"])),
        ("legend.json", json.dumps([{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}])),
    ],
)
@pytest.mark.parametrize("kind", ["grey", "palette", "deep"])
def test_values_and_their_legends(awkward: Path, name: str, text: str, kind: str) -> None:
    values = VALUES.copy()
    values[0, 0] = 255
    data = {
        "grey": png(values),
        "palette": png(values, [(i, 0, 255 - i) for i in range(256)]),
        "deep": png(values.astype(np.uint16)),
    }
    table = read(put(awkward, {"images/a.jpg": PHOTO, "masks/a.png": data[kind], f"masks/{name}": text}))
    assert (table.classes.names, table.rejected) == (("cat", "dog"), ())
    assert drawn(table) == EXPECTED


def test_names_that_do_not_say_their_value_are_asked_for(awkward: Path) -> None:
    dataset(awkward, png(VALUES), classes__txt="cat\ndog\ncow\n")
    with pytest.raises(AmbiguousError, match="first class"):
        read(awkward)


def test_without_a_legend_values_are_classes(awkward: Path) -> None:
    table = read(dataset(awkward, png(VALUES)))
    assert table.classes.names == ("class_1", "class_2")
    evidence = mask_reader.detect(DataLocation(LocalFolder(awkward)))
    assert evidence is not None
    assert "without a legend" in evidence
    only = read(dataset(awkward, png(grey(v255=CAT))))
    assert drawn(only) == {"images/a.jpg": {"foreground": cells(CAT)}}
    colours = read(dataset(awkward, png(coloured(VALUES, {1: RED, 2: GREEN}))))
    assert set(colours.classes.names) == {"#800000", "#008000"}


def test_more_values_than_classes_are_likely_ask_for_a_legend(awkward: Path) -> None:
    put(awkward, {f"images/{i}.jpg": PHOTO for i in range(2)})
    for i in range(2):
        put(awkward, {f"masks/{i}.png": png(np.arange(48, dtype=np.uint8).reshape(SHAPE) + 48 * i)})
    with pytest.raises(DataError, match="95 different values"):
        read(awkward)


def test_legends_that_are_wrong(awkward: Path) -> None:
    dataset(awkward, png(VALUES), labelmap__txt="cat:1,2,3::\ndog:1,2,3::\n")
    with pytest.raises(DataError, match="stands for two classes"):
        read(awkward)
    put(awkward, {"labelmap.txt": "cat:1,2,3::\ndog\n"})
    with pytest.raises(DataError, match=r"labelmap\.txt:2"):
        read(awkward)
    put(awkward, {"classes.txt": "0 x"})
    with pytest.raises(AmbiguousError, match="several legends"):
        read(awkward)
    (awkward / "labelmap.txt").unlink()
    (awkward / "classes.txt").unlink()
    put(awkward, {"classes.json": '{"cat": "red"}'})
    with pytest.raises(DataError, match="not a legend"):
        read(awkward)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(color_map._TEXT_FILES | color_map._JSON_FILES)), st.one_of(
    st.binary(max_size=60), st.text(max_size=60).map(str.encode),
    st.text("cat,:;#0128\n\t \"[]{}", max_size=60).map(str.encode),
    st.recursive(st.one_of(st.integers(-1, 300), st.text("ab#0", max_size=7), st.none()), lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["name", "color", "id", "1", "classes"]), inner))
    ).map(lambda value: json.dumps(value).encode()),
))  # fmt: skip
def test_any_bytes_as_a_legend(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes) -> None:
    root = tmp_path_factory.getbasetemp() / "anylegend"
    put(root, {name: data})
    with contextlib.suppress(LinceError):
        told = color_map.read_colour_map(
            LocalFolder(root), name, [color_map.PixelValue(1, RED), color_map.PixelValue(None, GREEN)]
        )
        assert all(told.find(key) in (None, color_map.BACKGROUND, *range(len(told.names))) for key in (
            color_map.PixelValue(1, RED), color_map.PixelValue(None, GREEN)))  # fmt: skip
