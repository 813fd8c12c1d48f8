"""Decides where an output may be written: it never replaces what lince did not write as that same output.

What lince writes for a person is recorded by its content, so that an output that was edited since, or a photo of the
same name, is told from one that can be made again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lince import fileio
from lince.errors import UsageError
from lince.i18n import _
from lince.model_card import CARD_FILE
from lince.storage import own_outputs
from lince.storage.scan import SPLIT_FILE, is_system_name, looks_like_image

_RUN_FILES, _CHECKPOINT_FOLDER = ("config.toml", "data.json"), "checkpoints"
_MAX_TEXT_BYTES = 1 << 20  # of a file that may be labels
_MAX_NAMES = 3  # of the files that are in the way, in a message


@dataclass(frozen=True)
class OutputKind:
    """A kind of output: its ``name`` in the record, and the ``endings`` of its file or the names of a folder's files.

    Files with an ending of ``beside_data`` may lie in the folder whose photos are read: no reader takes them for
    photos or labels.
    """

    name: str
    endings: tuple[str, ...]
    beside_data: tuple[str, ...] = ()


PREDICTIONS_TABLE = OutputKind("predictions", (".csv",))
ANSWERS = OutputKind("answers", ("predictions.csv", "predictions.json", "sheet.jpg"))
EVALUATION = OutputKind("evaluation", ("predictions.csv", "evaluation.json", "report.html"))
SHEET = OutputKind("sheet", (".png", ".jpg", ".jpeg"))
RESULT = OutputKind("result", (".json", ".jpg", ".jpeg", ".png"))
CHECK_PAGE = OutputKind("check", (".html", ".htm"), (".html", ".htm"))
RATE_PAGE = OutputKind("rate", (".html", ".htm"))
COMPARISON_PAGE = OutputKind("comparison", (".html", ".htm"))
SPLIT_TABLE = OutputKind("split", (".csv",), (f"/{SPLIT_FILE}",))
SPLIT_FOLDER = OutputKind("split", (SPLIT_FILE,))
SELF_CONTAINED_MODEL = OutputKind("self-contained", (".onnx",))


def require_output_file(
    path: str | os.PathLike[str], kind: OutputKind, *, overwrite: bool = False, sources: Iterable[Any] = ()
) -> Path:
    """Return ``path`` when an output of ``kind`` may be written there; raise ``UsageError`` when it may not.

    ``sources`` are what is read meanwhile; those that are no local paths are ignored. A file that exists is replaced
    when lince wrote it as this kind of output and nobody changed it since, otherwise only with ``overwrite``; a photo,
    a file of a training run, and what is read never.
    """
    target = Path(path)
    if target.suffix.lower() not in kind.endings:
        raise UsageError(
            _("{path} is not a name for this output.").format(path=target),
            _("Expected a file name that ends in {endings}.").format(endings=", ".join(kind.endings)),
            _("Write the name of the output right after its option; a pattern such as *.jpg stands for many names."),
        )
    if target.is_dir():
        raise UsageError(_("{path} is a folder.").format(path=target), _("Expected the name of a file."))
    is_kept_apart = f"/{target.name.lower()}".endswith(kind.beside_data)
    if not is_kept_apart:
        _require_outside(target, sources)
    if os.path.lexists(target) and not own_outputs.is_recorded(target, [kind.name]):
        _require_replaceable(target, overwrite, is_kept_apart)
    return target


def require_output_folder(
    path: str | os.PathLike[str], kind: OutputKind, *, overwrite: bool = False, sources: Iterable[Any] = ()
) -> Path:
    """Return ``path`` when an output of several files may be written there; raise ``UsageError`` when it may not.

    The folder is new or empty, or holds only files of this ``kind`` by the rule of ``require_output_file``.
    """
    target = Path(path)
    if os.path.lexists(target) and not target.is_dir():
        raise UsageError(_("{path} is not a folder.").format(path=target), _("Expected a new or empty folder."))
    _require_outside(target, sources)
    names = sorted(name for name in os.listdir(target) if not is_system_name(name)) if target.is_dir() else []
    others = [name for name in names if name not in kind.endings or (target / name).is_dir()]
    if others:
        raise UsageError(
            _("{path} already holds {names}.").format(path=target, names=", ".join(others[:_MAX_NAMES])),
            _("Expected a new or empty folder, or one with nothing but the same output of before."),
            _("Choose another name."),
        )
    for name in names:
        if not own_outputs.is_recorded(target / name, [kind.name]):
            _require_overwrite(target / name, overwrite)
    return target


def require_collecting_folder(path: str | os.PathLike[str]) -> Path:
    """Return ``path`` when files may be added there; raise ``UsageError`` for a file, and for a run or a model."""
    target = Path(path)
    if os.path.lexists(target) and not target.is_dir():
        raise UsageError(_("{path} is not a folder.").format(path=target), _("Expected a new or empty folder."))
    if _is_in_run(target / "photo"):
        raise UsageError(
            _("{path} belongs to a training run or a model.").format(path=target),
            _("Expected a folder of its own."),
            _("Choose another name."),
        )
    return target


def record_output(path: Path, kind: OutputKind) -> None:
    """Record that lince wrote the file at ``path``, or the files in the folder there, as an output of ``kind``.

    Where the cache folder cannot be written, the output counts as not recorded.
    """
    paths = [item for item in (sorted(path.iterdir()) if path.is_dir() else [path]) if item.is_file()]
    with suppress(OSError):
        folder = fileio.get_cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / own_outputs.RECORD_FILE, "ab") as stream:
            stream.write(b"".join(own_outputs.compute_record(item, kind.name) for item in paths))
        own_outputs.record_paths(paths)


def _require_outside(target: Path, sources: Iterable[Any]) -> None:
    """Raise ``UsageError`` when ``target`` is one of ``sources``, or lies in one."""
    real_target = os.path.realpath(target)
    for source in sources:
        if not isinstance(source, (str, os.PathLike)) or not os.path.exists(os.path.expanduser(source)):
            continue
        real_source = os.path.realpath(os.path.expanduser(source))
        if real_target == real_source or Path(real_source) in Path(real_target).parents:
            raise UsageError(
                _("{path} is in the data that is read, {source}.").format(path=target, source=source),
                _("Expected a place elsewhere: an output beside photos would be taken for one of them, or for labels."),
            )


def _require_replaceable(path: Path, overwrite: bool, is_kept_apart: bool) -> None:
    """Raise ``UsageError`` when ``path``, which exists, is never replaced, or not without ``overwrite``.

    Among photos a file may be labels, unless it ``is_kept_apart`` by its name.
    """
    obstacle = ""
    if looks_like_image(path.name):
        obstacle = _("{path} is a picture that lince did not write as this output, or that was changed since.")
    elif _is_in_run(path):
        obstacle = _("{path} belongs to a training run or a model.")
    elif not is_kept_apart and _names_photos_beside(path):
        obstacle = _("{path} names the photos beside it, so it may be their labels.")
    if obstacle:
        raise UsageError(
            obstacle.format(path=path), _("Expected a new file."), _("Choose another name; lince never replaces it.")
        )
    _require_overwrite(path, overwrite)


def _require_overwrite(path: Path, overwrite: bool) -> None:
    """Raise ``UsageError`` unless ``overwrite`` allows to replace the file at ``path``."""
    if not overwrite:
        raise UsageError(
            _("{path} exists already, and lince did not write it as this output, or it was changed since.").format(
                path=path
            ),
            _("Expected a new file, or the same output of before."),
            _("Choose another name, or add --overwrite (in Python: overwrite=True) to replace it."),
        )


def _is_in_run(path: Path) -> bool:
    """Return whether ``path`` is a file that a training run or a model folder needs.

    Other folders in a run, such as ``exports``, hold outputs.
    """
    folder = path.absolute().parent
    return (
        all((folder / name).is_file() for name in _RUN_FILES)
        or (folder / "model" / CARD_FILE).is_file()
        or (folder / CARD_FILE).is_file()
        or folder.name == _CHECKPOINT_FOLDER
    )


def _names_photos_beside(path: Path) -> bool:
    """Return whether ``path`` is a text that names a photo in its own folder, as label files do."""
    try:
        with open(path, "rb") as stream:
            text = stream.read(_MAX_TEXT_BYTES).decode("utf-8", "replace")
    except OSError:
        return False
    return any(looks_like_image(name) and name in text for name in os.listdir(path.absolute().parent))
