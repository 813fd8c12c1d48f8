"""Reads and writes the label map of the TF Object Detection API: ``item { id: 1 name: 'raccoon' }``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lince.errors import DataError
from lince.i18n import _

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n,;]+|\#[^\n]*)|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(?P<word>[\w.+-]+)"""
    r"""|(?P<sign>[{}<>:\[\]])""",
    re.ASCII,
)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|[xX][0-9a-fA-F]{1,2}|.)", re.DOTALL)
_ESCAPED_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}
_OPENING, _CLOSING = ("{", "<"), ("}", ">")


@dataclass(frozen=True)
class LabelMapItem:
    """One class: ``id`` from 1 on, ``name`` as used in the records, ``display_name`` for people."""

    id: int
    name: str
    display_name: str


@dataclass(frozen=True)
class _Token:
    """A token with its line; ``kind`` is the group of ``_TOKEN``."""

    kind: str
    text: str
    line: int


def parse_label_map(text: str, path: str) -> list[LabelMapItem]:
    """Return the items of a label map (``StringIntLabelMap`` in protobuf text format), by ascending id.

    Fields other than ``id``, ``name`` and ``display_name`` are ignored. Raise ``DataError`` with
    ``path`` and line when the text is incomplete or not a label map, an item has no id or name, or
    an id occurs twice.
    """
    tokens = list(_tokenise(text, path))
    items: dict[int, LabelMapItem] = {}
    position = 0
    while position < len(tokens):
        first = tokens[position]
        fields, position = _parse_item(tokens, position, path)
        item = _build_item(fields, first, path)
        if item.id in items:
            raise _parse_error(path, first.line, _("The id {id} appears twice.").format(id=item.id))
        items[item.id] = item
    if not items:
        raise _parse_error(path, 1, _("There is no item."))
    return [items[number] for number in sorted(items)]


def choose_class_names(items: Iterable[LabelMapItem]) -> list[str]:
    """Return the display names of the classes if they are distinct, else their names."""
    items = list(items)
    display_names = [item.display_name for item in items]
    return display_names if len(set(display_names)) == len(display_names) else [item.name for item in items]


def format_label_map(class_names: Iterable[str]) -> str:
    """Return the label map of ``class_names`` with the ids 1, 2, ..."""
    return "".join(
        f"item {{\n  id: {number}\n  name: {_quote(name)}\n}}\n" for number, name in enumerate(class_names, 1)
    )


def _tokenise(text: str, path: str) -> Iterator[_Token]:
    """Yield the tokens of protobuf text format, without spaces, separators and comments."""
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _parse_error(path, line, _("'{text}' cannot be parsed.").format(text=text[position : position + 20]))
        kind = match.lastgroup or "space"
        if kind != "space":
            yield _Token(kind, match[0], line)
        line += match[0].count("\n")
        position = match.end()


def _parse_item(tokens: list[_Token], position: int, path: str) -> tuple[dict[str, str], int]:
    """Return the fields of the item at ``position`` and the position after it; nested messages are skipped."""
    start = tokens[position]
    position += 1
    if position < len(tokens) and tokens[position].text == ":":
        position += 1
    if start.text != "item" or position >= len(tokens) or tokens[position].text not in _OPENING:
        raise _parse_error(
            path, start.line, _("'{text}' was found where an item was expected.").format(text=start.text[:20])
        )
    fields: dict[str, str] = {}
    depth, position = 1, position + 1
    while position < len(tokens):
        token = tokens[position]
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if depth == 0:
            return fields, position + 1
        if depth == 1 and token.kind == "word" and position + 1 < len(tokens) and tokens[position + 1].text == ":":
            position = _parse_field(tokens, position, fields, path)
        else:
            position += 1
    raise _parse_error(path, start.line, _("The item is not closed."))


def _parse_field(tokens: list[_Token], position: int, fields: dict[str, str], path: str) -> int:
    """Add the value of the field at ``position`` to ``fields`` and returns the position after it.

    Adjacent strings are joined, as in C.
    """
    name = tokens[position]
    position += 2
    if position < len(tokens) and tokens[position].kind == "sign":
        return position  # a list or a message: skipped by the caller
    values = tokens[position : position + 1]
    while values and values[0].kind == "text" and position + len(values) < len(tokens):
        following = tokens[position + len(values)]
        if following.kind != "text":
            break
        values.append(following)
    if not values:
        raise _parse_error(path, name.line, _("{field} has no value.").format(field=name.text))
    if name.text in fields and name.text in ("id", "name", "display_name"):
        raise _parse_error(path, name.line, _("{field} appears twice in one item.").format(field=name.text))
    fields[name.text] = "".join(map(_token_value, values))
    return position + len(values)


def _build_item(fields: dict[str, str], first: _Token, path: str) -> LabelMapItem:
    """Return the item with ``fields``; raise ``DataError`` at the line of its ``first`` token."""
    number = fields.get("id", "")
    if not number.isdecimal() or not number.isascii() or len(number) > 9:
        raise _parse_error(
            path, first.line, _("The item has no id that is a whole number: '{text}'.").format(text=number)
        )
    name = fields.get("name") or fields.get("display_name")
    if not name:
        raise _parse_error(path, first.line, _("The item has no name."))
    return LabelMapItem(int(number), name, fields.get("display_name") or name)


def _token_value(token: _Token) -> str:
    """Return the value of a token: a string without quotes and escapes, or the word itself."""
    return _unquote(token.text[1:-1]) if token.kind == "text" else token.text


def _unquote(text: str) -> str:
    """Return ``text`` with its escapes replaced; octal and hexadecimal ones are bytes of UTF-8."""
    return _ESCAPE.sub(_unescape, text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _unescape(match: re.Match[bytes]) -> bytes:
    """Return the byte that an escape stands for."""
    code = match[1]
    if code[:1].isdigit():
        return bytes([int(code, 8) & 255])
    if code[:1] in b"xX" and len(code) > 1:
        return bytes([int(code[1:], 16)])
    return _ESCAPED_LETTERS.get(code, code)


def _quote(name: str) -> str:
    """Return ``name`` as a string of protobuf text format."""
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + escaped.replace("\n", "\\n").replace("\r", "\\r") + "'"


def _parse_error(path: str, line: int, problem: str) -> DataError:
    """Return the error for a line."""
    return DataError(
        f"{path}:{line}: {problem}",
        _("Expected a label map: {example}.").format(example="item { id: 1 name: 'raccoon' }"),
        _("Correct the line."),
    )
