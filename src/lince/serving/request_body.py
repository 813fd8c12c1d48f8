"""Parses request bodies into images and options: multipart forms, JSON with base64, or the bytes of one image."""

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
from lince.serving.request_images import UploadedImage, clean_file_name
from lince.serving.request_options import OPTIONS, ambiguous_option_error
from lince.serving.schemas import PredictRequestBody
from lince.serving.settings import RequestLimits
from lince.web.http_errors import ApiError, client_error

_IMAGE_FIELDS = ("image", "images", "file", "files")
_JSON_FIELDS = ("images", "data", "name", *OPTIONS)
_MAX_FIELD_BYTES = 1000
_MAX_OTHER_PARTS = 16  # of a form, besides the images
_DATA_URL = re.compile(r"data:[\w.+/-]{0,100};base64,")


@dataclass(frozen=True, eq=False)
class RequestBody:
    """A parsed body: at least one image, and the other fields as strings by name."""

    images: tuple[UploadedImage, ...]
    fields: dict[str, str]


BodyParser = Callable[[bytes, str, RequestLimits], RequestBody]  # called with body, content type and limits


def select_body_parser(content_type: str) -> BodyParser:
    """Return the parser for a ``Content-Type``; raise ``ApiError`` (415) when there is none.

    Without a type the body is taken for the bytes of an image.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        return parse_form
    if media_type == "application/json":
        return _parse_json
    if media_type in ("", "application/octet-stream") or media_type.startswith("image/"):
        return _parse_raw
    message = _("A body of the type '{kind}' cannot be read. Expected {known}.").format(
        kind=request_images.shorten_text(media_type),
        known="multipart/form-data, application/json, image/*, application/octet-stream",
    )
    raise client_error("unsupported-type", message, 415)


def _parse_raw(body: bytes, _content_type: str, limits: RequestLimits) -> RequestBody:
    """Return a body that is one image file; it has no name and no fields."""
    if not body:
        raise request_images.no_images_error()
    return _build_body([("", body)], {}, limits)


def _parse_json(body: bytes, _content_type: str, limits: RequestLimits) -> RequestBody:
    """Return the images and options of a ``PredictRequestBody``; the number of images is checked before decoding."""
    try:
        request = PredictRequestBody.model_validate_json(body)
    except ValidationError as error:
        raise _bad_json_error(error) from error
    if len(request.images) > limits.images:
        raise request_images.too_many_images_error(limits.images)
    encoded = [("", image) if isinstance(image, str) else (image.name, image.data) for image in request.images]
    fields = {name: str(value) for name in OPTIONS if (value := getattr(request, name)) is not None}
    decoded = [(name, _decode_base64(text, number)) for number, (name, text) in enumerate(encoded, 1)]
    return _build_body(decoded, fields, limits)


def _bad_json_error(error: ValidationError) -> ApiError:
    """Return the error for the first problem, with its place in the JSON; unknown keys are not repeated."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return client_error("bad-json", _("The body is not JSON."))
    place = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part in _JSON_FIELDS)
    return client_error("bad-json", _("The JSON is not as expected at '{place}'.").format(place=place or "images"), 422)


def _decode_base64(text: str, number: int) -> bytes:
    """Return the bytes of base64 or a base64 data URL; the error names the image by ``number``."""
    match = _DATA_URL.match(text)
    try:
        return base64.b64decode(text[match.end() :] if match else text, validate=True)
    except (binascii.Error, ValueError) as error:
        message = _("The data of image {number} is not base64.").format(number=number)
        raise client_error("bad-base64", message, 422) from error


@dataclass
class _FormPart:
    """One part of a form: its headers by lower-case name, and its content as the parser delivers it."""

    headers: dict[str, bytes] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)

    @property
    def data(self) -> bytes:
        return self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)


class _FormCollector:
    """Callbacks for ``MultipartParser`` that collect the parts, no more than ``max_images`` and a few other fields."""

    def __init__(self, max_images: int) -> None:
        self.parts: list[_FormPart] = []
        self.is_complete = False
        self._max_images = max_images
        self._partial_name, self._partial_value = b"", b""

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """Return the callbacks by the names that ``MultipartParser`` expects.

        Those for data get a buffer with start and end, and may be called several times for one value.
        """
        return {
            "on_part_begin": self._on_part_begin,
            "on_part_data": self._on_part_data,
            "on_header_field": self._on_header_name,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        """Begin a part; raise ``ApiError`` (413) at the first one too many, before its content is stored."""
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


def parse_form(
    body: bytes, content_type: str, limits: RequestLimits, max_field_bytes: int = _MAX_FIELD_BYTES
) -> RequestBody:
    """Return the images and fields of a multipart form.

    A part with a file name, or named image, images, file or files, is an image; any other is a field of at most
    ``max_field_bytes``. Empty fields are ignored, as browsers send them. Raises ``ApiError`` for a malformed or
    truncated form (400), too many images (413), none (422), or a field with two values or too long a one (422).
    """
    _type, parameters = parse_options_header(content_type.encode("latin-1", "replace"))
    collector = _FormCollector(limits.images)
    try:
        parser = MultipartParser(parameters.get(b"boundary", b""), collector.callbacks())  # type: ignore[arg-type]
        if not parameters.get(b"boundary"):
            raise FormParserError("no boundary")
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise client_error("bad-form", _("The form (multipart/form-data) cannot be parsed.")) from error
    if not collector.is_complete:
        raise client_error("bad-form", _("The form (multipart/form-data) is truncated."))
    return _collect_body(collector.parts, limits, max_field_bytes)


def _collect_body(parts: list[_FormPart], limits: RequestLimits, max_field_bytes: int) -> RequestBody:
    """Sort the parts of a form into images and fields."""
    files: list[tuple[str, bytes]] = []
    fields: dict[str, str] = {}
    for part in parts:
        _type, parameters = parse_options_header(part.headers.get("content-disposition", b""))
        name = parameters.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in parameters or name in _IMAGE_FIELDS:
            files.append((parameters.get(b"filename", b"").decode("utf-8", "replace"), part.data))
        else:
            _add_field(fields, name, part.data, max_field_bytes)
    return _build_body(files, fields, limits)


def _add_field(fields: dict[str, str], name: str, data: bytes, max_field_bytes: int) -> None:
    """Add a field unless it is empty; raise ``ApiError`` (422) when it is too long or has another value already."""
    if len(data) > max_field_bytes:
        raise _field_too_long_error(name, max_field_bytes)
    text = data.decode("utf-8", "replace").strip()
    if fields.get(name, text) != text:
        raise ambiguous_option_error(name)
    if text:
        fields[name] = text


def _field_too_long_error(name: str, limit: int) -> ApiError:
    """Return the 422 for a form field of more than ``limit`` bytes."""
    message = _("The field '{name}' is longer than {limit:,} bytes.").format(
        name=request_images.shorten_text(name), limit=limit
    )
    return client_error("field-too-long", message, 422)


def _build_body(files: list[tuple[str, bytes]], fields: dict[str, str], limits: RequestLimits) -> RequestBody:
    """Return the body of image files (name, content) and fields; raise ``ApiError`` for none or too many files."""
    if not files:
        raise request_images.no_images_error()
    if len(files) > limits.images:
        raise request_images.too_many_images_error(limits.images)
    uploads = tuple(UploadedImage(clean_file_name(name, number), data) for number, (name, data) in enumerate(files, 1))
    return RequestBody(uploads, fields)
