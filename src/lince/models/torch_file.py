"""Reads the tensors of a file that ``torch.save`` wrote before version 1.6, without torch and without unpickling.

The pickles in the file are read as a list of operations, of which those that build dictionaries, lists, tuples and
tensors are carried out here and every other one is refused: no code of the file or of a library that it names runs.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lince.errors import WeightsError
from lince.i18n import _

Tensors = dict[str, NDArray[Any]]
_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C  # the first value of such a file
_STORAGE_DTYPES = {"torch FloatStorage": "<f4", "torch LongStorage": "<i8"}
_TENSOR, _ORDERED_DICT = "torch._utils _rebuild_tensor_v2", "collections OrderedDict"
_MARK = object()


@dataclass(frozen=True)
class _Storage:
    """The values of one or more tensors: their key in the file, their type and their number."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class _TensorPlace:
    """Where a tensor is: from ``offset`` on in ``storage``, ``strides`` values apart along each axis."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(path: Path) -> Tensors:
    """Return the tensors of the state_dict in the file ``path``, float32 and int64, by name.

    Raises ``WeightsError`` when the file cannot be read, is truncated, or holds anything else.
    """
    try:
        return _read_stream(io.BytesIO(path.read_bytes()))
    except OSError as error:
        raise WeightsError(_("{path} cannot be read: {error}.").format(path=path, error=error)) from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise WeightsError(
            _("{path} is not a weight file: {error}.").format(path=path, error=str(error)[:200]),
            _("Expected tensors only, as torch.save wrote them from a state_dict."),
            _("Download or copy it again."),
        ) from error


def _read_stream(stream: IO[bytes]) -> Tensors:
    """Return the tensors: after magic number, version and system come the state_dict, the keys and the storages."""
    if _read_value(stream) != _MAGIC_NUMBER:
        raise ValueError("magic number")
    _read_value(stream)
    _read_value(stream)
    state = _read_value(stream)
    places = {name: place for name, place in state.items() if isinstance(name, str) and isinstance(place, _TensorPlace)}
    if not places or len(places) < len(state):
        raise ValueError("state_dict")
    storages = {place.storage.key: place.storage for place in places.values()}
    values = {key: _read_storage(stream, storages[key]) for key in _read_value(stream)}
    return {name: _take_tensor(values[place.storage.key], place) for name, place in places.items()}


def _read_storage(stream: IO[bytes], storage: _Storage) -> NDArray[Any]:
    """Return the values of ``storage``, which ``stream`` has next, after their number."""
    dtype = np.dtype(storage.dtype)
    if int.from_bytes(stream.read(8), "little") != storage.count:
        raise ValueError("storage")
    return np.frombuffer(stream.read(storage.count * dtype.itemsize), dtype, storage.count)


def _take_tensor(values: NDArray[Any], place: _TensorPlace) -> NDArray[Any]:
    """Return the tensor at ``place`` in ``values``."""
    last = place.offset + sum((side - 1) * stride for side, stride in zip(place.shape, place.strides, strict=True))
    if min((place.offset, *place.shape, *place.strides)) < 0 or max(last + 1, prod(place.shape)) > len(values):
        raise ValueError("tensor")
    strides = [stride * values.itemsize for stride in place.strides]
    return np.lib.stride_tricks.as_strided(values[place.offset :], place.shape, strides, writeable=False)


def _read_value(stream: IO[bytes]) -> Any:
    """Return the value of the pickle that begins at the position of ``stream``, which is then at its end."""
    builder = _ValueBuilder()
    for operation, argument, _position in pickletools.genops(stream):
        builder.apply(operation.name, argument)
    return builder.stack.pop()


class _ValueBuilder:
    """Carries out the operations of a pickle that build plain values and tensors; ``ValueError`` for others."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._actions: dict[str, Callable[[], Any]] = {
            "TUPLE": lambda: self.stack.append(tuple(self._pop_items())),
            "SETITEM": lambda: self._set_items(self._pop_last(2)),
            "SETITEMS": lambda: self._set_items(self._pop_items()),
            "APPEND": lambda: self._extend_list(self._pop_last(1)),
            "APPENDS": lambda: self._extend_list(self._pop_items()),
            "BINPERSID": lambda: self.stack.append(_make_storage(*self.stack.pop())),
            "REDUCE": lambda: self.stack.append(_make_object(*self._pop_last(2))),
            "BUILD": self.stack.pop,  # drops the attributes of a dictionary, which are not tensors
        }

    def apply(self, name: str, argument: Any) -> None:
        """Carry out the operation ``name`` of ``pickletools.opcodes``."""
        if name in _PLAIN_VALUES:
            self.stack.append(_PLAIN_VALUES[name]())
        elif name in _ARGUMENT_VALUES:
            self.stack.append(argument)
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self._memo[argument])
        elif name in _TUPLE_SIZES:
            self.stack.append(tuple(self._pop_last(_TUPLE_SIZES[name])))
        elif name in self._actions:
            self._actions[name]()
        elif name not in ("PROTO", "STOP"):
            raise ValueError(name)

    def _pop_last(self, count: int) -> list[Any]:
        """Return the last ``count`` values and remove them."""
        if len(self.stack) < count:
            raise ValueError("stack")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def _pop_items(self) -> list[Any]:
        """Return the values after the last mark, and remove them and the mark."""
        place = max(index for index, value in enumerate(self.stack) if value is _MARK)
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def _extend_list(self, values: list[Any]) -> None:
        """Append ``values`` to the list below them."""
        self.stack[-1].extend(values)

    def _set_items(self, values: list[Any]) -> None:
        """Put ``values``, keys and what belongs to them in turn, into the dictionary below them."""
        self.stack[-1].update(zip(values[::2], values[1::2], strict=True))


_PLAIN_VALUES: dict[str, Callable[[], Any]] = {
    "MARK": lambda: _MARK,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
_ARGUMENT_VALUES = ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "GLOBAL")  # a GLOBAL is its name only
_TUPLE_SIZES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _make_storage(kind: str, type_name: str, key: str, _device: str, count: int, *_more: Any) -> _Storage:
    """Return the storage that a reference in the file describes."""
    if kind != "storage" or type_name not in _STORAGE_DTYPES or count < 0:
        raise ValueError(f"{kind} {type_name}")
    return _Storage(str(key), _STORAGE_DTYPES[type_name], int(count))


def _make_object(name: str, arguments: tuple[Any, ...]) -> Any:
    """Return what a call of ``name`` stands for: a tensor, or an empty dictionary."""
    if name == _ORDERED_DICT and not arguments:
        return {}
    if name != _TENSOR:
        raise ValueError(name)
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, _Storage):
        raise ValueError("tensor")
    return _TensorPlace(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))
