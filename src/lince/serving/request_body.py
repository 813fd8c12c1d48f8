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

from lince.i18n import _
from lince.serving import request_images
from lince.serving.http_errors import ApiError, client_error
from lince.serving.request_images import OPTION_NAMES, UploadedImage, clean_file_name
from lince.serving.schemas import PredictRequestBody
from lince.serving.settings import RequestLimits

_IMAGE_FIELDS = ("image", "images", "file", "files")
_MAX_FIELD_BYTES = 1000
_MAX_OTHER_PARTS = 16  # besides the images
_DATA_URL = re.compile(r"data:[\w.+/-]{0,100};base64,")


@dataclass(frozen=True, eq=False)
class RequestBody:
    """What a body holds: photos, and options as texts."""

    images: tuple[UploadedImage, ...]
    fields: dict[str, str]


BodyParser = Callable[[bytes, str, RequestLimits], RequestBody]


def select_body_parser(content_type: str) -> BodyParser:
    """Return what reads a body of ``content_type``; raise ``RefusedError`` (415) when nothing does."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return parse_form
    if kind == "application/json":
        return _parse_json
    if kind in ("", "application/octet-stream") or kind.startswith("image/"):
        return _parse_raw
    message = _("A body of the type '{kind}' cannot be read. Expected {known}.").format(
        kind=request_images.shorten_text(kind),
        known="multipart/form-data, application/json, image/*, application/octet-stream",
    )
    raise client_error("unsupported-type", message, 415)


def _parse_raw(body: bytes, _content_type: str, limits: RequestLimits) -> RequestBody:
    if not body:
        raise request_images.no_images_error()
    return _build_body([("", body)], {}, limits)


def _parse_json(body: bytes, _content_type: str, limits: RequestLimits) -> RequestBody:
    try:
        asked = PredictRequestBody.model_validate_json(body)
    except ValidationError as error:
        raise _bad_json_error(error) from error
    if len(asked.images) > limits.images:
        raise request_images.too_many_images_error(limits.images)
    found = [("", one) if isinstance(one, str) else (one.name, one.data) for one in asked.images]
    fields = {name: str(value) for name in OPTION_NAMES if (value := getattr(asked, name)) is not None}
    decoded = [(name, _decode_base64(text, number)) for number, (name, text) in enumerate(found, 1)]
    return _build_body(decoded, fields, limits)


def _bad_json_error(error: ValidationError) -> ApiError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return client_error("bad-json", _("The body is not JSON."))
    place = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part in _JSON_FIELDS)
    return client_error("bad-json", _("The JSON is not as expected at '{place}'.").format(place=place or "images"), 422)


_JSON_FIELDS = ("images", "data", "name", *OPTION_NAMES)


def _decode_base64(text: str, number: int) -> bytes:
    match = _DATA_URL.match(text)
    try:
        return base64.b64decode(text[match.end() :] if match else text, validate=True)
    except (binascii.Error, ValueError) as error:
        message = _("The data of image {number} is not base64.").format(number=number)
        raise client_error("bad-base64", message, 422) from error


@dataclass
class _FormPart:
    headers: dict[str, bytes] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)

    @property
    def data(self) -> bytes:
        return self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)


class _FormCollector:
    """Hears the parser of forms, and keeps the parts."""

    def __init__(self, limit: int) -> None:
        self.parts: list[_FormPart] = []
        self.is_complete = False
        self._max_images = limit
        self._partial_name, self._partial_value = b"", b""

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._on_part_begin,
            "on_part_data": self._on_part_data,
            "on_header_field": self._on_header_name,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        if len(self.parts) >= self._max_images + _MAX_OTHER_PARTS:
            raise request_images.too_many_images_error(self._max_images)
        self.parts.append(_FormPart())

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].chunks.append(data[start:end])

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._partial_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._partial_value += data[start:end]

    def _on_header_end(self) -> None:
        self.parts[-1].headers[self._partial_name.decode("latin-1").lower()] = self._partial_value
        self._partial_name, self._partial_value = b"", b""

    def _on_end(self) -> None:
        self.is_complete = True


def parse_form(body: bytes, content_type: str, limits: RequestLimits, longest: int = _MAX_FIELD_BYTES) -> RequestBody:
    """Return what the form ``body`` holds; a field that is no image has at most ``longest`` bytes."""
    _kind, options = parse_options_header(content_type.encode("latin-1", "replace"))
    parts = _FormCollector(limits.images)
    try:
        parser = MultipartParser(options.get(b"boundary", b""), parts.callbacks())  # type: ignore[arg-type]
        if not options.get(b"boundary"):
            raise FormParserError("no boundary")
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise client_error("bad-form", _("The form (multipart/form-data) cannot be understood.")) from error
    if not parts.is_complete:
        raise client_error("bad-form", _("The form (multipart/form-data) is cut off."))
    return _collect_body(parts.parts, limits, longest)


def _collect_body(parts: list[_FormPart], limits: RequestLimits, longest: int) -> RequestBody:
    found: list[tuple[str, bytes]] = []
    fields: dict[str, str] = {}
    for part in parts:
        _kind, about = parse_options_header(part.headers.get("content-disposition", b""))
        name = about.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in about or name in _IMAGE_FIELDS:
            found.append((about.get(b"filename", b"").decode("utf-8", "replace"), part.data))
        else:
            _add_field(fields, name, part.data, longest)
    return _build_body(found, fields, limits)


def _add_field(fields: dict[str, str], name: str, data: bytes, longest: int) -> None:
    text = data[:longest].decode("utf-8", "replace").strip()
    if fields.get(name, text) != text or len(data) > longest:
        message = _("The option '{name}' is given twice, with different values.").format(
            name=request_images.shorten_text(name)
        )
        raise client_error("ambiguous-option", message, 422)
    if text:  # a field left empty in a page's form says nothing
        fields[name] = text


def _build_body(found: list[tuple[str, bytes]], fields: dict[str, str], limits: RequestLimits) -> RequestBody:
    if not found:
        raise request_images.no_images_error()
    if len(found) > limits.images:
        raise request_images.too_many_images_error(limits.images)
    sent = tuple(UploadedImage(clean_file_name(name, number), data) for number, (name, data) in enumerate(found, 1))
    return RequestBody(sent, fields)
