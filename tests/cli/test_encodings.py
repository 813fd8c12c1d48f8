"""Pipes that cannot hold every character: those of Windows (cp1252, and cp850 in its old windows), and ASCII."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import tiny_classifier

from lince import images
from lince.cli import main
from lince.i18n import LANGUAGES

VERBS = tuple(main.list_commands())
PAGES = ("cp1252", "cp850")
COMMANDS = (
    ("check", "fotos"),
    ("convert", "fotos", "{new}/tabla", "--to", "csv"),
    ("split", "fotos", "{new}/partes.csv"),
    ("show", "fotos", "--out", "{new}/mostrar.jpg"),
    ("augment", "fotos", "--out", "{new}/copias.png"),
    ("evaluate", "corazón", "fotos"),
    ("predict", "corazón", "fotos", "--save", "{new}/respuestas"),
    ("predict", "corazón", "nada"),
    ("similar", "corazón", "fotos/rojo/ñandú 1.png", "fotos"),
    ("models",),
    ("models", "no-such-network"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a finished model and class folders of photos whose names have accents."""
    folder = tmp_path_factory.mktemp("encodings") / "Área de Trabalho"
    tiny_classifier.run_folder(folder / "corazón")
    for name, shown in (("rojo", "red"), ("añil", "blue")):
        (folder / "fotos" / name).mkdir(parents=True)
        for number in range(6):
            picture = images.encode_png(tiny_classifier.photo(shown, 30, 40, number))
            (folder / "fotos" / name / f"ñandú {number}.png").write_bytes(picture)
    return folder


def write(words: tuple[str, ...], encoding: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Return the exit code, and what ``lince`` writes to pipes of ``encoding``, decoded strictly."""
    pipes = [io.BytesIO(), io.BytesIO()]
    streams = [io.TextIOWrapper(pipe, encoding=encoding, write_through=True) for pipe in pipes]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        code = main.main(list(words))
        for stream in streams:
            stream.flush()
    return code, "".join(pipe.getvalue().decode(encoding) for pipe in pipes)


def read_words(text: str) -> list[str]:
    """Return the words of letters alone, since figures of time differ from run to run."""
    return re.findall(r"[^\W\d_]+", text)


def compare(words: tuple[str, ...], page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Compare what is written in UTF-8 with what is written in ``page``: the same words, and no escape."""
    texts = []
    for encoding in ("utf-8", page):
        new = tmp_path / encoding
        new.mkdir(parents=True, exist_ok=True)
        texts.append(write(tuple(word.format(new=new) for word in words), encoding, monkeypatch))
    (code, whole), (other_code, written) = texts
    assert code == other_code
    assert read_words(written.replace(page, "utf-8")) == read_words(whole)
    assert "\\x" not in written
    assert "\\u" not in written


@pytest.mark.parametrize("language", ["es", "pt"])
@pytest.mark.parametrize("page", PAGES)
def test_help_of_all_commands_is_whole(monkeypatch, tmp_path: Path, page: str, language: str) -> None:
    assert language in LANGUAGES
    monkeypatch.setenv("LINCE_LANG", language)
    monkeypatch.setenv("LANGUAGE", "")
    for verb in VERBS:
        compare((verb, "--help"), page, monkeypatch, tmp_path)
    compare((), page, monkeypatch, tmp_path)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("page", PAGES)
def test_usual_output_is_whole(monkeypatch, place: Path, tmp_path: Path, page: str, command: tuple[str, ...]) -> None:
    if command[0] == "models":
        pytest.importorskip("timm")
    monkeypatch.setenv("LINCE_LANG", "es")
    monkeypatch.setenv("LANGUAGE", "")
    monkeypatch.chdir(place)
    compare(command, page, monkeypatch, tmp_path)


@pytest.mark.parametrize("page", [*PAGES, "ascii"])
def test_json_is_json_in_every_encoding(monkeypatch, place: Path, page: str) -> None:
    monkeypatch.chdir(place)
    photo = "fotos/rojo/ñandú 1.png"
    code, written = write(("predict", "corazón", photo, "--json"), page, monkeypatch)
    assert code == 0
    document = json.loads(written)
    assert photo in json.dumps(document, ensure_ascii=False)


@pytest.mark.parametrize("page", [*PAGES, "ascii"])
def test_a_name_that_the_pipe_cannot_hold_is_escaped(place: Path, tmp_path: Path, page: str) -> None:
    (tmp_path / "目.png").write_bytes(images.encode_png(tiny_classifier.photo("red")))
    command = [sys.executable, "-m", "lince", "predict", place / "corazón", tmp_path / "目.png"]
    told = {**os.environ, "PYTHONIOENCODING": page, "LINCE_LANG": "es"}
    done = subprocess.run(command, env=told, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "\\u76ee.png" in done.stdout.decode(page)


def test_signs_have_substitutes_of_ascii() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    before = sys.stdout
    try:
        sys.stdout = stream
        main.make_streams_printable()
        stream.write("1\u202f234 × 2 – “quoted” … 3 ≥ 2 → ñ")
        stream.flush()
    finally:
        sys.stdout = before
    assert stream.buffer.getvalue() == b'1 234 x 2 - "quoted" ... 3 >= 2 -> \\xf1'
