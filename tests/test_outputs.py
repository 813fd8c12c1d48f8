"""No output of any command replaces what lince did not write as that output, and none is refused after the work."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.support import tiny_classifier

import lince
from lince import images, outputs
from lince.cli.main import main
from lince.errors import UsageError

COLOURS = {"blue": (20, 30, 220), "green": (20, 200, 30), "red": (230, 20, 20)}


def write_photo(path: Path, colour: tuple[int, int, int], seed: int) -> Path:
    noise = np.random.default_rng(seed).integers(0, 25, (16, 16, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode_png((np.array(colour) + noise).clip(0, 255).astype(np.uint8)))
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with a run, labelled photos, loose photos, and files of other programs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "cache"))
    run = tiny_classifier.run_folder(tmp_path / "run")
    (run / "config.toml").write_text('recipe = "transfer"\n')
    (run / "data.json").write_text("{}\n")
    for name, colour in COLOURS.items():
        for number in range(4):
            write_photo(tmp_path / "data" / name / f"{number}.png", colour, number)
            write_photo(tmp_path / "photos" / f"{name}{number}.png", colour, number)
    # What a run keeps, made by the command itself.
    assert main(["evaluate", "run", "data", "--out", "made"]) == 0
    shutil.copy(tmp_path / "made" / "predictions.csv", run / "predictions.csv")
    shutil.copytree(run, tmp_path / "second")
    for suffix in ("csv", "html", "json", "onnx", "txt"):
        (tmp_path / f"other.{suffix}").write_text("file,class\nmine.png,precious\n")
    (tmp_path / "link.png").symlink_to(tmp_path / "photos" / "red0.png")
    (tmp_path / "photos" / "labels.csv").write_text("file,class\nred0.png,red\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("dear diary")
    return tmp_path


def read_all(folder: Path) -> dict[str, str]:
    """Return the digest of every file below ``folder`` but the cache's, by its path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and "cache" not in path.relative_to(folder).parts and ".lince" not in path.parts
    }


# Every output option of every command: the words before its value, and the ending of its file; "" for a folder.
COMMANDS = {
    "predict --csv": (["predict", "run", "photos", "--csv"], "csv"),
    "predict --save": (["predict", "run", "photos", "--save"], ""),
    "evaluate --out": (["evaluate", "run", "data", "--out"], ""),
    "similar --save": (["similar", "run", "photos/red0.png", "photos", "--save"], "png"),
    "show --out": (["show", "data", "--out"], "png"),
    "augment --out": (["augment", "data", "--out"], "png"),
    "check --out": (["check", "data", "--out"], "html"),
    "compare --out": (["compare", "run", "second", "--out"], "html"),
    "split": (["split", "data"], "csv"),
    "convert": (["convert", "data", "--to", "folders"], ""),
    "export --out": (["export", "run", "--data", "data", "--out"], ""),
    "export --self-contained": (["export", "run", "--self-contained", "--data", "data", "--out"], "onnx"),
    "train --out": (["train", "data", "--out"], ""),
    "demo --out": (["demo", "--out"], ""),
    "serve --corrections": (["serve", "run", "--port", "1", "--corrections"], "collects"),
}
TARGETS = (
    "photos/red0.png", "data/red/0.png", "link.png",
    "photos", "data", "data/red", "run", "run/model", "notes",
    "photos/labels.csv", "run/predictions.csv", "run/model/card.json", "run/model/model.onnx",
    "other.csv", "other.html", "other.json", "other.onnx", "other.txt",
)  # fmt: skip
COLLECTS = {"photos", "data", "data/red", "notes"}  # folders that corrections may be added to


@pytest.mark.parametrize("option", [name for name in COMMANDS if name != "demo --out"])
@pytest.mark.parametrize("words", [[], ["--overwrite"]])
def test_no_output_takes_the_place_of_what_lince_did_not_write(place, option, words, capsys, monkeypatch):
    command, kind = COMMANDS[option]
    has_overwrite = option not in ("convert", "train --out", "serve --corrections")
    if words and not has_overwrite:
        pytest.skip("this command has no --overwrite")
    monkeypatch.setattr(
        "lince.inference.predictor.Predictor.predict_many", lambda *_a, **_k: pytest.fail("worked before it refused")
    )
    before = read_all(place)
    for target in TARGETS:
        if words and target in (f"other.{kind}", "other.json" if option == "similar --save" else ""):
            continue
        if kind == "collects" and target in COLLECTS:
            continue
        given = [*command[:1], *words, *command[1:], target]
        if (option, target) == ("split", "data"):  # where the table belongs
            continue
        if option == "convert":
            given = ["convert", "data", target, "--to", "folders"]
        assert main(given) not in (0, 130), given
        assert read_all(place) == before, given
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("option", [name for name, (_words, kind) in COMMANDS.items() if kind in ("csv", "html")])
def test_overwrite_replaces_a_file_of_the_same_ending(place, option):
    command, kind = COMMANDS[option]
    target = place / f"other.{kind}"
    assert main([*command, target.name]) == 2
    assert main([*command[:1], "--overwrite", *command[1:], target.name]) == 0
    assert "precious" not in target.read_text("utf-8")


@pytest.mark.parametrize(
    "option", [name for name, (_words, kind) in COMMANDS.items() if kind in ("csv", "html", "png", "onnx")]
)
def test_an_output_is_made_again_but_not_one_that_was_changed(place, option):
    command, kind = COMMANDS[option]
    target = place / "out" / f"mine.{kind}"
    assert main([*command, str(target)]) == 0
    first = target.read_bytes()
    assert main([*command, str(target)]) == 0
    assert target.read_bytes() == first or kind in ("html", "onnx")
    target.write_bytes(target.read_bytes() + b"\n# corrected by hand")
    edited = target.read_bytes()
    assert main([*command, str(target)]) == 2
    assert target.read_bytes() == edited


def test_answers_and_evaluations_are_made_again_but_not_changed_ones(place, capsys):
    for command, name in ((["predict", "run", "photos", "--save"], "a"), (["evaluate", "run", "data", "--out"], "e")):
        assert main([*command, name]) == 0
        assert main([*command, name]) == 0
        table = place / name / "predictions.csv"
        table.write_text(table.read_text("utf-8") + "mine\n")
        assert main([*command, name]) == 2
        assert "--overwrite" in capsys.readouterr().err
        assert "mine" in table.read_text("utf-8")
        assert main([*command[:1], "--overwrite", *command[1:], name]) == 0
        assert "mine" not in table.read_text("utf-8")


def test_a_pattern_that_the_shell_expanded_is_refused_and_explained(place, capsys):
    photos = sorted(str(path) for path in Path("photos").glob("*.png"))
    before = read_all(place)
    assert main(["predict", "run", "--csv", *photos]) == 2
    told = capsys.readouterr().err
    assert "blue0.png" in told
    assert ".csv" in told
    assert "pattern" in told
    assert main(["predict", "run", "--save", *photos]) == 2
    assert read_all(place) == before


def test_an_output_does_not_land_among_the_photos_that_are_read(place, capsys):
    before = read_all(place)
    for words in (
        ["predict", "run", "photos", "--csv", "photos/new.csv"],
        ["predict", "run", "photos", "--save", "photos/new"],
        ["evaluate", "run", "data", "--out", "data/new"],
        ["similar", "run", "photos/red0.png", "photos", "--save", "photos/new.png"],
        ["show", "data", "--out", "data/new.png"],
        ["augment", "data", "--out", "data/red/new.png"],
        ["split", "data", "data/new.csv"],
    ):
        assert main(words) == 2, words
        assert "data that is read" in capsys.readouterr().err
    assert read_all(place) == before
    assert main(["check", "data", "--out", "data/check.html"]) == 0
    assert main(["split", "data"]) == 0


def test_a_split_that_somebody_made_is_kept(place, capsys):
    table = place / "data" / "splits.csv"
    rows = [f"{name}/{number}.png,{'test' if number == 3 else 'train'}" for name in COLOURS for number in range(4)]
    table.write_text("\n".join(["file,split", *rows]) + "\n")
    made = table.read_bytes()
    assert main(["split", "data", "--anew"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert table.read_bytes() == made
    assert main(["split", "data", "--anew", "--overwrite"]) == 0
    assert main(["split", "data", "--anew", "--seed", "1"]) == 0


def test_python_refuses_alike(place):
    answers = list(lince.load("run").predict_many("photos"))
    before = read_all(place)
    result = lince.evaluate("run", "data")
    for write in (
        lambda: answers[0].save("photos/red0.png"),
        lambda: answers[0].save("photos/red0.png", overwrite=True),
        lambda: answers[0].save("other.json"),
        lambda: lince.similar("run", "photos/red0.png", "photos").save("photos/red1.png", overwrite=True),
        lambda: lince.save_answers(answers, "run"),
        lambda: lince.save_answers(answers, "photos", overwrite=True),
        lambda: lince.show("data", out="photos/red0.png", overwrite=True),
        lambda: lince.show("data", out="data/sheet.png"),
        lambda: lince.augment("data", out="photos/red0.png", overwrite=True),
        lambda: lince.check("data", out="other.html"),
        lambda: lince.split("data", "other.csv"),
        lambda: lince.contain("run", "run/model/model.onnx", data="data", overwrite=True),
        lambda: result.predictions.save(Path("photos/red0.png")),
        lambda: lince.TrainConfig().save(Path("photos/red0.png")),
        lambda: lince.TrainConfig().save(Path("other.csv")),
    ):
        with pytest.raises(UsageError):
            write()
    assert read_all(place) == before
    answers[0].save("other.json", overwrite=True)
    assert json.loads((place / "other.json").read_text("utf-8")) == answers[0].to_dict()
    for _ in range(2):
        answers[0].save("drawn.png")
        lince.save_answers(answers, "answers")


def test_an_output_counts_as_foreign_where_the_cache_cannot_be_written(place, monkeypatch):
    (place / "file").write_text("")
    monkeypatch.setenv("LINCE_CACHE", str(place / "file" / "cache"))
    assert main(["show", "data", "--out", "drawn.png"]) == 0
    assert main(["show", "data", "--out", "drawn.png"]) == 2


def test_records_of_many_outputs_are_told_apart(place):
    for number in range(50):
        path = place / f"{number}.json"
        path.write_text(str(number))
        outputs.record_output(path, outputs.RESULT)
    outputs.require_output_file(place / "31.json", outputs.RESULT)
    with pytest.raises(UsageError, match="exists already"):
        outputs.require_output_file(place / "other.json", outputs.RESULT)
    (place / "31.html").write_text("31")  # the same content as another kind of output
    with pytest.raises(UsageError, match="exists already"):
        outputs.require_output_file(place / "31.html", outputs.CHECK_PAGE)


def test_every_option_that_names_an_output_is_in_the_contract():
    """A new command or option that writes has to be added above."""
    import argparse

    from lince.cli.main import build_parser, list_commands

    named = set()
    for verb in list_commands():
        parser = build_parser([verb])
        branch = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction)).choices[verb]
        for action in branch._actions:
            words = {"--out", "--save", "--csv", "--corrections"} & set(action.option_strings)
            named |= {f"{verb} {word}" for word in words}
            writes = any(word in (action.help or "") for word in ("write", "output", "save"))
            known = words or {"--overwrite", "--to", "--self-contained"} & set(action.option_strings)
            assert not writes or known or (verb, action.dest) in {("split", "out"), ("convert", "paths")}, action
    assert named <= set(COMMANDS)
