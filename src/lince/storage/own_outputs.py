"""Recognises what lince itself wrote, so that it is not read as somebody's photos or labels where it lies among them.

A folder that lince wrote is known by the names of its files, in archives too. A single file, such as a table of
predictions, is known by the record of its place and content that ``record_paths`` and ``lince.outputs`` keep, so that
one that was edited since counts as somebody's own.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from hashlib import blake2b, file_digest
from itertools import groupby
from pathlib import Path

from lince.fileio import get_cache_folder

RECORD_FILE, DIGEST_BYTES = "outputs.bin", 16
_PLACES_FILE = "output-places.bin"
_PROJECT_FILE, _CARD_FILE, _NETWORK_STEM = "project.lince", "card.json", "model"
_FOLDER_FILES = (
    frozenset({"config.toml", "data.json", "split.csv"}),  # a run
    frozenset({"predictions.csv", "predictions.json"}),  # answers of ``lince predict --save``
    frozenset({"detections.csv", "detections.json"}),
    frozenset({"detections.csv", "counts.csv"}),  # those of a video
    frozenset({"frames.csv", "video.mp4"}),
    frozenset({"predictions.csv", "evaluation.json"}),  # ``lince evaluate --out``
    frozenset({_PROJECT_FILE}),  # the studio's, with thumbnails
)
_KINDS = ("predictions", "answers", "sheet", "result", "evaluation")  # of the files that could be taken for data


def is_own_folder(names: Collection[str]) -> bool:
    """Whether a folder whose own files are called ``names`` was written by lince: a run, a model, answers, a project.

    Folders of labels that lince wrote, such as those of ``lince convert``, are data like others.
    """
    files = set(names)
    if _CARD_FILE in files and any(name.startswith(f"{_NETWORK_STEM}.") for name in files):
        return True
    return any(wanted <= files for wanted in _FOLDER_FILES)


def leave_out_own_folders(entries: Iterable[str], left_out: list[str]) -> list[str]:
    """Return ``entries``, in the order of ``scan.walk_entries``, without those in folders below that lince wrote.

    The outermost of these folders are added to ``left_out``. The root itself is never one of them.
    """
    kept: list[str] = []
    for folder, group in groupby(entries, lambda entry: entry.rpartition("/")[0]):
        names = list(group)
        if left_out and folder.startswith(f"{left_out[-1]}/"):
            continue
        if folder and is_own_folder([name.rpartition("/")[2] for name in names]):
            left_out.append(folder)
        else:
            kept += names
    return kept


class RecordedFiles:
    """The single files that lince wrote as outputs, by their folders; read from the cache once."""

    def __init__(self) -> None:
        self._names: dict[bytes, set[bytes]] = {}
        with suppress(OSError):
            for path in (get_cache_folder() / _PLACES_FILE).read_bytes().split(b"\0"):
                folder, name = os.path.split(path)
                self._names.setdefault(folder, set()).add(name)

    def find_own(self, folder: Path | str, names: Collection[str]) -> set[str]:
        """Return which of the files ``names`` in ``folder`` still have the content that lince wrote there."""
        if not self._names:
            return set()
        known = self._names.get(os.fsencode(os.path.realpath(folder)), set())
        candidates = [name for name in names if os.fsencode(name) in known]
        return {name for name in candidates if is_recorded(Path(folder, name), _KINDS)}


def record_paths(paths: Iterable[Path]) -> None:
    """Add the places of files that lince wrote as outputs to the record; raise ``OSError`` where it cannot be kept."""
    places = [os.fsencode(os.path.realpath(path)) + b"\0" for path in paths]
    with open(get_cache_folder() / _PLACES_FILE, "ab") as stream:
        stream.write(b"".join(places))


def is_recorded(path: Path, kinds: Iterable[str]) -> bool:
    """Return whether ``path`` has the content that lince wrote as an output of one of ``kinds``."""
    try:
        written = (get_cache_folder() / RECORD_FILE).read_bytes()
        records = {written[at : at + DIGEST_BYTES] for at in range(0, len(written), DIGEST_BYTES)}
        return any(compute_record(path, kind) in records for kind in kinds)
    except OSError:
        return False


def compute_record(path: Path, kind: str) -> bytes:
    """Return the digest of the content of ``path`` as an output of ``kind``; raise ``OSError``."""
    with open(path, "rb") as stream:
        content = file_digest(stream, lambda: blake2b(digest_size=DIGEST_BYTES, person=kind[:16].encode()))
    return content.digest()
