"""Names of options: those of the field beside ours, in Python and on the command line, and in messages."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")
from tests.support import tiny_classifier, tiny_detector

import lince
from lince import config, images
from lince.cli.main import main
from lince.errors import UsageError
from lince.option_aliases import ALIASES, list_flags
from lince.option_phrases import reword_for_page, reword_for_python

TRAIN_ALIASES = [(name, alias) for name, aliases in ALIASES.items() if name != "threshold" for alias in aliases]


@pytest.mark.parametrize(("name", "alias"), TRAIN_ALIASES)
def test_train_takes_either_name_and_refuses_both(name: str, alias: str, tmp_path: Path) -> None:
    value: Any = "samplewise" if name == "standardise" else 16
    one = config.TrainConfig().with_changes(**{alias: value})
    assert one == config.TrainConfig(**{name: value})
    for given in ({name: value, alias: value}, {alias: value, name: value}):
        with pytest.raises(UsageError, match=f"(?s){name}.*two names of one option|{alias}.*two names of one option"):
            lince.train("lince:digits", out=tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()
    path = tmp_path / "config.toml"
    path.write_text(f"{alias} = {value!r}\n")
    assert config.TrainConfig.load(path) == one


@pytest.mark.parametrize(("name", "alias"), TRAIN_ALIASES)
def test_the_command_line_takes_either_name_and_refuses_both(
    name: str, alias: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    value = "samplewise" if name == "standardise" else "16"
    first, second = (f"--{word.replace('_', '-')}" for word in (name, alias))
    words = ["train", "lince:digits", "--out", str(tmp_path / "run"), first, value, second, value]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"{first} and {second} are two names" in said
    assert main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(flag in text for flag in list_flags(name))


def test_predict_takes_conf_and_iou(awkward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny_detector.model_folder(awkward / "model")
    photo = awkward / "photo.png"
    photo.write_bytes(images.encode_png(tiny_detector.scene([(0, 1, 1), (1, 5, 4)])))
    all_found = lince.predict(model, photo, conf=0.1)
    assert len(all_found.detections) == 2
    assert len(lince.predict(model, photo, threshold=1.0).detections) == 0
    for words in (["--conf", "1.0"], ["--threshold", "1.0"]):
        assert main(["predict", str(model), str(photo), *words]) == 0
        assert "no objects" in capsys.readouterr().out
    assert main(["predict", str(model), str(photo), "--conf", "0.1", "--threshold", "0.2"]) == 2
    with pytest.raises(UsageError, match="threshold and conf are two names"):
        lince.predict(model, photo, conf=0.1, threshold=0.2)
    assert lince.load(model).with_iou(0.9).card.detection_filter.iou_threshold == 0.9
    assert main(["predict", str(model), str(photo), "--iou", "2"]) == 2
    with pytest.raises(UsageError, match="IoU"):
        lince.predict(model, photo, iou=2)
    with pytest.raises(UsageError, match="no score threshold"):
        lince.predict(tiny_classifier.model_folder(awkward / "colours"), photo, conf=0.5)


def test_sides_have_the_name_of_the_field(tmp_path: Path) -> None:
    assert lince.augment("lince:digits", out=tmp_path / "a.png", imgsz=20, count=1, copies=1).is_file()
    with pytest.raises(UsageError, match="size and imgsz"):
        lince.augment("lince:digits", out=tmp_path / "b.png", imgsz=20, size=20)


def test_train_says_all_it_takes() -> None:
    signature, text = inspect.signature(lince.train), inspect.getdoc(lince.train) or ""
    assert not [item for item in signature.parameters.values() if item.kind in (item.VAR_KEYWORD, item.VAR_POSITIONAL)]
    documented = dict(re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", text, re.MULTILINE))
    assert set(documented) >= set(signature.parameters)
    names = {item.name for item in fields(config.TrainConfig)}
    assert names | {alias for _name, alias in TRAIN_ALIASES} <= set(signature.parameters)
    for name in names:
        assert "default" in documented[name], name
    for name, (low, high) in config._RANGES.items():
        assert f"{low:g} to {high:,.0f}" in documented[name] or f"{low:g} to {high:g}" in documented[name], name
    for name, allowed in config.ALLOWED_VALUES.items():
        assert all(f"``{value}``" in documented[name] for value in allowed), name


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Use early stopping: --patience 5. The best", "Use early stopping: patience=5. The best"),
        ("such as --lr 1e-05.", "such as lr=1e-05."),
        ("Choose one: --task classify or --task detect", 'Choose one: task="classify" or task="detect"'),
        ("--recipe finetune --augment medium.", 'recipe="finetune", augment="medium".'),
        ("--merge can combine classes", "merge can combine classes"),
        ("one: --merge 'a=a,b'.", 'one: merge={"a": ["a", "b"]}.'),
        ("all the same: --include-seen", "all the same: include_seen=True"),
        ("Give photos: --data FOLDER", "Give photos: data=FOLDER"),
        ("lince train --resume 'runs/a b'", 'lince.resume("runs/a b")'),
        ("lince split DATA --ignore-existing-split, then", "lince split DATA --ignore-existing-split, then"),
        ("pip install --no-deps openvino", "pip install --no-deps openvino"),
        ("a well-known word -- and a dash", "a well-known word -- and a dash"),
    ],
)
def test_python_names_the_keyword(written: str, shown: str) -> None:
    assert reword_for_python(written) == shown
    assert str(UsageError(written)) == shown
    assert UsageError(written).problem == written


def test_an_error_names_the_keyword_in_python_and_the_option_on_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"^device cannot be 'gpu'"):
        lince.train("lince:digits", device="gpu", out=tmp_path / "run")
    assert main(["train", "lince:digits", "--device", "gpu"]) == 2
    assert "--device cannot be 'gpu'" in capsys.readouterr().err


def test_pages_get_plain_words_and_commands_as_they_are() -> None:
    assert reword_for_page("Use --every 2, or --allow-unusable.") == "Use every 2, or allow unusable."
    command = "Unpack them first: lince convert DATA OUT --to coco"
    assert reword_for_page(command) == command
