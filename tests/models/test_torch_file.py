"""The reader of torch's older files: the same tensors as torch reads, and an error for everything else."""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lince.errors import WeightsError
from lince.models.packaged_weights import PACKAGED_WEIGHTS, locate_packaged_weights
from lince.models.torch_file import read_tensors


def test_the_installed_weights_are_read_without_torch() -> None:
    path = locate_packaged_weights(PACKAGED_WEIGHTS["tf_efficientnet_lite0.in1k"])
    tensors = read_tensors(path)
    assert len(tensors) == 296
    assert tensors["_fc.weight"].shape == (1000, 1280)
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    assert tensors["_bn0.running_var"].min() >= 0


def test_tensors_are_those_that_torch_reads(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    weight = torch.arange(24.0).reshape(4, 3, 2)
    state = OrderedDict(
        turned=weight.permute(2, 0, 1), part=weight[1:, 1], same=weight, count=torch.tensor(7), none=torch.empty(0, 3)
    )
    state["layer.weight"] = torch.nn.Linear(3, 2).state_dict()["weight"]
    path = tmp_path / "old.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    tensors = read_tensors(path)
    assert list(tensors) == list(state)
    for name, tensor in state.items():
        assert tensors[name].dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(tensors[name], tensor.numpy())


class _Reduced:
    """Pickles as the call that it is made with."""

    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


def _write_file(path: Path, state: object) -> Path:
    """Write ``state`` as a file of torch's older layout that holds no storages."""
    values = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, state, [])
    path.write_bytes(b"".join(pickle.dumps(value, protocol=2) for value in values))
    return path


@pytest.mark.parametrize(
    "state",
    [
        {"a": _Reduced(print, ("run",))},
        {"a": _Reduced(eval, ("print('run')",))},
        _Reduced(OrderedDict, ([["a", 1]],)),
        {"a": 1},
        {},
        [1, 2],
        "text",
    ],
)
def test_anything_but_tensors_is_refused_and_nothing_runs(
    state: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _write_file(tmp_path / "evil.pth", state)
    with pytest.raises(WeightsError, match="is not a weight file"):
        read_tensors(path)
    assert capsys.readouterr().out == ""


def test_a_tensor_outside_its_values_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "old.pth"
    torch.save({"a": torch.arange(12.0).reshape(3, 4)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    read_tensors(path)
    for shape in (b"K\x04K\x04", b"K\x03K\x05"):
        assert content.count(b"K\x03K\x04") == 1
        path.write_bytes(content.replace(b"K\x03K\x04", shape))
        with pytest.raises(WeightsError, match="is not a weight file"):
            read_tensors(path)
    path.write_bytes(content[:-4])
    with pytest.raises(WeightsError, match="is not a weight file"):
        read_tensors(path)
    path.write_bytes(content[: -12 * 4 - 8] + struct.pack("<q", 11) + content[-12 * 4 :])
    with pytest.raises(WeightsError, match="is not a weight file"):
        read_tensors(path)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.pth cannot be read"):
        read_tensors(tmp_path / "none.pth")


@given(st.data())
def test_damaged_files_end_in_an_error_or_in_arrays(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    # Everything before the values themselves, in which each byte may stand.
    content = locate_packaged_weights(PACKAGED_WEIGHTS["tf_efficientnet_lite0.in1k"]).read_bytes()[:2000]
    place = data.draw(st.integers(0, len(content) - 1))
    damaged = content[:place] + data.draw(st.binary(min_size=1, max_size=4)) + content[place + 1 :]
    path = tmp_path_factory.getbasetemp() / "damaged.pth"
    path.write_bytes(damaged)
    with pytest.raises(WeightsError):
        read_tensors(path)
