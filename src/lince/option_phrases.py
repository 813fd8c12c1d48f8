"""Rewords the options of the command line as keyword arguments of Python: ``--recipe scratch``, ``recipe="scratch"``.

Messages name options as they are typed on the command line. Where Python shows a message, in a traceback or a notebook,
it names the keyword instead; where a page shows it, plain words. Commands to type, which begin with the name
of a program, stay as they are; only the one that resumes a run has a function of its own.
"""

from __future__ import annotations

import re

# Options that are keywords of another name or value in Python.
_PHRASES = {
    "allow-unusable": "allow_unusable=True",
    "copy": 'images="copy"',
    "fp16": 'precision="fp16"',
    "ignore-existing-split": "anew=True",
    "include-seen": "include_seen=True",
    "int8": 'precision="int8"',
    "labels": "labels=True",
    "labels-from": "truth",
    "link": 'images="link"',
    "lossy": "lossy=True",
    "overwrite": "overwrite=True",
    "shared": "shared_only=True",
    "unchecked": "unchecked=True",
}
_NUMBER = r"\d+(?:[.,]\d+)*(?:e-?\d+)?"
_PLACEHOLDER = r"[A-Z]{3,}\b"
# Words that are the value of an option where they follow it; after any other word the sentence goes on.
_VALUES = {
    "augment": "none|light|medium|strong|digits",
    "fix": "clip|order|duplicates",
    "format": r"[a-z][a-z0-9-]+",
    "head": "linear|mlp",
    "mix": "none|mixup|cutmix",
    "recipe": "transfer|finetune|scratch|all",
    "standardise": "none|samplewise|featurewise",
    "task": r"[a-z]+",
    "weights": "none|auto",
}
_COMMAND = re.compile(r"\b(?:lince [a-z]+|pip install|trtexec) [^\n]*")
_RESUME = re.compile(r"lince train --resume ('[^'\n]*'|\"[^\"\n]*\"|\S+)")
_MERGE = re.compile(r"--merge ('?)([^\s=']+)=([^\s'.;)]+)\1(?=[.;)\s]|$)")
_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9]*(?:-[a-z0-9]+)*)")


def reword_for_python(text: str) -> str:
    """Return ``text`` with its options as keyword arguments of Python, but for those in commands to type."""
    text = _RESUME.sub(lambda match: f"lince.resume({_quote(match[1])})", text)
    parts: list[str] = []
    start = 0
    for command in _COMMAND.finditer(text):
        parts += [_reword_options(text[start : command.start()]), command[0]]
        start = command.end()
    return "".join([*parts, _reword_options(text[start:])])


def reword_for_page(text: str) -> str:
    """Return ``text`` with its options as plain words (``--every 2``: ``every 2``), but for those in commands to type.

    A page has fields, no options and no keywords.
    """
    parts: list[str] = []
    start = 0
    for command in _COMMAND.finditer(text):
        parts += [_OPTION.sub(_spell_option, text[start : command.start()]), command[0]]
        start = command.end()
    return "".join([*parts, _OPTION.sub(_spell_option, text[start:])])


def _spell_option(match: re.Match[str]) -> str:
    """Return the name of a matched option as words."""
    return match[1].replace("-", " ")


def _reword_options(text: str) -> str:
    """Return ``text``, which holds no command, with all options reworded."""
    text = _MERGE.sub(lambda match: f"merge={{{_quote(match[2])}: {match[3].split(',')}}}".replace("'", '"'), text)
    parts: list[str] = []
    start = 0
    for option in _OPTION.finditer(text):
        name, end = option[1], option.end()
        phrase = _PHRASES.get(name) or name.replace("-", "_")
        if name not in _PHRASES:
            values = "|".join(filter(None, (_NUMBER, _PLACEHOLDER, _VALUES.get(name))))
            value = re.compile(rf" ({values})(?![\w-])").match(text, end)
            if value:
                phrase, end = f"{phrase}={_quote(value[1])}", value.end()
        between = text[start : option.start()]
        parts += [", " if between == " " and parts else between, phrase]
        start = end
    return "".join([*parts, text[start:]])


def _quote(value: str) -> str:
    """Return ``value`` as it is written in Python; numbers and placeholders as they are."""
    if re.fullmatch(f"{_NUMBER}|{_PLACEHOLDER}", value):
        return value
    return '"' + value.strip("'\"").replace("\\", "\\\\") + '"'
