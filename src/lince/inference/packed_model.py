"""A model in one file, ``model.lince``, to be carried and sent: a zip of card and network, opened where it lies."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from lince import fileio
from lince.errors import ModelError
from lince.i18n import _
from lince.model_card import CARD_FILE, ModelCard

SUFFIX = ".lince"
_MAX_EXPANSION, _ALLOWED_EXTRA_BYTES = (
    100,
    2**24,
)  # what the entries may hold: times the size of the file, and bytes on top
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


def is_packed_model(path: str | Path) -> bool:
    """Return whether ``path`` is called as a model in one file is."""
    return Path(path).suffix.lower() == SUFFIX


def pack_model(folder: Path, path: Path) -> Path:
    """Write the model folder ``folder`` as one file to ``path``, whole or not at all, and return ``path``.

    Raises ``ModelError`` when there is no model in the folder, or it is one of several files besides its card.
    """
    card = ModelCard.load(folder)
    _require_onnx_target(card, _("Carry the folder instead: {folder}").format(folder=folder))
    with fileio.atomic_file(path) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (CARD_FILE, card.network):
            archive.write(folder / name, name)
    return path


def read_packed_model(path: Path) -> tuple[ModelCard, bytes]:
    """Return the card and the network of the packed model at ``path``; nothing is written to disk.

    Raises ``ModelError`` when it is missing, damaged, or holds anything else.
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
    """Raise ``ModelError`` where entries claim to hold more than a model of this size can, or are more than two."""
    entries = archive.infolist()
    if len(entries) != 2 or CARD_FILE not in archive.namelist():
        raise _invalid_file_error(path, _("it holds {count} entries").format(count=len(entries)))
    if sum(entry.file_size for entry in entries) > _MAX_EXPANSION * path.stat().st_size + _ALLOWED_EXTRA_BYTES:
        raise _invalid_file_error(path, _("it claims to hold more than a model can"))


def _invalid_file_error(path: Path, reason: str) -> ModelError:
    return ModelError(
        _("{path} is not a packed model: {reason}.").format(path=path, reason=reason.rstrip(".")),
        _("Expected a zip of {card} and a network, as lince packs it.").format(card=CARD_FILE),
        _("Copy the file again, or export the run again."),
    )


def _require_onnx_target(card: ModelCard, remedy: str) -> None:
    if card.target != "onnx":
        raise ModelError(
            _("A model for {target} cannot be packed into one file.").format(target=card.target),
            _("Expected an ONNX network: only these are opened without being unpacked."),
            remedy,
        )
