"""Reads XML from untrusted files for all formats: bounded in size, without entities, with the line of every element.

The parser is Expat (XML 1.0). A document with an internal DTD is refused at its start: there,
entities that expand without end ("billion laughs"), external entities (local files) and default
attributes would be declared.
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

MAX_XML_BYTES = 2**24  # bytes of one file that is parsed as a whole
_MAX_ELEMENTS = 2**19  # in memory at one time; each takes about 250 bytes
_MAX_DEPTH = 64
_CHUNK_BYTES = 2**16
_PEEK_BYTES = 2048
_ENCODING = re.compile(rb"^\s*<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)")
_PROLOGUE_DELIMITERS = ((b"<?", b"?>"), (b"<!--", b"-->"), (b"<!DOCTYPE", b">"))
_ROOT_TAG = re.compile(rb"<([A-Za-z_][\w.-]*)[\s/>]")
_INTERNAL_DTD = re.compile(rb"<!DOCTYPE[^>\[]*\[[^\]]*\]")
# Python codecs for encodings that Expat cannot decode; it reads UTF-8, UTF-16 and all single-byte encodings.
_MULTIBYTE_ENCODINGS = {
    "gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "big5": "big5hkscs", "shift_jis": "cp932",
    "shift-jis": "cp932", "cp932": "cp932", "euc-jp": "euc-jp", "euc-kr": "cp949", "cp949": "cp949",
}  # fmt: skip
# What ``_parse_plain_xml`` reads: tags, few of them with attributes, and text without entities.
_PLAIN_DECLARATION = re.compile(r"<\?xml version=[\"']1\.0[\"'](?: encoding=[\"'](?i:utf-8)[\"'])?\?>")
_PLAIN_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"
_PLAIN_ATTRIBUTE = re.compile(rf' ({_PLAIN_NAME})="([^"<=\n\t]*)"')
_PLAIN_TOKEN = re.compile(
    rf'([^<]*)<(?:({_PLAIN_NAME})>([^<]*)</\2|(/?{_PLAIN_NAME})((?: {_PLAIN_NAME}="[^"<=\n\t]*")*))>'
)
_NOT_PLAIN = re.compile("[&\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_FORBIDDEN_CHARACTERS = re.compile("[\x00-\x1f\ud800-\udfff\ufffe\uffff]")


_StartHandler = Callable[[str, dict[str, str]], None]
_EndHandler = Callable[[str], None]
# Shared by all elements without children or attributes: most have none, and the garbage collector visits each object.
_NO_CHILDREN: list[XmlElement] = []
_NO_ATTRIBUTES: dict[str, str] = {}


class XmlElement:
    """An element of a document.

    ``line`` is the line of its start tag, from 1. ``text`` is kept only where there are no
    ``children``; it is not stripped. Elements without children or attributes share one empty list
    or dict, which must not be changed.
    """

    __slots__ = ("attributes", "children", "line", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str], line: int) -> None:
        self.tag = tag
        self.attributes = attributes
        self.line = line
        self.children = _NO_CHILDREN
        self.text = ""

    def find_child(self, tag: str) -> XmlElement | None:
        """Return the first child with this tag, ``None`` when there is none."""
        return next((child for child in self.children if child.tag == tag), None)

    def iterate_descendants(self) -> Iterator[XmlElement]:
        """Yield all elements below this one, in document order."""
        for child in self.children:
            yield child
            yield from child.iterate_descendants()

    def find_text(self, tag: str) -> str:
        """Return the text of the first child with this tag, stripped; '' when there is none."""
        for child in self.children:
            if child.tag == tag:
                return child.text.strip()
        return ""


def parse_xml(data: bytes, path: str) -> XmlElement | RejectedItem:
    """Return the root of the document ``data``, or its rejection with reason and line when it cannot be read.

    ``path`` is the name of the file for the rejection. Documents with more than about half a
    million elements, or more than 64 levels, are rejected.
    """
    root = _parse_plain_xml(data)
    if root is not None:
        return root
    for item in _iterate_elements(data, path, keep_tree=True):
        if isinstance(item, RejectedItem):
            return item
        root = item if root is None else root
    return root if root is not None else _ElementBuilder(path, keep_tree=True).make_rejection(_("nothing in it"))


def _parse_plain_xml(data: bytes) -> XmlElement | None:
    """Return what Expat would make of a document of plain tags, in half of its time; else ``None``.

    ``None`` says nothing about the document: it may hold entities, comments, empty tags or errors, left to Expat.
    """
    try:
        text = data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")  # as XML 1.0 asks, in 2.11
    except UnicodeDecodeError:
        return None
    if _NOT_PLAIN.search(text):
        return None
    declaration = _PLAIN_DECLARATION.match(text)
    start = declaration.end() if declaration else 0
    tokens = _PLAIN_TOKEN.findall(text, start)
    tag_count = text.count("<", start)
    if not tokens or tag_count > _MAX_ELEMENTS or text.count(">", start) != tag_count:
        return None
    around = tokens[0][0] + text[text.rfind(">") + 1 :]
    if around.strip(" \t\n"):
        return None
    return _build_plain_tree(tokens, tag_count, 1 + text.count("\n", 0, start))


def _build_plain_tree(tokens: list[tuple[str, ...]], tag_count: int, line: int) -> XmlElement | None:
    """Return the root of ``tokens`` of ``_PLAIN_TOKEN``, the first at ``line``.

    Returns ``None`` where they are no document, or do not have all ``tag_count`` tags.
    """
    top = XmlElement("", _NO_ATTRIBUTES, 0)
    top.children = siblings = []
    stack, single_tags = [top], 0
    for lead, leaf, content, tag, attributes in tokens:
        if lead:
            line += lead.count("\n")
        if leaf:
            element = XmlElement(leaf, _NO_ATTRIBUTES, line)
            element.text = content
            siblings.append(element)
            line += content.count("\n")
            continue
        single_tags += 1
        if tag[0] == "/":
            element = stack.pop()
            if attributes or element.tag != tag[1:] or not stack:
                return None
            if not element.children:
                element.children, element.text = _NO_CHILDREN, lead
            siblings = stack[-1].children
            continue
        element = XmlElement(tag, dict(_PLAIN_ATTRIBUTE.findall(attributes)) or _NO_ATTRIBUTES, line)
        if len(stack) >= _MAX_DEPTH or len(element.attributes) != attributes.count("="):
            return None
        siblings.append(element)
        element.children = siblings = []
        stack.append(element)
    is_whole = len(stack) == 1 and len(top.children) == 1 and 2 * len(tokens) - single_tags == tag_count
    return top.children[0] if is_whole else None


def iterate_children(data: bytes, path: str) -> Iterator[XmlElement | RejectedItem]:
    """Yield the root element (with attributes, without children), then each of its children when it is complete.

    An error in the document is yielded as a rejection, which is the last item. Only one child is
    kept in memory at a time, so a document of any length needs little more than its bytes.
    """
    return _iterate_elements(data, path, keep_tree=False)


def read_root_tag(head: bytes) -> str:
    """Return the tag of the root element from the first bytes of a file, '' when it is not XML.

    The XML declaration, comments and a document type are skipped, not parsed: ``detect`` uses it
    on any file.
    """
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        head = head.decode("utf-16", "ignore").encode()
    rest = _INTERNAL_DTD.sub(b"<!DOCTYPE", head[:_PEEK_BYTES].removeprefix(b"\xef\xbb\xbf"), count=1).lstrip()
    while closing := next((end for start, end in _PROLOGUE_DELIMITERS if rest.startswith(start)), b""):
        rest = rest.partition(closing)[2].lstrip()
    match = _ROOT_TAG.match(rest)
    return match.group(1).decode("ascii", "ignore") if match else ""


def format_open_tag(tag: str, attributes: Mapping[str, object]) -> str:
    """Return a start tag with its attributes, without the closing bracket, so that ``>`` or ``/>`` can follow.

    Raise ``DataError`` as ``require_valid_text`` does.
    """
    return f"<{tag}" + "".join(
        f" {name}={quoteattr(require_valid_text(str(value)))}" for name, value in attributes.items()
    )


def escape_text(text: str) -> str:
    """Return ``text`` escaped for the content of an element; raise ``DataError`` as ``require_valid_text`` does."""
    return escape(require_valid_text(text))


def require_valid_text(text: str) -> str:
    """Return ``text`` unchanged.

    Raise ``DataError`` when it has characters that XML cannot hold or does not keep: line ends,
    control characters, lone surrogates.
    """
    if _FORBIDDEN_CHARACTERS.search(text):
        raise DataError(
            _("The name {name} contains a character that XML does not allow.").format(name=ascii(text)),
            _("Expected names without line ends and control characters."),
            _("Rename it."),
        )
    return text


def parse_number(text: str) -> float:
    """Return the finite number in ``text``.

    Raise ``ValueError`` with the text for anything else, also for NaN, infinity and Python's ``1_000``.
    """
    try:
        value = float(text)
    except ValueError:
        raise ValueError(text) from None
    if not isfinite(value) or "_" in text:
        raise ValueError(text)
    return value


def format_number(value: float) -> str:
    """Return the shortest text that ``parse_number`` reads as ``value`` again; whole numbers without a point."""
    return str(int(value)) if value.is_integer() else repr(value)


class _ParseAborted(Exception):  # noqa: N818
    """Raised in a handler to stop the parser; the message is the reason of the rejection."""


class _ParseState(NamedTuple):
    """The open elements from the root on, the text parts of the innermost, and the number of elements in memory."""

    stack: list[XmlElement]
    text: list[str]
    element_count: list[int]  # a single number, in a list since both handlers change it


class _ElementBuilder:
    """Builds elements from the events of Expat.

    ``ready`` receives the complete elements: the root at once, and its children one by one unless
    ``keep_tree``, which attaches them to the root instead.
    """

    def __init__(self, path: str, keep_tree: bool, encoding: str | None = None) -> None:
        self.path = path
        self.ready: list[XmlElement] = []
        self.parser = parser = expat.ParserCreate(encoding)
        state = _ParseState([], [], [0])
        parser.buffer_text = True
        parser.StartElementHandler = _make_start_handler(self, state, keep_tree)
        parser.EndElementHandler = _make_end_handler(self, state, keep_tree)
        parser.CharacterDataHandler = state.text.append
        parser.StartDoctypeDeclHandler = self._handle_doctype
        parser.SkippedEntityHandler = self._handle_skipped_entity

    def make_rejection(self, reason: str) -> RejectedItem:
        """Return the rejection of the file, with the current line of the parser."""
        remedy = _("export it again, or correct the line")
        return RejectedItem(self.path, reason, remedy, self.parser.CurrentLineNumber, "unusable")

    def _handle_doctype(self, name: str, system: str | None, public: str | None, declares: int) -> None:
        """Refuse an internal DTD; a reference to an external one is ignored, as Expat does not load it."""
        if declares:
            raise _ParseAborted(_("it declares a document type with entities, which may be an attack"))

    def _handle_skipped_entity(self, name: str, parameter: bool) -> None:
        """Refuse an entity that is not declared in the document."""
        raise _ParseAborted(_("unknown entity '{name}'").format(name=name))


# Nearly all of the parsing time is spent in these two. Closures take about half the time of methods with attributes.


def _make_start_handler(builder: _ElementBuilder, state: _ParseState, keep_tree: bool) -> _StartHandler:
    """Return the handler of start tags; it raises ``_ParseAborted`` beyond the limits."""
    parser, ready = builder.parser, builder.ready
    stack, text, element_count = state

    def start(tag: str, attributes: dict[str, str]) -> None:
        element_count[0] += 1
        depth = len(stack)
        if depth >= _MAX_DEPTH or element_count[0] > _MAX_ELEMENTS:
            raise _limit_error(depth)
        element = XmlElement(tag, attributes or _NO_ATTRIBUTES, parser.CurrentLineNumber)
        if not depth:
            ready.append(element)
        elif depth > 1 or keep_tree:
            parent = stack[-1]
            if parent.children:
                parent.children.append(element)
            else:
                parent.children = [element]
        stack.append(element)
        if text:
            text.clear()

    return start


def _make_end_handler(builder: _ElementBuilder, state: _ParseState, keep_tree: bool) -> _EndHandler:
    """Return the handler of end tags, which closes the innermost element."""
    ready = builder.ready
    stack, text, element_count = state

    def end(_tag: str) -> None:
        element = stack.pop()
        if text:
            if not element.children:
                element.text = text[0] if len(text) == 1 else "".join(text)
            text.clear()
        if len(stack) == 1 and not keep_tree:
            ready.append(element)
            element_count[0] = 0

    return end


def _limit_error(depth: int) -> _ParseAborted:
    """Return the error for the limit that was exceeded, given the depth of the new element."""
    if depth >= _MAX_DEPTH:
        return _ParseAborted(_("elements within elements, more than {limit} deep").format(limit=_MAX_DEPTH))
    return _ParseAborted(_("more than {limit:,} elements").format(limit=_MAX_ELEMENTS))


def _iterate_elements(data: bytes, path: str, keep_tree: bool) -> Iterator[XmlElement | RejectedItem]:
    """Yield what ``_ElementBuilder`` completes, and last a rejection if the document is invalid.

    With ``keep_tree`` the document is parsed in one piece, else chunk by chunk.
    """
    data, encoding = _to_supported_encoding(data)
    builder = _ElementBuilder(path, keep_tree, encoding)
    chunk_size = len(data) + 1 if keep_tree else _CHUNK_BYTES
    for start in range(0, len(data) + 1, chunk_size):
        chunk = data[start : start + chunk_size]
        rejection = _feed(builder, chunk, start + chunk_size > len(data))
        yield from builder.ready
        builder.ready.clear()
        if rejection is not None:
            yield rejection
            return


def _feed(builder: _ElementBuilder, chunk: bytes, is_last: bool) -> RejectedItem | None:
    """Parse a chunk; return the rejection of the file when that fails."""
    try:
        builder.parser.Parse(chunk, is_last)
    except _ParseAborted as error:
        return builder.make_rejection(str(error))
    except expat.ExpatError as error:
        reason = _("it is truncated") if _is_cut_off(error, is_last) else expat.ErrorString(error.code)
        return builder.make_rejection(_("not XML: {error}").format(error=reason))
    except (LookupError, ValueError) as error:  # an unknown encoding
        return builder.make_rejection(_("not XML: {error}").format(error=error))
    return None


def _is_cut_off(error: expat.ExpatError, is_last: bool) -> bool:
    """Whether ``error`` at the end of the data means that the file is incomplete."""
    endings = (expat.errors.XML_ERROR_NO_ELEMENTS, expat.errors.XML_ERROR_UNCLOSED_TOKEN,
               expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION, expat.errors.XML_ERROR_PARTIAL_CHAR)  # fmt: skip
    return is_last and expat.ErrorString(error.code) in endings


def _to_supported_encoding(data: bytes) -> tuple[bytes, str | None]:
    """Return the data in an encoding that Expat reads, and the name of that encoding.

    The name is ``None`` where the data are unchanged and their own declaration is right.
    """
    match = _ENCODING.match(data[:_PEEK_BYTES])
    codec = _MULTIBYTE_ENCODINGS.get(match.group(1).decode("ascii").lower()) if match else None
    return (data, None) if codec is None else (data.decode(codec, "replace").encode(), "utf-8")
