"""Takes the bodies of requests apart: forms (multipart), JSON with base64, and the bare bytes of one image."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from lince.messages import _
from lince.serving import photos
from lince.serving.photos import OPTIONS, Sent, clean_name
from lince.serving.refusals import RefusedError, bad
from lince.serving.schema import PhotosAsked
from lince.serving.settings import Limits

_IMAGE_FIELDS = ("image", "images", "file", "files")
_LONGEST_FIELD = 1000
_MOST_PARTS = 16  # besides the images
_DATA_URL = re.compile(r"data:[\w.+/-]{0,100};base64,")


@dataclass(frozen=True, eq=False)
class Body:
    """What a body holds: photos, and options as texts."""

    photos: tuple[Sent, ...]
    fields: dict[str, str]


Reader = Callable[[bytes, str, Limits], Body]


def reader(content_type: str) -> Reader:
    """Return what reads a body of ``content_type``; raise ``RefusedError`` (415) when nothing does."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return read_form
    if kind == "application/json":
        return _read_json
    if kind in ("", "application/octet-stream") or kind.startswith("image/"):
        return _read_raw
    message = _("A body of the type '{kind}' cannot be read. Expected {known}.").format(
        kind=photos.short(kind), known="multipart/form-data, application/json, image/*, application/octet-stream"
    )
    raise bad("unsupported-type", message, 415)


def _read_raw(body: bytes, _content_type: str, limits: Limits) -> Body:
    if not body:
        raise photos.no_images()
    return _checked([("", body)], {}, limits)


def _read_json(body: bytes, _content_type: str, limits: Limits) -> Body:
    try:
        asked = PhotosAsked.model_validate_json(body)
    except ValidationError as error:
        raise _unfit(error) from error
    if len(asked.images) > limits.images:
        raise photos.too_many_images(limits.images)
    found = [("", one) if isinstance(one, str) else (one.name, one.data) for one in asked.images]
    fields = {name: str(value) for name in OPTIONS if (value := getattr(asked, name)) is not None}
    decoded = [(name, _from_base64(text, number)) for number, (name, text) in enumerate(found, 1)]
    return _checked(decoded, fields, limits)


def _unfit(error: ValidationError) -> RefusedError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return bad("bad-json", _("The body is not JSON."))
    place = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part in _KNOWN)
    return bad("bad-json", _("The JSON is not as expected at '{place}'.").format(place=place or "images"), 422)


_KNOWN = ("images", "data", "name", *OPTIONS)


def _from_base64(text: str, number: int) -> bytes:
    match = _DATA_URL.match(text)
    try:
        return base64.b64decode(text[match.end() :] if match else text, validate=True)
    except (binascii.Error, ValueError) as error:
        message = _("The data of image {number} is not base64.").format(number=number)
        raise bad("bad-base64", message, 422) from error


@dataclass
class _Part:
    headers: dict[str, bytes] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)

    @property
    def data(self) -> bytes:
        return self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)


class _Parts:
    """Hears the parser of forms, and keeps the parts."""

    def __init__(self, limit: int) -> None:
        self.found: list[_Part] = []
        self.whole = False
        self._limit = limit
        self._name, self._value = b"", b""

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._data,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.found) >= self._limit + _MOST_PARTS:
            raise photos.too_many_images(self._limit)
        self.found.append(_Part())

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.found[-1].chunks.append(data[start:end])

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self.found[-1].headers[self._name.decode("latin-1").lower()] = self._value
        self._name, self._value = b"", b""

    def _end(self) -> None:
        self.whole = True


def read_form(body: bytes, content_type: str, limits: Limits, longest: int = _LONGEST_FIELD) -> Body:
    """Return what the form ``body`` holds; a field that is no image has at most ``longest`` bytes."""
    _kind, options = parse_options_header(content_type.encode("latin-1", "replace"))
    parts = _Parts(limits.images)
    try:
        parser = MultipartParser(options.get(b"boundary", b""), parts.callbacks())  # type: ignore[arg-type]
        if not options.get(b"boundary"):
            raise FormParserError("no boundary")
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise bad("bad-form", _("The form (multipart/form-data) cannot be understood.")) from error
    if not parts.whole:
        raise bad("bad-form", _("The form (multipart/form-data) is cut off."))
    return _sorted(parts.found, limits, longest)


def _sorted(parts: list[_Part], limits: Limits, longest: int) -> Body:
    found: list[tuple[str, bytes]] = []
    fields: dict[str, str] = {}
    for part in parts:
        _kind, about = parse_options_header(part.headers.get("content-disposition", b""))
        name = about.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in about or name in _IMAGE_FIELDS:
            found.append((about.get(b"filename", b"").decode("utf-8", "replace"), part.data))
        else:
            _add_field(fields, name, part.data, longest)
    return _checked(found, fields, limits)


def _add_field(fields: dict[str, str], name: str, data: bytes, longest: int) -> None:
    text = data[:longest].decode("utf-8", "replace").strip()
    if fields.get(name, text) != text or len(data) > longest:
        message = _("The option '{name}' is given twice, with different values.").format(name=photos.short(name))
        raise bad("ambiguous-option", message, 422)
    if text:  # a field left empty in a page's form says nothing
        fields[name] = text


def _checked(found: list[tuple[str, bytes]], fields: dict[str, str], limits: Limits) -> Body:
    if not found:
        raise photos.no_images()
    if len(found) > limits.images:
        raise photos.too_many_images(limits.images)
    sent = tuple(Sent(clean_name(name, number), data) for number, (name, data) in enumerate(found, 1))
    return Body(sent, fields)
