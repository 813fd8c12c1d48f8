"""No message names a command, an option or a value that does not exist, in any language."""

from __future__ import annotations

import argparse
import contextlib
import io
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import lince
from lince.cli.main import build_parser, list_commands
from lince.errors import LinceError
from lince.formats import FORMATS
from lince.formats.table import FIXES

LANGUAGES = ("es", "pt")
CATALOGUES = Path(lince.__file__).parent / "locale"
VALUE = re.compile(r"--(format|fix) ([\w{}-]+)")
VERB = re.compile(r"\blince ([a-z]+)\b")
OPTION = re.compile(r"(?<![\w/-])--([A-Za-z][\w-]*)")
WORD = r"(?:\{[^}]*\}|[^\s,;:()“”\"'])+"
ARGUMENT = (
    r"--[A-Za-z][\w-]*(?: (?:\{[^}]*\}|[A-Z]+\b|[\d.]+(?![.\w])))?"
    r"|\{[^}]*\}|[A-Z]+\b|[\w./]+\.(?:csv|jpg|onnx)\b"
)
COMMAND = re.compile(rf"\blince ([a-z]+)((?: +(?:{ARGUMENT}))*)")
OTHER_PROGRAMS = (
    "trtexec",
    "bdd100k",
    "pip install",
    "docker",
    "uvicorn",
    "--maxShapes",
)  # whose options are their own
OWN_OPTIONS = {"help", "version", "json"}
SAMPLES = {  # of what stands in braces in a message
    "folder": "runs/train", "run": "runs/train", "path": "runs/train", "name": "coco", "example": "{class}_{n}",
    "rate": "0.001", "more": "30", "photos": "fotos", "names": "a", "class": "gato",
}  # fmt: skip


def read_catalogue(code: str) -> list[tuple[str, str]]:
    """Return the messages of a catalogue: the English text and its translation."""
    text = (CATALOGUES / code / "LC_MESSAGES" / "lince.po").read_text("utf-8")
    literal = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
    pairs = re.findall(rf"^msgid {literal}msgstr {literal}", text, re.M)
    return [(_join(one), _join(other)) for one, other in pairs if _join(one)]


def _join(literals: str) -> str:
    parts = re.findall(r'"((?:[^"\\]|\\.)*)"', literals)
    return "".join(parts).replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")


MESSAGES = [english for english, _translated in read_catalogue("es")]
WITH_COMMANDS = [text for text in MESSAGES if VERB.search(text) or OPTION.search(text)]


@cache
def get_parser(verb: str) -> argparse.ArgumentParser:
    parser = build_parser([verb])
    [branches] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    branch = branches.choices[verb]
    assert isinstance(branch, argparse.ArgumentParser)
    return branch


@cache
def find_option(verb: str, name: str) -> argparse.Action | None:
    return get_parser(verb)._option_string_actions.get(f"--{name}")


def is_foreign(text: str) -> bool:
    return any(name in text for name in OTHER_PROGRAMS)


def iterate_commands(text: str) -> Iterator[list[str]]:
    """Yield the commands and options that a message spells out, as words to type, with samples for what is open.

    A command is ``lince VERB`` with what directly follows of paths, names in capitals or braces, and options with their
    values; every other option is one by itself, of a command that has it.
    """
    for verb, arguments in COMMAND.findall(text):
        if verb in list_commands() or re.search(r"--|\b[A-Z]{2}", arguments):
            yield [verb, *(word for pair in list_pairs(verb, arguments) for word in pair)]
    for name, value in re.findall(rf"--([A-Za-z][\w-]*)(?: ({WORD}))?", COMMAND.sub("", text)):
        if name not in OWN_OPTIONS:
            verb = find_verb(name)
            yield [verb, *complete(verb, name, value.rstrip("."))]


def list_pairs(verb: str, arguments: str) -> Iterator[list[str]]:
    for name, value in re.findall(rf"--([A-Za-z][\w-]*)(?: ({WORD}))?", arguments):
        if name not in OWN_OPTIONS:
            yield complete(verb, name, value.rstrip("."))


def find_verb(option: str) -> str:
    """Return the first command that has ``--option``, '' for none; training first, which most messages are about."""
    return next((verb for verb in ("train", *list_commands()) if find_option(verb, option)), "")


def complete(verb: str, option: str, value: str) -> list[str]:
    """Return an option with the value that stands after it, or a sample where a prose word does."""
    action = find_option(verb, option) if verb else None
    if action is None:
        return [f"--{option}"]
    if action.nargs == 0:
        return [f"--{option}"]
    given = re.sub(r"\{(\w+)[^}]*\}", lambda found: SAMPLES.get(found[1], "1"), value)
    is_value = bool(re.fullmatch(r"[\w%.,=/@{}-]+", given)) and (
        given in (action.choices or ()) or is_accepted(action, given)
    )
    return [f"--{option}", given if is_value else sample(action)]


def is_accepted(action: argparse.Action, value: str) -> bool:
    if action.choices is not None:
        return value in action.choices
    try:
        action.type(value) if callable(action.type) else value
    except (ValueError, LinceError, argparse.ArgumentTypeError):
        return False
    return True


def sample(action: argparse.Action) -> str:
    if action.choices:
        return str(next(iter(action.choices)))
    return next(value for value in ("1", "0.1", "0.1,0.2", "a") if is_accepted(action, value))


def type_command(words: list[str]) -> str:
    """Return what is wrong with a command, '' for nothing; paths and options that it needs are added."""
    told = io.StringIO()
    if words[0] not in list_commands():
        return f"no command {words[0]}"
    for action in get_parser(words[0])._actions:
        if action.required and action.option_strings and action.option_strings[-1] not in words:
            words = [*words, action.option_strings[-1], sample(action)]
    for count in range(4):
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
            parsed, left = build_parser(words[:1]).parse_known_args([words[0], *["DATA"] * count, *words[1:]])
            if parsed and not [word for word in left if word.startswith("-")]:
                return ""
    return told.getvalue() or "options that are left"


def test_the_messages_were_found() -> None:
    assert len(MESSAGES) > 2000
    assert len(WITH_COMMANDS) > 100
    assert list(iterate_commands("Split with lince split DATA --seed 3, or lince train {folder} --lr {rate:.2g}.")) == [
        ["split", "--seed", "3"], ["train", "--lr", "0.001"],
    ]  # fmt: skip
    for faulty in ("lince splits DATA", "lince split --seeds 3", "more --epoch 3", "lince train --group {group}"):
        assert any(map(type_command, iterate_commands(faulty))), faulty
    assert type_command(["train", "--recipe", "transfer"]) == ""


@pytest.mark.parametrize("text", WITH_COMMANDS)
def test_every_command_and_option_of_a_message_exists(text: str) -> None:
    for words in () if is_foreign(text) else iterate_commands(text):
        assert type_command(words) == "", (words, text)


def test_formats_and_repairs_that_a_message_names_exist() -> None:
    named = {(option, value.rstrip(".")) for text in MESSAGES for option, value in VALUE.findall(text)}
    assert {
        ("format", "folders"),
        ("format", "names"),
        ("fix", "clip"),
        ("fix", "order"),
        ("fix", "duplicates"),
    } <= named
    for option, value in named:
        known = FORMATS if option == "format" else FIXES
        assert value in known or value.startswith("{"), (option, value)


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_translation_names_the_same_commands_and_options(code: str) -> None:
    for english, translated in read_catalogue(code):
        known = [verb for verb in VERB.findall(english) if verb in list_commands()]
        assert sorted(known) == sorted(verb for verb in VERB.findall(translated) if verb in list_commands()), translated
        assert sorted(set(OPTION.findall(english))) == sorted(set(OPTION.findall(translated))), translated
