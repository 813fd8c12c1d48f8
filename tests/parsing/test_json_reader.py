"""JSON reader: encodings, damage, size and depth limits, and peeking at the first keys."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lince.errors import DataError
from lince.formats import open_table
from lince.parsing import json_reader
from lince.storage.tree import LocalFolder


def test_encodings_and_oddities(awkward: Path) -> None:
    tree = LocalFolder(awkward)
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le"):
        (awkward / "x.json").write_bytes('{"ñ": [1, NaN], "ñ": 2}'.encode(encoding))
        assert json_reader.load_json(tree, "x.json") == {"ñ": 2}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b'{"a": [1, 2', "truncated here"),
        (b'{"a":\n "b', "x.json:2:2"),
        (b'{"a":\n 1,}', "x.json:2:4"),
        (b'{"a":\n "\xff"}', "x.json:2 is not text"),
        (b"[" * 100_000, "nested too deep"),
        (b"[" + b"9" * 5000 + b"]", "cannot be read"),
        (b"{} {}", "x.json:1:4"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(awkward: Path, data: bytes, words: str) -> None:
    (awkward / "x.json").write_bytes(data)
    with pytest.raises(DataError, match=words):
        json_reader.load_json(LocalFolder(awkward), "x.json")
    assert isinstance(json_reader.peek_json(LocalFolder(awkward), "x.json"), (dict, list))


def test_a_json_of_2_gb_is_refused_unread(awkward: Path) -> None:
    with open(awkward / "x.json", "wb") as stream:
        stream.write(b'{"images": [')
        stream.truncate(2**31)
    with pytest.raises(DataError, match="2,147,483,648 bytes"):
        open_table(awkward / "x.json", "coco")


def test_lists_without_end_are_refused(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_reader, "_MAX_CONTAINERS", 5)
    (awkward / "x.json").write_bytes(b"[[],[],[],[],[]]")
    with pytest.raises(DataError, match="lists and records"):
        json_reader.load_json(LocalFolder(awkward), "x.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "bbox", "x/~"]), inner),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(JSON, st.integers(0, 80))
def test_peeking_reads_the_first_keys(value: Any, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps(value, ensure_ascii=True)
        (Path(folder) / "x.json").write_text(text, encoding="utf-8")
        seen = json_reader.peek_json(LocalFolder(Path(folder)), "x.json", count)
        whole = json_reader.peek_json(LocalFolder(Path(folder)), "x.json")
    assert json.dumps(whole) == json.dumps(value if isinstance(value, (dict, list)) else {})
    if isinstance(value, dict) and seen:
        assert set(seen) <= set(value)
