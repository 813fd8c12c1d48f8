"""Reads JSON from untrusted files for all formats: bounded in size, with the position of every error.

The syntax is RFC 8259, with what occurs in practice: a byte order mark, UTF-16 and UTF-32, NaN and
Infinity (read as floats, which no format accepts as coordinates), and repeated keys (the last one
counts).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lince.annotations import RejectedItem
from lince.errors import DataError
from lince.i18n import _
from lince.storage.tree import FileTree

MAX_JSON_BYTES = 512 * 2**20  # bytes; instances_train2017.json of COCO (118,287 images) has 448 MB
_MAX_CONTAINERS = 2**25  # lists and objects: each takes about 64 bytes of memory, and as little as 2 in the file
_PEEK_BYTES = 16_384
_MAX_SIDE = 10**6  # pixels
_MAX_SHOWN_LENGTH = 40
_TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\\x00-\x1f]|\\.)*")|(?P<open>[\[{])|(?P<close>[\]}])|(?P<colon>:)|(?P<comma>,)'
    r"|(?P<scalar>[-+.\w]+)(?=[\s,\]}]))"
)


def load_json(tree: FileTree, name: str, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Return the value in the JSON file ``name`` of at most ``max_bytes`` bytes.

    Raise ``DataError`` when it is not JSON (with line and column), cut off, too large, nested too
    deeply for the parser, or has so many lists and objects that they would fill the memory.
    """
    path = tree.root / name
    text = _decode_text(str(path), tree.read(name, max_bytes))
    if text.count("[") + text.count("{") > _MAX_CONTAINERS:
        raise DataError(
            _("{path} has more than {limit:,} lists and records.").format(path=path, limit=_MAX_CONTAINERS),
            _("Expected no more; it may be an attack."),
            _("If this is intended, split the file."),
        )
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _syntax_error(str(path), text, error) from error
    except RecursionError as error:
        raise DataError(_("{path} is nested too deeply.").format(path=path), _("Expected labels in JSON.")) from error
    except ValueError as error:  # an integer with more digits than Python converts
        raise DataError(_("{path} cannot be read: {error}.").format(path=path, error=error)) from error


def peek_json(tree: FileTree, name: str, count: int = _PEEK_BYTES) -> Any:
    """Return the beginning of the value in the JSON file ``name``, parsed from its first ``count`` bytes.

    Lists and objects are cut where the bytes end; an object has the keys up to there, with ``None``
    for a value that was cut off. Return an empty dict for a file that cannot be read or does not
    start with a list or object. It never raises, since ``detect`` uses it on any file.
    """
    try:
        data = tree.head(name, count)
        value = json.loads(_close_json(data.decode(json.detect_encoding(data), "ignore").lstrip("\ufeff")))
    except (DataError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, (dict, list)) else {}


def find_invalid_files(tree: FileTree, names: Iterable[str]) -> Iterator[RejectedItem]:
    """Yield the rejection of each of the files ``names`` that is not valid JSON as a whole."""
    for name in names:
        try:
            load_json(tree, name)
        except DataError as error:
            reason = error.problem.removeprefix(f"{tree.root / name}").lstrip(": ").rstrip(".")
            yield RejectedItem(name, reason, error.remedy.rstrip(".") or _("export it again"), kind="row")


class JsonValueError(DataError):
    """A value that is not what the format requires.

    ``path`` is the JSON pointer of the value as in ``JsonNode``, ``reason`` says what is wrong, and
    ``kind`` is the kind of the rejection (``RejectedItem.kind``) that readers make of it.
    """

    def __init__(self, path: str, reason: str, kind: str = "row") -> None:
        remedies = {
            "no-image": _("add it, or remove the entry"),
            "double": _("remove one"),
            "several-classes": _("keep one"),
            "no-label": _("label it"),
        }
        super().__init__(f"{path}: {reason}.", "", remedies.get(kind) or _("correct it, or export it again"))
        self.path = path
        self.reason = reason
        self.kind = kind

    def to_file_error(self, root: Path) -> DataError:
        """Return the same error about the file as a whole, in the folder ``root``; for a file that was named itself."""
        return DataError(f"{root / self.path}: {self.reason}.", "", _("Correct the file, or export it again."))


@dataclass(frozen=True)
class JsonNode:
    """A value in a JSON file, with the path to it for error messages.

    ``path`` is the file name and the JSON pointer (RFC 6901), such as
    ``file.json#/annotations/17``. The methods check types and raise ``JsonValueError`` with the
    path of the value that is wrong.
    """

    value: Any
    path: str

    def get_child(self, key: str) -> JsonNode:
        """Return the value under ``key`` of this object, with ``value`` ``None`` when there is no such key.

        Raise ``JsonValueError`` when this is not an object.
        """
        if not isinstance(self.value, dict):
            raise self.make_error(_("a record"))
        return JsonNode(self.value.get(key), self._child_path(key))

    def as_list(self) -> list[Any]:
        """Return this list; raise ``JsonValueError`` when it is something else."""
        if not isinstance(self.value, list):
            raise self.make_error(_("a list"))
        return self.value

    def items(self, first: int = 0, end: int | None = None) -> Iterator[JsonNode]:
        """Yield the items of this list from index ``first`` up to ``end`` (excluded), as nodes.

        Raise ``JsonValueError`` when it is no list.
        """
        return (
            JsonNode(value, self._child_path(str(index)))
            for index, value in enumerate(self.as_list()[first:end], first)
        )

    def get_text(self, key: str) -> str:
        """Return the string under ``key``.

        Raise ``JsonValueError`` when there is none, or one with half a surrogate pair, which cannot
        be written as UTF-8.
        """
        node = self.get_child(key)
        if not isinstance(node.value, str) or not is_encodable_text(node.value):
            raise node.make_error(_("a text"))
        return node.value

    def get_number(self, key: str) -> float:
        """Return the number under ``key`` as a float; it may be NaN or infinite.

        Raise ``JsonValueError`` when there is no number; booleans are none.
        """
        node = self.get_child(key)
        if not is_number(node.value):
            raise node.make_error(_("a number"))
        return as_float(node.value)

    def get_integer(self, key: str) -> int:
        """Return the integer under ``key``; 3.0 is read as 3.

        Raise ``JsonValueError`` when there is no number, or one with a fraction.
        """
        node = self.get_child(key)
        if not is_number(node.value) or not as_float(node.value).is_integer():
            raise node.make_error(_("a whole number"))
        return int(node.value)

    def get_numbers(self, key: str, count: int | None = None) -> list[float]:
        """Return the list of numbers under ``key`` as floats, which may be NaN or infinite.

        Raise ``JsonValueError`` when it is no list of numbers, or has not ``count`` items where
        that is given.
        """
        node = self.get_child(key)
        value = node.value
        if isinstance(value, list) and len(value) == count and not all(map(is_number, value)):
            wrong = next(i for i, item in enumerate(value) if not is_number(item))
            raise JsonNode(value[wrong], node._child_path(str(wrong))).make_error(_("a number"))
        if not isinstance(value, list) or (count is not None and len(value) != count) or not all(map(is_number, value)):
            raise node.make_error(_("numbers") if count is None else _("{count} numbers").format(count=count))
        return [as_float(item) for item in value]

    def make_error(self, expected: str) -> JsonValueError:
        """Return the error that this value is not what was ``expected``, which is named in a few words."""
        message = _("nothing instead of {kind}") if self.value is None else _("{value} instead of {kind}")
        return JsonValueError(self.path, message.format(value=format_value(self.value), kind=expected))

    def _child_path(self, key: str) -> str:
        """Return the path of the child ``key``, escaped as RFC 6901 requires."""
        escaped = key.replace("~", "~0").replace("/", "~1")  # RFC 6901
        return f"{self.path}/{escaped}" if "#" in self.path else f"{self.path}#/{escaped}"


def is_number(value: Any) -> bool:
    """Whether ``value`` is a JSON number; ``True`` and ``False`` are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def as_float(value: float) -> float:
    """Return a JSON number as a float; integers beyond the range of floats become infinite."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def parse_image_side(value: Any) -> int:
    """Return ``value`` as the height or width of an image in pixels, 0 when it is not one.

    Accepts integers from 1 to a million, also written as floats (640.0).
    """
    return int(value) if is_number(value) and 1 <= value <= _MAX_SIDE and value == int(value) else 0


def is_encodable_text(value: str) -> bool:
    r"""Whether ``value`` can be encoded as UTF-8, that is, has no lone surrogates (``"\ud800"``)."""
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def format_value(value: Any) -> str:
    """Return a short description of ``value`` for messages; long texts are cut off."""
    if isinstance(value, (dict, list)):
        return _("a record") if isinstance(value, dict) else _("a list of {count}").format(count=len(value))
    text = json.dumps(value)
    return text if len(text) <= _MAX_SHOWN_LENGTH else text[:_MAX_SHOWN_LENGTH] + "…"


def _decode_text(path: str, data: bytes) -> str:
    """Return ``data`` as text; raise ``DataError`` with the line when it is not in a Unicode encoding."""
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            _("{path}:{line} is not text in {encoding}.").format(path=path, line=line, encoding=error.encoding),
            _("Expected JSON in UTF-8."),
            _("Save it as UTF-8."),
        ) from error


def _syntax_error(path: str, text: str, error: json.JSONDecodeError) -> DataError:
    """Return the error for ``text``; a file that is cut off or empty gets a message of its own."""
    position = f"{path}:{error.lineno}:{error.colno}"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
        problem = _("{place}: the file is truncated here.") if text.strip() else _("{place}: the file is empty.")
        return DataError(problem.format(place=position), _("Expected JSON."), _("Copy it again, or export it again."))
    problem = _("{place} is not JSON: {error}.").format(place=position, error=error.msg)
    return DataError(problem, _("Expected labels in JSON."), _("Correct it there, or export it again."))


def _close_json(text: str) -> str:
    """Return ``text``, the beginning of a JSON file, cut after its last whole token and closed, so that it parses.

    The text is tokenised once, with a stack of the brackets that are still open. A key without a
    value gets ``null``.
    """
    stack: list[str] = []
    position, end, missing = 0, 0, ""
    awaits_key = False
    while match := _TOKEN.match(text, position):
        position, kind, symbol = match.end(), match.lastgroup, match.group().strip()
        if kind == "open":
            stack.append("}" if symbol == "{" else "]")
            awaits_key = symbol == "{"
        elif kind == "close" and stack:
            stack.pop()
        if kind == "comma":
            awaits_key = stack[-1:] == ["}"]
            continue
        end, missing = position, _missing_value(str(kind), awaits_key)
        awaits_key = awaits_key and kind == "open"
        if not stack:
            break
    return text[:end] + missing + "".join(reversed(stack))


def _missing_value(kind: str, awaits_key: bool) -> str:
    """Return what must follow a last token of this kind: ``:null`` after a key, ``null`` after a colon."""
    if kind == "text" and awaits_key:
        return ":null"
    return "null" if kind == "colon" else ""
