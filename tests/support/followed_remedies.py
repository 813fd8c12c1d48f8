"""Test support: does to a copy of a data set what the remedies of its rejections say, as a person would."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lince import images
from lince.annotations import NOTICE_KINDS, RejectedItem

PHOTO = images.encode_jpeg(np.zeros((120, 160, 3), np.uint8))
KEPT_KINDS = NOTICE_KINDS | {"lost"}  # nothing to do, or only what another rejection says


def list_losses(rejected: Sequence[RejectedItem]) -> list[RejectedItem]:
    """Return the rejections by which something is lost, each with a remedy of its own."""
    return [item for item in rejected if item.kind not in KEPT_KINDS]


def follow_remedies(root: Path, rejected: Sequence[RejectedItem]) -> None:
    """Change the files below ``root`` as the remedies say: correct by removing, add rows, move away, save as JPEG."""
    lines: defaultdict[str, set[int]] = defaultdict(set)
    values: defaultdict[str, list[list[str]]] = defaultdict(list)
    for item in list_losses(rejected):
        name, mark, place = item.path.partition("#/")
        if item.kind == "several-classes":
            _keep_one_class(root / name, item)
        elif item.line is not None:
            assert "remove" in item.remedy, item
            lines[name].add(item.line)
        elif mark:
            assert "correct it" in item.remedy or "remove" in item.remedy, item
            values[name].append(place.split("/"))
        else:
            _change_file(root, name, item)
    for name, numbers in lines.items():
        kept = (line for number, line in enumerate(_read_lines(root / name), 1) if number not in numbers)
        (root / name).write_text("".join(kept), "utf-8")
    for name, places in values.items():
        _remove_values(root / name, places)


def _change_file(root: Path, name: str, item: RejectedItem) -> None:
    """Do with the file or folder ``name`` what the remedy of ``item`` says."""
    path = root / name
    if "add a row" in item.remedy:
        _add_row(root / item.reason.partition("no row of ")[2].split()[0], name)
    elif "JPEG" in item.remedy:
        path.unlink()
        path.with_suffix(".jpg").write_bytes(PHOTO)
    elif "move it into one" in item.remedy:
        folders = (one for one in root.rglob("*") if one.is_dir() and one != path.parent)
        path.rename(min(one for one in folders if not any(map(Path.is_dir, one.iterdir()))) / f"moved {path.name}")
    else:
        assert "move it elsewhere" in item.remedy, item
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _keep_one_class(table: Path, item: RejectedItem) -> None:
    """Write the first of the classes that ``item`` names into its row instead of all of them, or of another."""
    names = item.reason.rpartition(": ")[2].split(", ")
    lines = _read_lines(table)
    cells = lines[(item.line or 1) - 1].rstrip("\n").split(",")
    place = next(i for i, cell in enumerate(cells) if any(name in cell for name in names))
    lines[(item.line or 1) - 1] = ",".join([*cells[:place], names[0], *cells[place + 1 :]]) + "\n"
    table.write_text("".join(lines), "utf-8")


def _read_lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines(keepends=True)


def _add_row(table: Path, photo: str) -> None:
    """Add a row for ``photo`` as the first one of the table is written: with or without folders and suffix."""
    header, row = (line.rstrip("\n") for line in _read_lines(table)[:2])
    delimiter = ";" if ";" in header else ","
    cells = row.split(delimiter)
    place = next(i for i, cell in enumerate(cells) if any(table.parent.rglob(f"{Path(cell).stem}.*")))
    cells[place] = Path(photo).name if Path(cells[place]).suffix else Path(photo).stem
    if len(list(table.parent.rglob(f"{Path(photo).stem}.*"))) > 1:
        cells[place] = photo
    lines = _read_lines(table)
    lines[-1] = lines[-1].rstrip("\n") + "\n"
    table.write_text("".join([*lines, delimiter.join(cells) + "\n"]), "utf-8")


def _remove_values(path: Path, places: Sequence[Sequence[str]]) -> None:
    """Remove the list items at or around ``places`` of a JSON file, the last first."""
    document = json.loads(path.read_text("utf-8"))
    targets = {tuple(_trim(document, place)) for place in places}
    for target in sorted(targets, key=lambda one: [int(key) if key.isdecimal() else key for key in one], reverse=True):
        parent = document
        for key in target[:-1]:
            parent = parent[int(key)] if isinstance(parent, list) else parent[key]
        del parent[int(target[-1])]
    path.write_text(json.dumps(document), "utf-8")


def _trim(document: Any, place: Sequence[str]) -> list[str]:
    """Return the part of ``place`` up to the last item of a list."""
    value, last, keys = document, 0, list(place)
    for number, key in enumerate(keys, 1):
        if isinstance(value, list):
            value, last = value[int(key)], number
        elif isinstance(value, dict):
            value = value.get(key)
    return keys[:last]
