"""The label map of the TF Object Detection API: ``item { id: 1 name: 'raccoon' }``, read strictly, line by line."""

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
    """One class: its ``id``, from 1 on, what the records call it, and what people call it."""

    id: int
    name: str
    display_name: str


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    line: int


def parse_label_map(text: str, path: str) -> list[LabelMapItem]:
    """Return the items of a label map (protobuf text format, ``StringIntLabelMap``), ids ascending.

    Fields other than ``id``, ``name`` and ``display_name`` are passed over. Raise ``DataError`` with ``path`` and line
    for what is no label map: a text that breaks off, an item without id or name, an id that stands twice.
    """
    tokens = list(_tokenise(text, path))
    items: dict[int, LabelMapItem] = {}
    at = 0
    while at < len(tokens):
        first = tokens[at]
        fields, at = _parse_item(tokens, at, path)
        item = _build_item(fields, first, path)
        if item.id in items:
            raise _parse_error(path, first.line, _("The id {id} stands twice.").format(id=item.id))
        items[item.id] = item
    if not items:
        raise _parse_error(path, 1, _("There is no item."))
    return [items[number] for number in sorted(items)]


def choose_class_names(items: Iterable[LabelMapItem]) -> list[str]:
    """Return what people call each class: the display names where they tell the classes apart, else the names."""
    items = list(items)
    shown = [item.display_name for item in items]
    return shown if len(set(shown)) == len(shown) else [item.name for item in items]


def format_label_map(class_names: Iterable[str]) -> str:
    """Return the label map of ``class_names`` with the ids 1, 2, ..."""
    return "".join(
        f"item {{\n  id: {number}\n  name: {_quote(name)}\n}}\n" for number, name in enumerate(class_names, 1)
    )


def _tokenise(text: str, path: str) -> Iterator[_Token]:
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _parse_error(path, line, _("'{text}' cannot be understood.").format(text=text[at : at + 20]))
        kind = match.lastgroup or "space"
        if kind != "space":
            yield _Token(kind, match[0], line)
        line += match[0].count("\n")
        at = match.end()


def _parse_item(tokens: list[_Token], at: int, path: str) -> tuple[dict[str, str], int]:
    """Return the fields of the item at ``at`` and where the next one starts; fields within fields are passed over."""
    start = tokens[at]
    at += 1
    if at < len(tokens) and tokens[at].text == ":":
        at += 1
    if start.text != "item" or at >= len(tokens) or tokens[at].text not in _OPENING:
        raise _parse_error(path, start.line, _("'{text}' stands where an item should.").format(text=start.text[:20]))
    fields: dict[str, str] = {}
    depth, at = 1, at + 1
    while at < len(tokens):
        token = tokens[at]
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if depth == 0:
            return fields, at + 1
        if depth == 1 and token.kind == "word" and at + 1 < len(tokens) and tokens[at + 1].text == ":":
            at = _parse_field(tokens, at, fields, path)
        else:
            at += 1
    raise _parse_error(path, start.line, _("The item is not closed."))


def _parse_field(tokens: list[_Token], at: int, fields: dict[str, str], path: str) -> int:
    """Keep the value of the field at ``at``, texts in a row joined, and return where the next token stands."""
    name = tokens[at]
    at += 2
    if at < len(tokens) and tokens[at].kind == "sign":
        return at  # a list or a message: not for us
    values = tokens[at : at + 1]
    while values and values[0].kind == "text" and at + len(values) < len(tokens):
        following = tokens[at + len(values)]
        if following.kind != "text":
            break
        values.append(following)
    if not values:
        raise _parse_error(path, name.line, _("{field} has no value.").format(field=name.text))
    if name.text in fields and name.text in ("id", "name", "display_name"):
        raise _parse_error(path, name.line, _("{field} stands twice in one item.").format(field=name.text))
    fields[name.text] = "".join(map(_token_value, values))
    return at + len(values)


def _build_item(fields: dict[str, str], first: _Token, path: str) -> LabelMapItem:
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
    return _unquote(token.text[1:-1]) if token.kind == "text" else token.text


def _unquote(text: str) -> str:
    return _ESCAPE.sub(_unescape, text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if code[:1].isdigit():
        return bytes([int(code, 8) & 255])
    if code[:1] in b"xX" and len(code) > 1:
        return bytes([int(code[1:], 16)])
    return _ESCAPED_LETTERS.get(code, code)


def _quote(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + escaped.replace("\n", "\\n").replace("\r", "\\r") + "'"


def _parse_error(path: str, line: int, found: str) -> DataError:
    return DataError(
        f"{path}:{line}: {found}",
        _("Expected a label map: {example}.").format(example="item { id: 1 name: 'raccoon' }"),
        _("Correct the line."),
    )
