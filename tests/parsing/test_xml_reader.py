"""XML is read as Expat reads it: tags, attributes, texts and lines, also plain documents that are read without it."""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.mutated_bytes import draw_mutated

from lince.annotations import RejectedItem
from lince.parsing import xml_reader
from lince.parsing.xml_reader import XmlElement, parse_xml

Node = tuple[str, dict[str, str], str, int, list[Any]]
VOC = b"""<?xml version="1.0" encoding="utf-8"?>
<annotation verified="yes">
  <filename>caf\xc3\xa9.jpg</filename><path/>
  <size><width>64</width>
    <height>48</height></size>
  <object>
    <name> rosa </name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30.5</xmax><ymax>40</ymax></bndbox>
  </object>
</annotation>
"""
PIECES = (
    "<a>", "</a>", "<b>", "</b>", "<a>1</a>", "<b>\n é\n</b>", "<b></b>", "<b/>", "<a >", "</a >", "\n", "\r\n", "\r",
    " ", "x", '<a k="v">', '<a k="v" j="2">', '<b k="v" k="w">', "<b k='v'>", '<b k=">">', '<b k="a=b">', '<b k="">',
    "&lt;", "&amp;", "&no;", "&#65;", "<!-- a -->", "<![CDATA[<c>]]>", "]]>", ">", "<", "<?pi?>", "\x01", "\ufffe",
    "<1>", "<é>", "</é>", "<a:b>", '<?xml version="1.0"?>', '<?xml version="1.0" encoding="UTF-8"?>', "\ufeff",
    "<!DOCTYPE a>",
)  # fmt: skip


def read_by_expat(data: bytes) -> Node | None:
    """Return (tag, attributes, text where there are no children, line, children) of the root, ``None`` for no XML."""
    top: Node = ("", {}, "", 0, [])
    stack, texts = [top], [""]
    parser = expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        stack.append((tag, attributes, "", parser.CurrentLineNumber, []))
        texts.append("")

    def end(_tag: str) -> None:
        tag, attributes, _text, line, children = stack.pop()
        text = texts.pop()
        stack[-1][4].append((tag, attributes, "" if children else text, line, children))

    def add(text: str) -> None:
        texts[-1] += text

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, add
    try:
        parser.Parse(data, True)
    except expat.ExpatError:
        return None
    return top[4][0]


def as_node(element: XmlElement) -> Node:
    children = [as_node(child) for child in element.children]
    return element.tag, element.attributes, element.text, element.line, children


def require_same(data: bytes) -> None:
    found, expected = parse_xml(data, "a.xml"), read_by_expat(data)
    if expected is None:
        assert isinstance(found, RejectedItem)
    else:
        assert isinstance(found, XmlElement)
        assert as_node(found) == expected


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_document_is_read_as_by_expat(text: str) -> None:
    require_same(text.encode())
    require_same(f"<a>{text}</a>".encode())


@given(draw_mutated(VOC))
def test_damaged_labels_are_read_as_by_expat(data: bytes) -> None:
    try:
        require_same(data)
    except LookupError:  # the declared encoding has become one that nobody knows
        assert isinstance(parse_xml(data, "a.xml"), RejectedItem)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_lines_are_counted_whatever_ends_them(line_end: bytes) -> None:
    require_same(VOC.replace(b"\n", line_end))
    require_same(VOC.replace(b"<path/>", b"").replace(b"\n", line_end))


def test_plain_labels_do_not_ask_expat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_reader, "_iterate_elements", lambda *_parts, **_options: iter(()))
    root = parse_xml(VOC.replace(b"<path/>", b""), "a.xml")
    assert isinstance(root, XmlElement)
    assert (root.attributes, root.find_text("filename")) == ({"verified": "yes"}, "café.jpg")


def test_depth_and_size_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    for depth, is_read in ((63, True), (64, True), (65, False)):
        found = parse_xml(b"<a>" * (depth - 1) + b"<b>1</b>" + b"</a>" * (depth - 1), "a.xml")
        assert isinstance(found, XmlElement) is is_read
    monkeypatch.setattr(xml_reader, "_MAX_ELEMENTS", 10)
    assert isinstance(parse_xml(b"<a>" + b"<b></b>" * 9 + b"</a>", "a.xml"), XmlElement)
    assert isinstance(parse_xml(b"<a>" + b"<b></b>" * 10 + b"</a>", "a.xml"), RejectedItem)
