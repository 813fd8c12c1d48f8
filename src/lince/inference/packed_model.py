"""Reads and writes ``.lince`` files: a zip archive of one model card and one ONNX network, used without unpacking."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path

from lince import fileio
from lince.errors import ModelError
from lince.i18n import _
from lince.model_card import CARD_FILE, ModelCard

SUFFIX = ".lince"
# Protection against zip bombs: the entries may be larger than the file by this factor, plus these bytes.
_MAX_EXPANSION, _ALLOWED_EXTRA_BYTES = 100, 2**24
_READ_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    KeyError,
)


def is_packed_model(path: str | os.PathLike[str]) -> bool:
    """Return whether ``path`` ends in ``.lince``; the file need not exist."""
    return Path(path).suffix.lower() == SUFFIX


def pack_model(folder: Path, path: Path) -> Path:
    """Write card and network of the model folder ``folder`` to the packed file ``path``, atomically; return ``path``.

    Raises ``ModelError`` when the folder holds no model, or one of another target than ONNX: those may consist of
    several files and can only be opened from disk.
    """
    card = ModelCard.load(folder)
    _require_onnx_target(card, _("Copy the folder instead: {folder}").format(folder=folder))
    with fileio.atomic_file(path) as temp_path, zipfile.ZipFile(temp_path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (CARD_FILE, card.network):
            archive.write(folder / name, name)
    return path


def read_packed_model(path: Path) -> tuple[ModelCard, bytes]:
    """Return the card and the content of the network of the packed model at ``path``; nothing is written to disk.

    Raises ``ModelError`` when the file is missing or damaged, holds anything but one card and one ONNX network, or
    claims an implausible uncompressed size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _require_safe_size(archive, path)
            card = ModelCard.parse_json(archive.read(CARD_FILE), path)
            _require_onnx_target(card, _("Copy the file again, or export the run again."))
            return card, archive.read(card.network)
    except FileNotFoundError as error:
        raise ModelError(_("There is no file {path}.").format(path=path), _("Expected a packed model.")) from error
    except ModelError:
        raise
    except _READ_ERRORS as error:
        raise _invalid_file_error(path, str(error)) from error


def _require_safe_size(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise ``ModelError`` unless there are two entries, one of them the card, of a plausible uncompressed size."""
    entries = archive.infolist()
    if len(entries) != 2 or CARD_FILE not in archive.namelist():
        raise _invalid_file_error(path, _("it contains {count} entries").format(count=len(entries)))
    if sum(entry.file_size for entry in entries) > _MAX_EXPANSION * path.stat().st_size + _ALLOWED_EXTRA_BYTES:
        raise _invalid_file_error(path, _("it claims to be larger than a model can be"))


def _invalid_file_error(path: Path, reason: str) -> ModelError:
    return ModelError(
        _("{path} is not a packed model: {reason}.").format(path=path, reason=reason.rstrip(".")),
        _("Expected a zip of {card} and a network, as written by lince.").format(card=CARD_FILE),
        _("Copy the file again, or export the run again."),
    )


def _require_onnx_target(card: ModelCard, remedy: str) -> None:
    if card.target != "onnx":
        raise ModelError(
            _("A model for {target} cannot be packed into one file.").format(target=card.target),
            _("Expected an ONNX network: no other type can be opened without unpacking."),
            remedy,
        )
