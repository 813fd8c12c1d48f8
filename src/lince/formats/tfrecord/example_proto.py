"""The messages inside a TFRecord (tf.train.Example), declared here by hand so that TensorFlow is never needed.

Numbers and names of the fields are those of TensorFlow's ``example.proto`` and ``feature.proto``.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from lince.errors import DataError
from lince.i18n import _

_PACKAGE = "lince.example"
_MAX_VALUES = 2**24  # of one feature
_LIST_FIELDS = {bytes: "bytes_list", float: "float_list", int: "int64_list"}
FeatureValues = list[bytes] | list[float] | list[int]


def parse_example(data: bytes) -> dict[str, FeatureValues]:
    """Return the features of the serialised Example ``data`` by name: lists of bytes, floats or whole numbers.

    Raise ``DataError`` when it is not one.
    """
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    found = _example_class()()
    try:
        found.ParseFromString(data)
    except DecodeError as error:
        raise DataError(_("The record holds no tf.train.Example.")) from error
    return {name: _read_values(name, feature) for name, feature in found.features.feature.items()}


def serialise_example(features: dict[str, FeatureValues]) -> bytes:
    """Return the bytes of the Example with ``features``; an empty list stays as a key. The same give the same bytes."""
    made = _example_class()()
    for name in sorted(features):
        values = features[name]
        feature = made.features.feature[name]
        if values:
            getattr(feature, _LIST_FIELDS[type(values[0])]).value.extend(values)
    return bytes(made.SerializeToString(deterministic=True))


def _read_values(name: str, feature: Any) -> FeatureValues:
    kind = feature.WhichOneof("kind")
    values = getattr(feature, kind).value if kind else []
    if len(values) > _MAX_VALUES:
        raise DataError(_("{name} holds {count:,} values.").format(name=name, count=len(values)))
    return list(values)


@cache
def _example_class() -> Any:
    """Return the class of Example, in a pool of its own: TensorFlow may be loaded in the same process."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: PLC0415

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="lince/example.proto", package=_PACKAGE, syntax="proto3")

    def declare(name: str, fields: dict[str, tuple[int, str]], label: Any) -> Any:
        message = file.message_type.add(name=name)
        for number, (called, (kind, of)) in enumerate(fields.items(), 1):
            added = message.field.add(name=called, number=number, type=kind, label=label)
            if of:
                added.type_name = f".{_PACKAGE}.{of}"
        return message

    one, many, inner = field.LABEL_OPTIONAL, field.LABEL_REPEATED, field.TYPE_MESSAGE
    declare("BytesList", {"value": (field.TYPE_BYTES, "")}, many)
    declare("FloatList", {"value": (field.TYPE_FLOAT, "")}, many)
    declare("Int64List", {"value": (field.TYPE_INT64, "")}, many)
    lists = {"bytes_list": "BytesList", "float_list": "FloatList", "int64_list": "Int64List"}
    feature = declare("Feature", {name: (inner, of) for name, of in lists.items()}, one)
    feature.oneof_decl.add(name="kind")
    for choice in feature.field:
        choice.oneof_index = 0
    features = declare("Features", {"feature": (inner, "Features.FeatureEntry")}, many)
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=one)
    entry.field.add(name="value", number=2, type=inner, label=one, type_name=f".{_PACKAGE}.Feature")
    declare("Example", {"features": (inner, "Features")}, one)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Example"))
