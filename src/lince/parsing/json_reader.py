"""JSON that strangers wrote, read safely for every format: bounded, and every complaint names its place.

RFC 8259, and what is met in practice beside it: a byte order mark, UTF-16, NaN and Infinity (they become floats, which
no mark accepts), a key that stands twice (the last one counts).
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

MAX_JSON_BYTES = 512 * 2**20  # bytes; the instances of COCO's 118,287 training photos take 448 MB
_MAX_CONTAINERS = 2**25  # each costs some 64 bytes of memory for two of the file
_PEEK_BYTES = 16_384
_MAX_SIDE = 10**6  # pixels
_MAX_SHOWN_LENGTH = 40
_TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\\x00-\x1f]|\\.)*")|(?P<open>[\[{])|(?P<close>[\]}])|(?P<colon>:)|(?P<comma>,)'
    r"|(?P<scalar>[-+.\w]+)(?=[\s,\]}]))"
)


def load_json(tree: FileTree, name: str, at_most: int = MAX_JSON_BYTES) -> Any:
    """Return the value in the JSON file ``name`` of at most ``at_most`` bytes.

    Raise ``DataError`` with the line and column where it is not JSON, and when it is cut off, too large or nested
    deeper than sane.
    """
    path = tree.root / name
    text = _decode_text(str(path), tree.read(name, at_most))
    if text.count("[") + text.count("{") > _MAX_CONTAINERS:
        raise DataError(
            _("{path} has more than {limit:,} lists and records.").format(path=path, limit=_MAX_CONTAINERS),
            _("Expected no more; it may be an attack."),
            _("If it is what you mean, divide it."),
        )
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _syntax_error(str(path), text, error) from error
    except RecursionError as error:
        raise DataError(_("{path} is nested too deep.").format(path=path), _("Expected labels in JSON.")) from error
    except ValueError as error:  # a whole number of thousands of digits
        raise DataError(_("{path} cannot be read: {error}.").format(path=path, error=error)) from error


def peek_json(tree: FileTree, name: str, count: int = _PEEK_BYTES) -> Any:
    """Return the value in the JSON file ``name`` as far as its first ``count`` bytes tell: lists and records cut short.

    A record has the keys seen so far, ``None`` for a value that was cut off. An empty dict for what cannot be read or
    is no list or record. For ``detect``: it never raises.
    """
    try:
        data = tree.head(name, count)
        value = json.loads(_close_json(data.decode(json.detect_encoding(data), "ignore").lstrip("\ufeff")))
    except (DataError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, (dict, list)) else {}


def find_invalid_files(tree: FileTree, names: Iterable[str]) -> Iterator[RejectedItem]:
    """Yield the refusal of each of the files ``names`` that is not JSON, whole."""
    for name in names:
        try:
            load_json(tree, name)
        except DataError as error:
            reason = error.problem.removeprefix(f"{tree.root / name}").lstrip(": ").rstrip(".")
            yield RejectedItem(name, reason, error.remedy.rstrip(".") or _("export it anew"), kind="row")


class JsonValueError(DataError):
    """A value that is not what the format wants: its ``path`` as ``Node`` has it, the ``reason``, and the ``fault``."""

    def __init__(self, path: str, reason: str, kind: str = "row") -> None:
        super().__init__(f"{path}: {reason}.", "", _("correct it, or export it anew"))
        self.path = path
        self.reason = reason
        self.kind = kind

    def to_file_error(self, root: Path) -> DataError:
        """Return the error that the file itself, which lies in ``root``, cannot be used."""
        return DataError(f"{root / self.path}: {self.reason}.", "", _("Correct the file, or export it anew."))


@dataclass(frozen=True)
class JsonNode:
    """A value within a JSON file, and its ``path``: ``file.json#/annotations/17``. Complaints name the place."""

    value: Any
    path: str

    def get_child(self, key: str) -> JsonNode:
        """Return what stands under ``key`` in this record: ``None`` when nothing does."""
        if not isinstance(self.value, dict):
            raise self.make_error(_("a record"))
        return JsonNode(self.value.get(key), self._child_path(key))

    def as_list(self) -> list[Any]:
        """Return this list as it is."""
        if not isinstance(self.value, list):
            raise self.make_error(_("a list"))
        return self.value

    def items(self, first: int = 0, end: int | None = None) -> Iterator[JsonNode]:
        """Yield the items of this list from ``first`` up to ``end``."""
        return (
            JsonNode(value, self._child_path(str(index)))
            for index, value in enumerate(self.as_list()[first:end], first)
        )

    def get_text(self, key: str) -> str:
        """Return the text under ``key``; raise ``DataError`` when there is none, or none that UTF-8 can hold."""
        node = self.get_child(key)
        if not isinstance(node.value, str) or not is_encodable_text(node.value):
            raise node.make_error(_("a text"))
        return node.value

    def get_number(self, key: str) -> float:
        """Return the number under ``key``, which may be NaN or infinite; raise ``DataError`` when there is none."""
        node = self.get_child(key)
        if not is_number(node.value):
            raise node.make_error(_("a number"))
        return as_float(node.value)

    def get_integer(self, key: str) -> int:
        """Return the whole number under ``key``, 3.0 taken for 3; raise ``DataError`` when there is none."""
        node = self.get_child(key)
        if not is_number(node.value) or not as_float(node.value).is_integer():
            raise node.make_error(_("a whole number"))
        return int(node.value)

    def get_numbers(self, key: str, count: int | None = None) -> list[float]:
        """Return the list of numbers under ``key``, ``count`` of them; raise ``DataError`` when there is none."""
        node = self.get_child(key)
        value = node.value
        if not isinstance(value, list) or (count is not None and len(value) != count) or not all(map(is_number, value)):
            raise node.make_error(_("numbers") if count is None else _("{count} numbers").format(count=count))
        return [as_float(item) for item in value]

    def make_error(self, expected: str) -> JsonValueError:
        """Return the error that this value is not what was ``expected``."""
        what = _("nothing there instead of {kind}") if self.value is None else _("{value} instead of {kind}")
        return JsonValueError(self.path, what.format(value=format_value(self.value), kind=expected))

    def _child_path(self, key: str) -> str:
        escaped = key.replace("~", "~0").replace("/", "~1")  # RFC 6901
        return f"{self.path}/{escaped}" if "#" in self.path else f"{self.path}#/{escaped}"


def is_number(value: Any) -> bool:
    """Whether ``value`` is a JSON number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def as_float(value: float) -> float:
    """Return a JSON number as a float, one too large for a float as infinity."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def parse_image_side(value: Any) -> int:
    """Return the height or width of an image that ``value`` tells; 0 when it tells none."""
    return int(value) if is_number(value) and 1 <= value <= _MAX_SIDE and value == int(value) else 0


def is_encodable_text(value: str) -> bool:
    r"""Whether ``value`` can be written as UTF-8; half a surrogate pair (``"\ud800"``) cannot."""
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def format_value(value: Any) -> str:
    """Return a short picture of ``value`` for messages."""
    if isinstance(value, (dict, list)):
        return _("a record") if isinstance(value, dict) else _("a list of {count}").format(count=len(value))
    whole = json.dumps(value)
    return whole if len(whole) <= _MAX_SHOWN_LENGTH else whole[:_MAX_SHOWN_LENGTH] + "…"


def _decode_text(path: str, data: bytes) -> str:
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
    place = f"{path}:{error.lineno}:{error.colno}"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
        found = _("{place}: the file ends here, in the middle.") if text.strip() else _("{place}: the file is empty.")
        return DataError(found.format(place=place), _("Expected JSON."), _("Copy it again, or export it anew."))
    found = _("{place} is not JSON: {error}.").format(place=place, error=error.msg)
    return DataError(found, _("Expected labels in JSON."), _("Correct the place, or export it anew."))


def _close_json(text: str) -> str:
    """Return ``text``, the beginning of a JSON file, cut and closed so that it is a whole one."""
    stack: list[str] = []
    at, cut, missing = 0, 0, ""
    awaits_key = False
    while match := _TOKEN.match(text, at):
        at, kind, sign = match.end(), match.lastgroup, match.group().strip()
        if kind == "open":
            stack.append("}" if sign == "{" else "]")
            awaits_key = sign == "{"
        elif kind == "close" and stack:
            stack.pop()
        if kind == "comma":
            awaits_key = stack[-1:] == ["}"]
            continue
        cut, missing = at, _missing_value(str(kind), awaits_key)
        awaits_key = awaits_key and kind == "open"
        if not stack:
            break
    return text[:cut] + missing + "".join(reversed(stack))


def _missing_value(kind: str, awaits_key: bool) -> str:
    if kind == "text" and awaits_key:
        return ":null"
    return "null" if kind == "colon" else ""
