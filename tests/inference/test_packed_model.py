"""Packed model: same results as its folder; other files are refused; cards of any version open."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import tiny_classifier

import lince
from lince.errors import ModelError
from lince.inference import packed_model
from lince.model_card import CARD_FILE, NETWORK_FILE, ModelCard


@pytest.fixture
def folder(awkward: Path) -> Path:
    return tiny_classifier.model_folder(awkward / "modelo año")


def test_a_packed_model_answers_as_its_folder_does(folder: Path, awkward: Path) -> None:
    packed = packed_model.pack_model(folder, awkward / "cães.lince")
    photo = tiny_classifier.photo("green")
    ours, theirs = lince.load(packed), lince.load(folder)
    assert ours.card == theirs.card
    assert (ours.predict(photo).label.probabilities == theirs.predict(photo).label.probabilities).all()
    assert (ours.backend.with_threads().run(photo[None, :16, :16].transpose(0, 3, 1, 2).astype("f4"))[0].shape) == (
        1,
        3,
    )
    assert sorted(one.name for one in awkward.iterdir()) == ["cães.lince", "modelo año"]


def test_what_cannot_be_packed_is_said_and_leaves_nothing(folder: Path, awkward: Path) -> None:
    (folder / NETWORK_FILE).unlink()
    with pytest.raises(OSError, match=NETWORK_FILE):
        packed_model.pack_model(folder, awkward / "a.lince")
    assert not list(awkward.glob("*.lince*"))


def _archive(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def test_strange_archives_are_refused(folder: Path, awkward: Path) -> None:
    card, network = ((folder / name).read_bytes() for name in (CARD_FILE, NETWORK_FILE))
    strange = {
        "more": {CARD_FILE: card, NETWORK_FILE: network, "../evil": b"x"},
        "no card": {"card.txt": card, NETWORK_FILE: network},
        "no network": {CARD_FILE: card, "other.onnx": network},
        "bomb": {CARD_FILE: card, NETWORK_FILE: bytes(2**28)},
        "not a card": {CARD_FILE: b"[]", NETWORK_FILE: network},
        "another runtime's": {CARD_FILE: card.replace(b'"onnx"', b'"openvino"'), NETWORK_FILE: network},
    }
    for name, entries in strange.items():
        with pytest.raises(ModelError):
            lince.load(_archive(awkward / f"{name}.lince", entries))
    with pytest.raises(ModelError, match="no file"):
        lince.load(awkward / "nothing.lince")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_is_refused_or_answers_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    place = tmp_path_factory.getbasetemp() / "damaged"
    if not place.exists():
        packed_model.pack_model(tiny_classifier.model_folder(place / "model"), place / "whole.lince")
    whole = bytearray((place / "whole.lince").read_bytes())
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    else:
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    (place / "cut.lince").write_bytes(whole)
    try:
        answer = lince.load(place / "cut.lince").predict(tiny_classifier.photo("red"))
    except ModelError:
        return
    assert answer.class_name == "red"


def test_a_card_tells_colours_and_versions_and_old_ones_open(folder: Path) -> None:
    path = folder / CARD_FILE
    record = json.loads(path.read_text("utf-8"))
    assert record["colours"][0].startswith("#")
    assert len(set(record["colours"])) == len(record["classes"]) == 3
    assert record["versions"] == {"preprocess": 1, "decode": 1}
    kept = ModelCard.load(folder)
    for name in ("colours", "versions", "network", "target", "precision", "exported"):
        del record[name]
    path.write_text(json.dumps(record | {"format": 1}), "utf-8")
    assert ModelCard.load(folder) == kept


@pytest.mark.parametrize("later", [{"format": 4}, {"versions": {"preprocess": 2}}, {"versions": {"decode": 9}}])
def test_cards_from_the_future_are_refused(folder: Path, later: dict[str, object]) -> None:
    path = folder / CARD_FILE
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | later), "utf-8")
    with pytest.raises(ModelError, match="later version of lince"):
        lince.load(folder)


@pytest.mark.parametrize("elsewhere", ["../model.onnx", "/etc/model.onnx", "a/b.onnx", "", 3])
def test_the_network_lies_beside_the_card(folder: Path, elsewhere: object) -> None:
    path = folder / CARD_FILE
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"network": elsewhere}), "utf-8")
    with pytest.raises(ModelError, match="is not a model card"):
        lince.load(folder)


@pytest.mark.parametrize("std", [[255.0, 0.0, 255.0], [255.0, -1.0, 255.0], [255.0, float("nan"), 255.0]])
def test_numbers_that_prepare_no_image_are_refused(folder: Path, std: list[float]) -> None:
    card = json.loads((folder / CARD_FILE).read_text("utf-8"))
    card["preprocess"]["std"] = std
    (folder / CARD_FILE).write_text(json.dumps(card), "utf-8")
    with pytest.raises(ModelError):
        lince.load(folder)
