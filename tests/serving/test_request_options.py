"""Request options: the parsed record, the JSON body and the OpenAPI description agree."""

from __future__ import annotations

from dataclasses import fields

import pytest

from lince.serving import openapi
from lince.serving.request_options import OPTIONS, PredictOptions, merge_options
from lince.serving.schemas import PredictRequestBody
from lince.web.http_errors import ApiError


def test_every_option_is_a_field_of_the_record_and_of_the_body() -> None:
    assert [field.name for field in fields(PredictOptions)] == list(OPTIONS)
    assert [name for name in PredictRequestBody.model_fields if name != "images"] == list(OPTIONS)


def test_the_interface_describes_each_option_as_it_is_checked() -> None:
    body = PredictRequestBody.model_json_schema()["properties"]
    described = {parameter["name"]: parameter["schema"] for parameter in openapi.PREDICT_REQUEST["parameters"]}
    for name, option in OPTIONS.items():
        assert body[name]["anyOf"][0] == option.schema
        assert described[name] == {**option.schema, "description": option.description}


@pytest.mark.parametrize("name", ["top", "threshold"])
def test_values_outside_the_schema_are_refused(name: str) -> None:
    schema = OPTIONS[name].schema
    for value in (schema["minimum"], schema["maximum"]):
        assert getattr(PredictOptions.from_strings({name: str(value)}), name) == value
    for text in (str(schema["minimum"] - 1), str(schema["maximum"] + 1), "nan", "", "many", "1" * 50):
        with pytest.raises(ApiError) as caught:
            PredictOptions.from_strings({name: text})
        assert (caught.value.status, caught.value.code) == (422, "bad-option")


def test_options_merge_unless_they_contradict() -> None:
    assert merge_options({"model": "a"}, {"model": "a", "top": "2"}) == {"model": "a", "top": "2"}
    with pytest.raises(ApiError, match="ambiguous-option"):
        merge_options({"top": "1"}, {"top": "2"})
