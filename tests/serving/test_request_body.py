"""Multipart form fields: what is kept, and what is refused with its own message."""

from __future__ import annotations

import pytest

from lince.i18n import use_language
from lince.serving import request_body
from lince.serving.settings import RequestLimits
from lince.web.http_errors import ApiError

LONGEST = 20


def parse(*fields: tuple[str, str]) -> request_body.RequestBody:
    parts = [b'Content-Disposition: form-data; name="image"; filename="a.png"\r\n\r\ndata']
    parts += [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields]
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    return request_body.parse_form(body, "multipart/form-data; boundary=b", RequestLimits(), LONGEST)


def test_fields_are_kept_but_for_empty_ones() -> None:
    body = parse(("label", "ñ" * (LONGEST // 2)), ("model", ""), ("top", " 3 "), ("top", "3"))
    assert body.fields == {"label": "ñ" * (LONGEST // 2), "top": "3"}
    assert [(image.name, image.data) for image in body.images] == [("a.png", b"data")]


@pytest.mark.parametrize("values", [("a" * (LONGEST + 1),), ("a" * LONGEST, "a" * (LONGEST + 1))])
def test_a_field_that_is_too_long_is_refused_as_such(values: tuple[str, ...]) -> None:
    with use_language("en"), pytest.raises(ApiError) as caught:
        parse(*(("label", value) for value in values))
    assert (caught.value.status, caught.value.code) == (422, "field-too-long")
    assert caught.value.message == "The field 'label' is longer than 20 bytes."


def test_a_field_with_two_values_is_refused_as_such() -> None:
    with use_language("en"), pytest.raises(ApiError) as caught:
        parse(("label", "red"), ("label", "green"))
    assert (caught.value.status, caught.value.code) == (422, "ambiguous-option")
    assert "given twice" in caught.value.message
