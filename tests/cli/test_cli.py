"""Command line: results, exit codes, JSON, languages and errors, in a folder with spaces and accents."""

from __future__ import annotations

import argparse
import csv
import json
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support import tiny_classifier

import lince
from lince import images
from lince.cli import main, studio
from lince.cli import options as cli_options
from lince.cli.examples import EXAMPLES
from lince.cli.task_commands import list_given_options
from lince.config import TrainConfig
from lince.errors import UsageError
from lince.i18n import LANGUAGES

VERBS = tuple(main.list_commands())


class CommandResult(NamedTuple):
    """Exit code and output of a command."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., CommandResult]:
    """Return a function that runs the command line in this process, which saves the start-up time."""
    monkeypatch.setenv("LANGUAGE", "")

    def lince(*words: str | Path, cwd: Path) -> CommandResult:
        monkeypatch.chdir(cwd)
        capsys.readouterr()
        return CommandResult(main.main([str(word) for word in words]), *capsys.readouterr())

    return lince


def start(*words: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lince", *map(str, words)]
    settings = {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, env=settings, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a finished model and class folders of photos, one broken and one mislabelled."""
    folder = tmp_path_factory.mktemp("cli") / "Área de Trabalho" / "niño ç"
    tiny_classifier.run_folder(folder / "runs" / "train")
    for name in ("red", "blue"):
        (folder / "fotos" / name).mkdir(parents=True)
        for number in range(6):
            shown = "green" if (name, number) == ("red", 2) else name
            picture = images.encode_png(tiny_classifier.photo(shown, 30, 40, number))
            (folder / "fotos" / name / f"{name} {number}.png").write_bytes(picture)
    (folder / "broken").mkdir()
    (folder / "broken" / "half.png").write_bytes((folder / "fotos" / "red" / "red 1.png").read_bytes()[:200])
    return folder


def test_predict_prints_a_line_for_each_photo(place: Path) -> None:
    done = start("predict", "runs/train", "fotos", "--top", "2", cwd=place)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("blue/blue 0.png  blue 9")
    assert "red/red 2.png  green" in lines[8]
    assert "(wrong, actual: red)" in lines[8]
    assert lines[12] == "12 of 12 photos classified; 11 of 12 correct (91.7%)"


def test_predict_counts_no_licence_as_a_photo_and_still_knows_the_classes(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "fotos", tmp_path / "fotos")
    for name in ("LICENSE", "labels.csv", "red/README.md", "red/tool.py"):
        (tmp_path / "fotos" / name).write_text("words")
    shutil.copy(place / "broken" / "half.png", tmp_path / "fotos" / "blue")
    done = start("predict", place / "runs" / "train", "fotos", "--csv", "x.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = "12 of 13 photos classified (files that are no photos: 4); 11 of 12 correct (91.7%)"
    assert summary in done.stdout.splitlines()
    assert "LICENSE: This is not an image" in done.stderr
    rows = csv.DictReader((tmp_path / "x.csv").read_text("utf-8").splitlines())
    assert {row["truth"] for row in rows} == {"blue", "red"}


def test_predict_writes_what_it_says(ask: Callable[..., CommandResult], place: Path, tmp_path: Path) -> None:
    saved, table = tmp_path / "respuestas", tmp_path / "x.csv"
    words = (
        "predict",
        "runs/train",
        "fotos",
        "broken",
        "--save",
        saved,
        "--csv",
        table,
        "--truth",
        "folders",
        "--json",
    )
    done = ask(*words, cwd=place)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert len(document["predictions"]) == 12
    assert [item["file"] for item in document["rejected"]] == ["broken/half.png"]
    assert (document["right"], document["known"]) == (11, 12)
    assert all(Path(path).is_file() for path in document["written"])
    assert len(document["written"]) == 4
    rows = list(csv.DictReader((saved / "predictions.csv").read_text("utf-8").splitlines()))
    assert {row["class"] for row in rows} == {"red", "blue", "green"}
    assert table.read_bytes() == (saved / "predictions.csv").read_bytes()
    height, width = images.read_image(saved / "sheet.jpg").shape[:2]
    assert height > 400
    assert width > 1000
    assert "half.png" in done.stderr


def test_predict_with_nothing_readable_fails(ask: Callable[..., CommandResult], place: Path) -> None:
    done = ask("predict", "runs/train", "broken", cwd=place)
    assert done.returncode == 1
    assert "No readable image among the files given (1)" in done.stderr
    assert done.stdout == ""


def test_evaluate_then_compare(ask: Callable[..., CommandResult], place: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        done = ask("evaluate", "runs/train", "fotos", "--out", tmp_path / name, "--json", cwd=place)
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert document["accuracy"]["value"] == pytest.approx(11 / 12)
        assert [item["name"] for item in document["classes"]] == ["blue", "green", "red"]
        page = Path(document["report"]).read_text("utf-8")
        assert "Correct on 11 of 12 test images" in page
        assert "91.7%" in page
        assert page.count('class="cell"') == 3  # two classes with photos, and the one error
        assert not any(part in page for part in ("Training details", "Diagnosis", "Training data"))
    done = ask("compare", "one", "two", "--out", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "On the same 12 test images" in done.stdout
    assert "<html" in (tmp_path / "page.html").read_text("utf-8")
    document = json.loads(ask("compare", "one", "two", "--json", cwd=tmp_path).stdout)
    assert [run["name"] for run in document["runs"]] == ["one", "two"]
    assert document["runs"][1]["difference"]["p_value"] == 1


def test_evaluate_merges_classes_and_refuses_unknown_ones(ask: Callable[..., CommandResult], place: Path) -> None:
    merged = ask("evaluate", "runs/train", "fotos", "--merge", "green=red", "--json", cwd=place)
    assert json.loads(merged.stdout)["accuracy"]["value"] == pytest.approx(7 / 12)
    strange = ask("evaluate", "runs/train", "fotos", "--merge", "rosa=red,blue", cwd=place)
    assert strange.returncode == 1
    assert "rosa" in strange.stderr


def test_augment_draws(ask: Callable[..., CommandResult], place: Path) -> None:
    done = ask("augment", "fotos", "--augment", "rotation 20, flip_x", "--count", "2", "--copies", "3", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "sheet.png" in done.stdout
    assert images.read_image(place / "sheet.png").std() > 10


def test_models_are_listed_with_their_cost_and_licence(ask: Callable[..., CommandResult], place: Path) -> None:
    done = ask("models", cwd=place)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[2 : 2 + len(lince.models())]] == list(lince.models())
    record = json.loads(ask("models", "--json", cwd=place).stdout)
    assert all(item["licence"] and item["macs"] for item in record["models"])


def test_one_network_layer_by_layer(ask: Callable[..., CommandResult], place: Path) -> None:
    pytest.importorskip("torch")
    words = ("models", "cnn: conv 16 3, pool, flatten", "--size", "8", "--classes", "3", "--grey", "--measure")
    done = ask(*words, cwd=place)
    assert done.returncode == 0, done.stderr
    head = 16 * 4 * 4 * 3 + 3
    assert f"{16 * 9 + 16 + head:,}" in done.stdout
    assert json.loads(ask(*words, "--json", cwd=place).stdout)["ms"] > 0


def test_a_network_needs_the_training_part(place: Path) -> None:
    code = (
        "import sys\nfor name in ('torch', 'timm', 'lightning_fabric', 'onnx', 'safetensors', 'scipy'):\n"
        "    sys.modules[name] = None\nfrom lince.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    )
    for words in (["models", "cnn"], ["train", "fotos", "--recipe", "scratch", "--model", "cnn", "--out", "none"]):
        command = [sys.executable, "-c", code, *words]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stderr
        assert '-m pip install -c constraints.txt -e ".[train]"' in done.stderr
        assert "Traceback" not in done.stderr


def test_doctor(ask: Callable[..., CommandResult], place: Path) -> None:
    done = ask("doctor", "--json", cwd=place)
    found = json.loads(done.stdout)
    assert found["cores"] >= 1
    assert found["free_disk_bytes"] > 0
    assert found["memory_bytes"] is None or found["memory_bytes"] > 2**28
    assert found["python"] in ask("doctor", cwd=place).stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(ask: Callable[..., CommandResult], verb: str, place: Path) -> None:
    done = ask(verb, "--help", cwd=place)
    assert done.returncode == 0, done.stderr
    assert f"usage: lince {verb}" in done.stdout
    assert "--json" in done.stdout


def test_lince_alone_shows_its_commands(ask: Callable[..., CommandResult], place: Path) -> None:
    done = ask(cwd=place)
    assert done.returncode == 2
    for verb, line in main.list_commands().items():
        assert re.search(rf"^ +{verb}\s+{line.split(',')[0][:30]}", done.stderr, re.MULTILINE), verb
    assert "error" not in done.stderr.lower()


@pytest.mark.parametrize("verb", VERBS)
def test_help_ends_with_examples_that_can_be_typed(ask: Callable[..., CommandResult], verb: str, place: Path) -> None:
    shown = ask(verb, "--help", cwd=place).stdout.rstrip().splitlines()
    examples = EXAMPLES[verb]
    assert len(examples) >= 2
    assert shown[-len(examples) - 1 :] == ["examples:", *(f"  {line}" for line in examples)]
    for line in examples:
        program, *words = shlex.split(line.partition(" >")[0])
        assert program == "lince"
        assert main._parse_words(words).verb == verb


@pytest.mark.parametrize("code", LANGUAGES)
def test_help_tells_every_default(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINCE_LANG", code)
    of_training = {field.name: field.default for field in fields(TrainConfig)}
    for verb in VERBS:
        parser = main.build_parser([verb])._subparsers._group_actions[0].choices[verb]
        for action in parser._actions:
            default = of_training.get(action.dest) if verb == "train" else action.default
            if action.option_strings and action.nargs != 0 and isinstance(default, (str, int, float)) and default != "":
                value = f"{default:g}" if isinstance(default, float) else str(default)
                told = action.help.replace("0,", "0.")
                assert re.search(r"default|por defecto|predeterminad|padrão", told), (verb, action.dest, told)
                assert re.search(rf"(?<![\w.]){re.escape(value)}(?![\d.])", told), (verb, action.dest, told)


@pytest.mark.parametrize(("code", "word"), [("en", "usage"), ("es", "uso"), ("pt", "uso")])
def test_help_speaks_three_languages(
    ask: Callable[..., CommandResult], code: str, word: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINCE_LANG", code)
    for words in ((), ("train",)):
        done = ask(*words, "--help", cwd=place)
        assert done.returncode == 0, done.stderr
        assert done.stdout.lower().startswith(word)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("fly",),
        ("train",),
        ("train", "fotos", "--recipe", "magic"),
        ("train", "fotos", "--epochs", "many"),
        ("train", "fotos", "--size", "1"),
        ("train", "fotos", "--budget", "soon"),
        ("train", "fotos", "--split", "0.1"),
        ("train", "fotos", "--split", "0.1,0.2", "--val", "0.1"),
        ("train", "fotos", "--merge", "cat"),
        ("train", "fotos", "--unknown"),
        ("train", "fotos", "--resume", "runs/train"),
        ("train", "--resume", "nowhere"),
        ("train", "fotos", "--config", "none.toml"),
        ("predict", "runs/train"),
        ("predict", "runs/train", "fotos", "--truth", "guess"),
        ("predict", "runs/train", "fotos", "--top", "0"),
        ("compare", "runs/train"),
        ("augment", "fotos", "--augment", "rotation 999"),
        ("augment", "fotos", "--augment", "fly 3"),
        ("models", "resnet_that_is_not"),
        ("models", "cnn: conv"),
        ("models", "cnn", "--classes", "0"),
        ("augment", "fotos", "--count", "0"),
    ],
)
def test_usage_errors_have_exit_code_2_and_a_message(
    ask: Callable[..., CommandResult], words: tuple[str, ...], place: Path
) -> None:
    done = ask(*words, cwd=place)
    assert done.returncode == 2, done.stderr
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("predcit", "runs/train", "fotos"), "predict instead of predcit"),
        (("--verson",), "--version instead of --verson"),
        (("train", "fotos", "--epoch=3"), "--epochs instead of --epoch"),
        (("predict", "runs/train", "-overwrite"), "--overwrite instead of -overwrite"),
        (("export", "runs/train", "--to", "onx"), "onnx instead of onx"),
        (("train", "fotos", "--recipe", "Fintune"), "finetune instead of Fintune"),
        (("check", "fotos", "--format", "foldes"), "folders instead of foldes"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_one_that_was_meant(
    ask: Callable[..., CommandResult], words: tuple[str, ...], meant: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, typed = meant.split(" instead of ")
    for code, question in (
        ("en", f"Did you mean {meant}?"),
        ("es", f"¿Quiso decir {found} en lugar de {typed}?"),
        ("pt", f"Você quis dizer {found} em vez de {typed}?"),
    ):
        monkeypatch.setenv("LINCE_LANG", code)
        done = ask(*words, cwd=place)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == question


def test_a_word_that_resembles_none_is_answered_without_a_guess(ask: Callable[..., CommandResult], place: Path) -> None:
    for words in (("xyzzy",), ("train", "fotos", "--xyzzy"), ("train", "fotos", "--recipe", "xyzzy")):
        assert "instead" not in ask(*words, cwd=place).stderr


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "nowhere", "fotos"),
        ("predict", "fotos", "fotos"),
        ("predict", "runs/train", "nowhere.jpg"),
        ("evaluate", "runs/train", "broken"),
    ],
)
def test_failures_are_reported_as_text_and_as_json(
    ask: Callable[..., CommandResult], words: tuple[str, ...], place: Path
) -> None:
    done = ask(*words, "--json", cwd=place)
    assert done.returncode in (1, 2), done.stderr
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["error"]["found"]


def test_an_interruption_says_how_to_resume(
    ask: Callable[..., CommandResult], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lince.training.classification.train.train_classifier", interrupted)
    for name, typed in (("ours", "ours"), ("our run", "'our run'")):
        done = ask("train", "fotos", "--out", name, cwd=place)
        assert done.returncode == 130
        assert done.stderr.splitlines()[-2:] == [f"Continue with: lince train --resume {typed}", "Interrupted."]
    done = ask("predict", "our run", "fotos", cwd=place)
    assert done.stderr.splitlines()[-1].endswith("lince train --resume 'our run'")


def test_an_interruption_is_none_of_the_errors_that_libraries_make_of_it(
    ask: Callable[..., CommandResult], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doctor() -> None:  # as a library in C does that is interrupted while it is loaded
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("initialization failed") from None

    monkeypatch.setattr(lince, "doctor", doctor)
    monkeypatch.setenv("LINCE_LANG", "en")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in the background
    done = ask("doctor", cwd=place)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.setattr(lince, "doctor", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # without Ctrl+C, a fault of the program stays one
        ask("doctor", cwd=place)


def test_serve_opens_the_page_in_the_browser(
    ask: Callable[..., CommandResult], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: queue.Queue[str] = queue.Queue()
    addresses = iter(("http://127.0.0.1:8765/x", "http://[::]:1", "http://127.0.0.1:2"))

    def serve(_models: object, _settings: object, on_started: Callable[[str], None], **_options: object) -> None:
        on_started(next(addresses))

    def visit(page: str) -> bool:
        opened.put(page)
        return False

    monkeypatch.setattr(lince, "serve", serve)
    monkeypatch.setattr("webbrowser.open", visit)
    for page in ("http://127.0.0.1:8765/x", "http://localhost:1"):
        assert ask("serve", "runs/train", "--open", cwd=place).returncode == 0
        assert opened.get(timeout=60) == page
    assert ask("serve", "runs/train", cwd=place).returncode == 0
    assert opened.empty()


def test_the_traceback_is_shown_on_request(place: Path) -> None:
    assert "Traceback" in start("predict", "nowhere", "fotos", cwd=place, LINCE_DEBUG="1").stderr


def test_a_closed_output_pipe_is_no_error(place: Path) -> None:
    command = f'"{sys.executable}" -u -m lince predict runs/train fotos fotos fotos | head -n 1'
    done = subprocess.run(["bash", "-c", command], cwd=place, capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1
    assert "Error" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")
def test_names_that_are_not_text_can_be_printed_and_saved(place: Path, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with open(os.fsencode(tmp_path / "x") + b"/ni\xf1o.png", "wb") as stream:
        stream.write(images.encode_png(tiny_classifier.photo("red")))
    done = start(
        "predict", "runs/train", tmp_path / "x", "--save", tmp_path / "out", cwd=place, PYTHONUTF8="0", LC_ALL="C"
    )
    assert done.returncode == 0, done.stderr
    assert "ni\\xf1o.png  red" in done.stdout
    assert json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8"))["predictions"]


def test_predict_in_full_loads_no_torch(place: Path) -> None:
    code = (
        "import sys\nfrom lince.cli.main import main\nended = main(sys.argv[1:])\n"
        "heavy = {'torch', 'timm', 'lightning_fabric', 'onnx', 'transformers', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else ended)\n"
    )
    command = [sys.executable, "-c", code, "predict", "runs/train", "fotos", "--save", "seen"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_loads_none_of_the_libraries() -> None:
    code = (
        "import sys\nfrom lince.cli.main import main\nended = main(['--help'])\n"
        "heavy = {'numpy', 'cv2', 'onnxruntime', 'PIL', 'rich', 'torch'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else ended)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_training_lists_the_tasks_and_the_presets_and_export_loads_no_library_for_its_help() -> None:
    help_text = " ".join(
        subprocess.run(
            [sys.executable, "-m", "lince", "train", "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "LINCE_LANG": "en"},
        ).stdout.split()
    )
    assert "classify or detect or multilabel or segment" in help_text
    assert "nano, small, lite, medium, large, cnn," in help_text
    code = (
        "import sys\nfrom lince.cli.main import main\nended = main(['export', '--help'])\n"
        "heavy = {'numpy', 'cv2', 'onnxruntime', 'torch', 'onnx'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else ended)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_option_counts_as_given_when_it_differs_from_its_default() -> None:
    def add_options(parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("some")
        group.add_argument("--labels-from", "--truth", dest="truth")
        group.add_argument("--most", type=int)
        group.add_argument("--fast", action="store_true")
        group.add_argument("--line", action="append", default=[])

    parser = argparse.ArgumentParser()
    add_options(parser)
    for words, expected in (
        ([], []),
        (["--most", "0", "--truth", ""], ["--labels-from", "--most"]),
        (["--line", "1", "--fast"], ["--fast", "--line"]),
    ):
        assert list_given_options(add_options, parser.parse_args(words)) == expected


def test_choices_from_words() -> None:
    assert [cli_options.parse_duration(text) for text in ("90s", "15m", "1.5h", "300")] == [90, 900, 5400, 300]
    assert cli_options.parse_split("0.1,0.2") == (0.1, 0.2)
    assert cli_options.parse_merges(["cat=Abyssinian, Bengal", "cat=Siamese"]) == {
        "cat": ["Abyssinian", "Bengal", "Siamese"]
    }
    for text in ("soon", "", "-3s", "5 days"):
        with pytest.raises(UsageError):
            cli_options.parse_duration(text)


def test_every_choice_of_training_is_an_option() -> None:
    listed = main.build_parser(["train"])._subparsers._group_actions[0].choices["train"].format_help()
    options = set(re.findall(r"--([a-z-]+)", listed))
    assert {item.name.replace("_", "-") for item in fields(TrainConfig)} <= options


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.5", 0.5), ("0,5", 0.5), (",5", 0.5), ("-0,25", -0.25), ("1e-3", 1e-3), ("1,5e-3", 1.5e-3), ("0,001", 0.001),
     ("2", 2.0), ("1.000", 1.0), ("12,34", 12.34)],
)  # fmt: skip
def test_numbers_have_a_decimal_point_or_comma(text: str, number: float) -> None:
    assert cli_options.parse_decimal(text) == number


@pytest.mark.parametrize(
    ("text", "word"), [("1,250", "1.250 or 1250"), ("1,234,567", " 1234567."), ("half", "0.5"), ("0,5,5", "0.5")]
)
def test_numbers_that_can_be_read_in_two_ways_are_refused(text: str, word: str) -> None:
    with pytest.raises(UsageError) as refusal:
        cli_options.parse_decimal(text)
    assert word in str(refusal.value)


@pytest.mark.parametrize("text", ["0.1,0.2", "0,1 0,2", "0,1;0,2", "0.1;0.2", "0.1 0.2"])
def test_two_fractions_are_separated_by_what_is_not_in_them(text: str) -> None:
    assert cli_options.parse_split(text) == (0.1, 0.2)


@pytest.mark.parametrize("text", ["0,1,0,2", "0,1", "0.1", "a b"])
def test_fractions_that_can_be_read_in_two_ways_are_refused(place: Path, text: str, ask) -> None:
    done = ask("train", "fotos", "--split", text, cwd=place)
    assert done.returncode == 2, done.stderr


def test_options_take_decimal_commas(place: Path, ask) -> None:
    comma = ask("split", "fotos", "comma.csv", "--test", "0,25", cwd=place)
    point = ask("split", "fotos", "point.csv", "--test", "0.25", cwd=place)
    assert (comma.returncode, point.returncode) == (0, 0), comma.stderr
    assert (place / "comma.csv").read_text("utf-8") == (place / "point.csv").read_text("utf-8")
    assert cli_options.parse_duration("1,5h") == 5400


def test_the_roles_that_the_command_line_offers_are_those_of_the_studio() -> None:
    people = pytest.importorskip("lince.studio.store.people")
    assert studio._ROLES == people.ROLES
