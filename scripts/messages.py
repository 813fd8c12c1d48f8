"""Maintain the translation catalogues: extract texts, compile them, and check that they are complete.

extract    find the texts in src/lince and put them into the .po files, keeping the translations
compile    make the .mo files that are read at run time
check      list faults: missing, fuzzy or stale translations, placeholders that differ, texts not literal
"""

from __future__ import annotations

import ast
import io
import re
import string
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from lince.i18n import LANGUAGES

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "lince"
TRANSLATED = tuple(code for code in LANGUAGES if code != "en")
KEYWORDS = {"_": None, "translate": None, "translate_plural": (1, 2)}
_METHODS = [
    ("**.py", "python"),
    ("**.jinja", "jinja2"),
    ("**.j2", "jinja2"),
    ("**.html", "jinja2"),
    ("**.md", "jinja2"),
]
_OPTIONS = {pattern: {"silent": "false", "extensions": "jinja2.ext.i18n"} for pattern, _name in _METHODS[1:]}
_NO_DATE = datetime(2026, 1, 1, tzinfo=UTC)  # fixed, so that a catalogue changes with its texts only
_TAG = re.compile(r"</?[a-zA-Z][^>]*>|%\(\w+\)[sr]|%[sr]")  # and the placeholders of argparse


def po_path(language: str) -> Path:
    """Return the path of the .po file of ``language``."""
    return SOURCE / "locale" / language / "LC_MESSAGES" / "lince.po"


def extract(source: Path = SOURCE) -> Catalog:
    """Return every text of the Python files and templates below ``source``, with the files that contain it."""
    found = Catalog(project="lince", charset="utf-8")
    texts = extract_from_dir(source, method_map=_METHODS, options_map=_OPTIONS, keywords=KEYWORDS)
    for file, _line, text, comments, context in texts:
        found.add(text, locations=[(f"src/lince/{file}", None)], auto_comments=comments, context=context)
    return found


def read(language: str) -> Catalog:
    """Return the catalogue of ``language`` from disk, or an empty one when there is none."""
    path = po_path(language)
    with io.BytesIO(path.read_bytes() if path.is_file() else b"") as stream:
        catalog = read_po(stream, locale=language, charset="utf-8")
    return _dressed(catalog, language)


def update(language: str, texts: Catalog) -> None:
    """Write the .po of ``language`` with all ``texts``: keep translations, drop unused texts."""
    catalog = read(language)
    catalog.update(texts, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    path = po_path(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        write_po(stream, _dressed(catalog, language), width=110, include_lineno=False, sort_output=True)


def compiled(language: str) -> bytes:
    """Return the bytes of the .mo file compiled from the .po of ``language``."""
    stream = io.BytesIO()
    write_mo(stream, read(language))
    return stream.getvalue()


def problems() -> list[str]:
    """Return every fault as one line; an empty list when there is none."""
    texts = extract()
    found = [line for path in sorted(SOURCE.rglob("*.py")) for line in not_literal(path)]
    for language in TRANSLATED:
        found += catalogue_problems(language, texts, read(language))
        mo = po_path(language).with_suffix(".mo")
        if not mo.is_file() or mo.read_bytes() != compiled(language):
            found.append(f"{language}: lince.mo is not compiled from lince.po; run: python scripts/messages.py compile")
    return found


def catalogue_problems(language: str, texts: Iterable[Message], catalog: Catalog) -> Iterator[str]:
    """Yield the faults of ``catalog`` as the translation of ``texts``."""
    for text in texts:
        if not text.id:
            continue
        key = text.id if isinstance(text.id, str) else text.id[0]
        entry = catalog.get(key)
        forms = _forms(entry.string) if entry else []
        if not forms or not all(forms):
            yield f"{language}: not translated: {key!r}"
        elif entry and entry.fuzzy:
            yield f"{language}: marked fuzzy: {key!r}"
        else:
            yield from _form_problems(language, _forms(text.id), forms)


def not_literal(path: Path) -> Iterator[str]:
    """Yield the places in the Python file ``path`` where a text to be translated is not a plain literal."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KEYWORDS:
            wanted = node.args[: len(KEYWORDS[node.func.id] or (1,))]
            if not all(isinstance(item, ast.Constant) and isinstance(item.value, str) for item in wanted):
                yield f"{path.relative_to(ROOT)}:{node.lineno}: the text in {node.func.id}() is not a plain literal"


def _form_problems(language: str, originals: list[str], forms: list[str]) -> Iterator[str]:
    wanted = placeholders(originals[-1])
    singular = placeholders(originals[0])
    for place, form in enumerate(forms):
        allowed = (wanted, singular) if place == 0 else (wanted,)
        if placeholders(form) not in allowed:
            yield f"{language}: placeholders or tags differ: {originals[-1]!r} and {form!r}"
        if originals[-1][:1].isspace() != form[:1].isspace() or originals[-1][-1:].isspace() != form[-1:].isspace():
            yield f"{language}: spaces at the ends differ: {originals[-1]!r} and {form!r}"


def placeholders(text: str) -> tuple[str, ...]:
    """Return the sorted ``{names}`` (with their formats) and HTML tags of ``text``; a broken text as it is."""
    try:
        fields = [
            f"{name}:{spec}" for _text, name, spec, _conversion in string.Formatter().parse(text) if name is not None
        ]
    except ValueError:
        return (text,)
    return tuple(sorted(set(fields) | set(_TAG.findall(text))))


def _forms(text: str | Iterable[str]) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


def _dressed(catalog: Catalog, language: str) -> Catalog:
    catalog.project, catalog.version, catalog.fuzzy = "lince", "1", False
    catalog.header_comment = f"# What lince says, in {language}. Written by scripts/messages.py; fill in every msgstr."
    catalog.msgid_bugs_address = "see CONTRIBUTING.md"
    catalog.last_translator, catalog.language_team = "the lince authors", language
    catalog.creation_date = catalog.revision_date = _NO_DATE
    return catalog


def main(arguments: list[str]) -> int:
    """Run the subcommand; return the exit code."""
    verb = arguments[0] if len(arguments) == 1 else ""
    if verb == "extract":
        texts = extract()
        for language in TRANSLATED:
            update(language, texts)
        print(f"{len(texts)} texts in {', '.join(TRANSLATED)}")
    elif verb == "compile":
        for language in TRANSLATED:
            po_path(language).with_suffix(".mo").write_bytes(compiled(language))
    elif verb == "check":
        found = problems()
        print("\n".join(found) if found else "The catalogues are complete.")
        return 1 if found else 0
    else:
        print(__doc__)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
