"""XML that strangers wrote, read safely for every format: bounded, no entities, and every element knows its line.

XML 1.0 by Expat. A document that declares a type of its own is refused where the declaration starts: that is where
entities that grow without end, files of this machine and default attributes come from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from lince.annotations import RejectedItem
from lince.errors import DataError
from lince.i18n import _

MAX_XML_BYTES = 2**24  # bytes of one file that is held as a whole
_MAX_ELEMENTS = 2**19  # held at one time; each takes some 250 bytes
_MAX_DEPTH = 64
_CHUNK_BYTES = 2**16
_PEEK_BYTES = 2048
_ENCODING = re.compile(rb"^\s*<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)")
_PROLOGUE_DELIMITERS = ((b"<?", b"?>"), (b"<!--", b"-->"), (b"<!DOCTYPE", b">"))
_ROOT_TAG = re.compile(rb"<([A-Za-z_][\w.-]*)[\s/>]")
_INTERNAL_DTD = re.compile(rb"<!DOCTYPE[^>\[]*\[[^\]]*\]")
# Expat itself reads UTF-8 and UTF-16, and all that have a byte for each character.
_MULTIBYTE_ENCODINGS = {"gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "big5": "big5hkscs", "shift_jis": "cp932",
         "shift-jis": "cp932", "cp932": "cp932", "euc-jp": "euc-jp", "euc-kr": "cp949", "cp949": "cp949"}  # fmt: skip
_FORBIDDEN_CHARACTERS = re.compile("[\x00-\x1f\ud800-\udfff\ufffe\uffff]")


_StartHandler = Callable[[str, dict[str, str]], None]
_EndHandler = Callable[[str], None]
# Shared by all that have none: most elements do, and what the garbage collector must look at costs more than they do.
_NO_CHILDREN: list[XmlElement] = []
_NO_ATTRIBUTES: dict[str, str] = {}


class XmlElement:
    """An element; ``line`` is where it starts, ``text`` is kept where there are no ``children``."""

    __slots__ = ("attributes", "children", "line", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str], line: int) -> None:
        self.tag = tag
        self.attributes = attributes
        self.line = line
        self.children = _NO_CHILDREN
        self.text = ""

    def find_child(self, tag: str) -> XmlElement | None:
        """Return the first child called ``tag``."""
        return next((child for child in self.children if child.tag == tag), None)

    def iterate_descendants(self) -> Iterator[XmlElement]:
        """Yield all elements below this one, as they stand in the document."""
        for child in self.children:
            yield child
            yield from child.iterate_descendants()

    def find_text(self, tag: str) -> str:
        """Return the text of the first child called ``tag``, without spaces around; empty when there is none."""
        for child in self.children:
            if child.tag == tag:
                return child.text.strip()
        return ""


def parse_xml(data: bytes, path: str) -> XmlElement | RejectedItem:
    """Return the root of the document ``data`` of the file ``path``, or why it cannot be read, and in which line."""
    root: XmlElement | None = None
    for found in _iterate_elements(data, path, held=True):
        if isinstance(found, RejectedItem):
            return found
        root = found if root is None else root
    return root if root is not None else _ElementBuilder(path, held=True).make_rejection(_("nothing in it"))


def iterate_children(data: bytes, path: str) -> Iterator[XmlElement | RejectedItem]:
    """Yield the root (its attributes alone), then each of its children when it is whole; last, what is wrong if so.

    Only one child is held at a time, so a document of any length costs the memory of its bytes.
    """
    return _iterate_elements(data, path, held=False)


def read_root_tag(head: bytes) -> str:
    """Return the name of the root in the first bytes of a file, empty where there is none. For ``detect``."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        head = head.decode("utf-16", "ignore").encode()
    rest = _INTERNAL_DTD.sub(b"<!DOCTYPE", head[:_PEEK_BYTES].removeprefix(b"\xef\xbb\xbf"), count=1).lstrip()
    while closing := next((end for start, end in _PROLOGUE_DELIMITERS if rest.startswith(start)), b""):
        rest = rest.partition(closing)[2].lstrip()
    match = _ROOT_TAG.match(rest)
    return match.group(1).decode("ascii", "ignore") if match else ""


def format_open_tag(tag: str, attributes: Mapping[str, object]) -> str:
    """Return the start of an element with its attributes, without the closing bracket."""
    return f"<{tag}" + "".join(
        f" {name}={quoteattr(require_valid_text(str(value)))}" for name, value in attributes.items()
    )


def escape_text(text: str) -> str:
    """Return ``text`` as it stands between tags."""
    return escape(require_valid_text(text))


def require_valid_text(text: str) -> str:
    """Return ``text``; raise ``DataError`` when it holds what XML cannot: line ends, controls, halves of characters."""
    if _FORBIDDEN_CHARACTERS.search(text):
        raise DataError(
            _("The name {name} holds a character that XML cannot.").format(name=ascii(text)),
            _("Expected names without line ends and control characters."),
            _("Rename it."),
        )
    return text


def parse_number(text: str) -> float:
    """Return the finite number in ``text``; raise ``ValueError`` when there is none."""
    value = float(text)
    if not isfinite(value) or "_" in text:
        raise ValueError(text)
    return value


def format_number(value: float) -> str:
    """Return the shortest text that is read as ``value`` again."""
    return str(int(value)) if value.is_integer() else repr(value)


class _ParseAborted(Exception):  # noqa: N818
    """The reader stops here, for the reason given."""


class _ParseState(NamedTuple):
    """The elements that are open, the text of the innermost, and how many were met."""

    stack: list[XmlElement]
    text: list[str]
    element_count: list[int]  # one number, which both handlers change


class _ElementBuilder:
    """Builds elements as Expat finds them. ``ready`` are the children of the root that are whole."""

    def __init__(self, path: str, held: bool, encoding: str | None = None) -> None:
        self.path = path
        self.ready: list[XmlElement] = []
        self.parser = parser = expat.ParserCreate(encoding)
        under_way = _ParseState([], [], [0])
        parser.buffer_text = True
        parser.StartElementHandler = _make_start_handler(self, under_way, held)
        parser.EndElementHandler = _make_end_handler(self, under_way, held)
        parser.CharacterDataHandler = under_way.text.append
        parser.StartDoctypeDeclHandler = self._handle_doctype
        parser.SkippedEntityHandler = self._handle_skipped_entity

    def make_rejection(self, reason: str) -> RejectedItem:
        """Return why this file cannot be read, at the line where the reader stands."""
        remedy = _("export it again, or correct the line")
        return RejectedItem(self.path, reason, remedy, self.parser.CurrentLineNumber, "unusable")

    def _handle_doctype(self, name: str, system: str | None, public: str | None, declares: int) -> None:
        if declares:
            raise _ParseAborted(_("it declares a document type with entities, which may be an attack"))

    def _handle_skipped_entity(self, name: str, parameter: bool) -> None:
        raise _ParseAborted(_("the entity '{name}' is not known").format(name=name))


# Nearly all the time of reading goes into these two: what a closure has at hand costs half of what hangs on an object.


def _make_start_handler(reader: _ElementBuilder, under_way: _ParseState, held: bool) -> _StartHandler:
    parser, ready = reader.parser, reader.ready
    stack, text, met = under_way

    def start(tag: str, attributes: dict[str, str]) -> None:
        met[0] += 1
        depth = len(stack)
        if depth >= _MAX_DEPTH or met[0] > _MAX_ELEMENTS:
            raise _limit_error(depth)
        element = XmlElement(tag, attributes or _NO_ATTRIBUTES, parser.CurrentLineNumber)
        if not depth:
            ready.append(element)
        elif depth > 1 or held:
            parent = stack[-1]
            if parent.children:
                parent.children.append(element)
            else:
                parent.children = [element]
        stack.append(element)
        if text:
            text.clear()

    return start


def _make_end_handler(reader: _ElementBuilder, under_way: _ParseState, held: bool) -> _EndHandler:
    ready = reader.ready
    stack, text, met = under_way

    def end(_tag: str) -> None:
        element = stack.pop()
        if text:
            if not element.children:
                element.text = text[0] if len(text) == 1 else "".join(text)
            text.clear()
        if len(stack) == 1 and not held:
            ready.append(element)
            met[0] = 0

    return end


def _limit_error(depth: int) -> _ParseAborted:
    if depth >= _MAX_DEPTH:
        return _ParseAborted(_("elements within elements, more than {limit} deep").format(limit=_MAX_DEPTH))
    return _ParseAborted(_("more than {limit:,} elements").format(limit=_MAX_ELEMENTS))


def _iterate_elements(data: bytes, path: str, held: bool) -> Iterator[XmlElement | RejectedItem]:
    data, encoding = _to_supported_encoding(data)
    reader = _ElementBuilder(path, held, encoding)
    step = len(data) + 1 if held else _CHUNK_BYTES
    for start in range(0, len(data) + 1, step):
        part = data[start : start + step]
        problem = _feed(reader, part, start + step > len(data))
        yield from reader.ready
        reader.ready.clear()
        if problem is not None:
            yield problem
            return


def _feed(reader: _ElementBuilder, part: bytes, last: bool) -> RejectedItem | None:
    try:
        reader.parser.Parse(part, last)
    except _ParseAborted as refused:
        return reader.make_rejection(str(refused))
    except expat.ExpatError as error:
        reason = _("it is cut off") if _is_cut_off(error, last) else expat.ErrorString(error.code)
        return reader.make_rejection(_("not XML: {error}").format(error=reason))
    except (LookupError, ValueError) as error:  # an encoding that nobody knows
        return reader.make_rejection(_("not XML: {error}").format(error=error))
    return None


def _is_cut_off(error: expat.ExpatError, last: bool) -> bool:
    endings = (expat.errors.XML_ERROR_NO_ELEMENTS, expat.errors.XML_ERROR_UNCLOSED_TOKEN,
               expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION, expat.errors.XML_ERROR_PARTIAL_CHAR)  # fmt: skip
    return last and expat.ErrorString(error.code) in endings


def _to_supported_encoding(data: bytes) -> tuple[bytes, str | None]:
    """Return the bytes in an encoding that Expat reads, and its name where the document says another."""
    match = _ENCODING.match(data[:_PEEK_BYTES])
    wide = _MULTIBYTE_ENCODINGS.get(match.group(1).decode("ascii").lower()) if match else None
    return (data, None) if wide is None else (data.decode(wide, "replace").encode(), "utf-8")
