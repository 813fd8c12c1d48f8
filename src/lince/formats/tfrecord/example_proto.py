"""The ``tf.train.Example`` message, declared by hand so that TensorFlow is not needed.

Field numbers and names are those of TensorFlow's ``example.proto`` and ``feature.proto``.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from lince.errors import DataError
from lince.i18n import _

_PACKAGE = "lince.example"
_MAX_VALUES = 2**24  # per feature
# Field of the message Feature for each type of value.
LIST_FIELDS = {bytes: "bytes_list", float: "float_list", int: "int64_list"}
FeatureValues = list[bytes] | list[float] | list[int]


def parse_example(data: bytes) -> dict[str, FeatureValues]:
    """Return the features of the serialised Example ``data`` by name: lists of bytes, floats or integers.

    Raise ``DataError`` when it is not an Example, or a feature has more than 2^24 values.
    """
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    message = _example_class()()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise DataError(_("The record does not contain a tf.train.Example.")) from error
    return {name: _read_values(name, feature) for name, feature in message.features.feature.items()}


def serialise_example(features: dict[str, FeatureValues]) -> bytes:
    """Return the bytes of an Example with ``features``.

    A feature without values stays as a key. The order of the features does not matter: equal
    features give equal bytes.
    """
    message = _example_class()()
    for name in sorted(features):
        values = features[name]
        feature = message.features.feature[name]
        if values:
            getattr(feature, LIST_FIELDS[type(values[0])]).value.extend(values)
    return bytes(message.SerializeToString(deterministic=True))


def _read_values(name: str, feature: Any) -> FeatureValues:
    """Return the values of a feature, whichever list it has."""
    kind = feature.WhichOneof("kind")
    values = getattr(feature, kind).value if kind else []
    if len(values) > _MAX_VALUES:
        raise DataError(_("{name} contains {count:,} values.").format(name=name, count=len(values)))
    return list(values)


@cache
def _example_class() -> Any:
    """Return the message class, from a descriptor pool of its own so that it cannot clash with TensorFlow's."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: PLC0415

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="lince/example.proto", package=_PACKAGE, syntax="proto3")

    def declare(name: str, fields: dict[str, tuple[int, str]], label: Any) -> Any:
        message = file.message_type.add(name=name)
        for number, (field_name, (kind, type_name)) in enumerate(fields.items(), 1):
            new_field = message.field.add(name=field_name, number=number, type=kind, label=label)
            if type_name:
                new_field.type_name = f".{_PACKAGE}.{type_name}"
        return message

    optional, repeated, message_type = field.LABEL_OPTIONAL, field.LABEL_REPEATED, field.TYPE_MESSAGE
    declare("BytesList", {"value": (field.TYPE_BYTES, "")}, repeated)
    declare("FloatList", {"value": (field.TYPE_FLOAT, "")}, repeated)
    declare("Int64List", {"value": (field.TYPE_INT64, "")}, repeated)
    lists = {"bytes_list": "BytesList", "float_list": "FloatList", "int64_list": "Int64List"}
    feature = declare("Feature", {name: (message_type, type_name) for name, type_name in lists.items()}, optional)
    feature.oneof_decl.add(name="kind")
    for list_field in feature.field:
        list_field.oneof_index = 0
    features = declare("Features", {"feature": (message_type, "Features.FeatureEntry")}, repeated)
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=optional)
    entry.field.add(name="value", number=2, type=message_type, label=optional, type_name=f".{_PACKAGE}.Feature")
    declare("Example", {"features": (message_type, "Features")}, optional)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Example"))
