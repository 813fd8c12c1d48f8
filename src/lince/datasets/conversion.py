"""Converts a dataset to another format: copies or links the images and writes the labels."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lince import fileio
from lince.annotations import Classes, RejectedItem, StringColumn
from lince.datasets.conversion_loss import ConversionLoss, adapt_to_format, find_lossless_formats
from lince.datasets.dataset import Dataset
from lince.datasets.image_sizes import measure_image_sizes
from lince.datasets.image_source import ImageSource
from lince.datasets.target_names import assign_target_paths
from lince.datasets.verification import require_usable_dataset
from lince.errors import UsageError
from lince.formats import FORMATS, Capability, Format, LabelTable, WriteRequest
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.validation import require_choice

COPY_IMAGES, LINK_IMAGES, REFERENCE_IMAGES = "copy", "link", "reference"
_BATCH_SIZE = 256  # images between two updates of the progress bar


@dataclass(frozen=True)
class ConvertOptions:
    """Options of a conversion.

    ``images`` is ``copy``, ``link`` (hard link, or symbolic link where that is not possible) or ``reference`` (images
    stay where they are, and the labels contain their absolute paths). ``lossy`` allows to convert or drop what the
    format cannot hold; ``allow_unusable`` allows that much of the source is unusable.

    Raises ``UsageError`` on another value of ``images``.
    """

    images: str = COPY_IMAGES
    lossy: bool = False
    allow_unusable: bool = False

    def __post_init__(self) -> None:
        require_choice("images", self.images, (COPY_IMAGES, LINK_IMAGES, REFERENCE_IMAGES))


@dataclass(frozen=True, eq=False)
class ConvertResult:
    """Summary of a conversion.

    ``images`` and ``objects`` are the numbers that were written to ``path``; ``class_counts`` the number of objects, or
    of images in a dataset without objects, by class name. ``losses`` is what was converted or dropped, ``rejected`` and
    ``repaired`` come from the source. ``misstated_size_count`` is the number of images whose labels state another size
    than they have; ``summary`` says how much of the source was used, in the current language.
    """

    path: Path
    format: str
    images: int
    objects: int
    classes: Classes
    class_counts: dict[str, int]
    losses: tuple[ConversionLoss, ...]
    rejected: tuple[RejectedItem, ...]
    repaired: tuple[RejectedItem, ...]
    misstated_size_count: int
    summary: str


def convert_dataset(
    dataset: Dataset, out: Path, to: str, options: ConvertOptions | None = None, progress: Progress = SILENT
) -> ConvertResult:
    """Write ``dataset`` to the new folder ``out`` in the format ``to``. The folder appears only when it is complete.

    Sizes are read from the images, and objects outside their image are rejected. Raise ``UsageError`` when the format
    cannot be written or cannot hold all of the dataset (unless ``options`` allow it), or when ``out`` is not empty or
    is inside the source; ``DataError`` when too much of the dataset is unusable.
    """
    options = options or ConvertOptions()
    target = _get_writable_format(to)
    require_empty_target(out, dataset.root)
    source, misstated_size_count = measure_image_sizes(dataset, progress)
    require_usable_dataset(source, options.allow_unusable)
    adapted, losses = adapt_to_format(source, target)
    _require_allowed_losses(source, target, losses, options)
    with fileio.atomic_folder(out) as folder:
        names = _place_images(adapted, target, folder, options.images, progress)
        _write_labels(adapted, target, folder, names)
    return ConvertResult(
        path=out,
        format=target.name,
        images=len(adapted),
        objects=0 if adapted.objects is None else len(adapted.objects),
        classes=adapted.classes,
        class_counts=adapted.count_per_class(),
        losses=losses,
        rejected=source.rejected,
        repaired=source.repaired,
        misstated_size_count=misstated_size_count,
        summary=source.summarise(),
    )


def list_writable_formats() -> tuple[str, ...]:
    """Return the names of the formats that can be written."""
    return FORMATS.list_writable()


def require_empty_target(out: Path, source: Path) -> None:
    """Raise ``UsageError`` when ``out`` exists and is not an empty folder, or is inside the folder ``source``."""
    fileio.require_empty_folder(out)
    if source.is_dir() and Path(os.path.realpath(out)).is_relative_to(os.path.realpath(source)):
        raise UsageError(
            _("{path} is inside the data to convert, {root}.").format(path=out, root=source),
            _("Expected a folder elsewhere: the source data is never modified."),
        )


def _get_writable_format(to: str) -> Format:
    """Return the format named ``to``; raise ``UsageError`` when there is none that can be written."""
    return FORMATS[require_choice("--to", to, list_writable_formats())]


def _require_allowed_losses(
    dataset: Dataset, target: Format, losses: Sequence[ConversionLoss], options: ConvertOptions
) -> None:
    """Raise ``UsageError`` when losses are not allowed, or the images cannot be referenced by their paths."""
    if losses and not options.lossy:
        raise UsageError(
            _("The format '{name}' cannot represent everything in {root}:").format(name=target.name, root=dataset.root)
            + "".join(f"\n  {loss}" for loss in losses),
            _("Expected a format that can represent everything: {names}.").format(
                names=", ".join(find_lossless_formats(dataset)) or _("there is none")
            ),
            _("To convert it anyway, add --lossy."),
        )
    if options.images == REFERENCE_IMAGES and Capability.EXTERNAL_PATHS not in target.capabilities:
        raise UsageError(
            _("Labels in the format '{name}' cannot refer to images in another folder.").format(name=target.name),
            _("Expected --copy or --link."),
        )
    if options.images == REFERENCE_IMAGES and any(dataset.images.get_path(row) is None for row in range(len(dataset))):
        raise UsageError(
            _("The images of {root} are not separate files that labels could refer to.").format(root=dataset.root),
            _("Expected --copy."),
        )


def _place_images(dataset: Dataset, target: Format, folder: Path, placement: str, progress: Progress) -> list[str]:
    """Copy or link the images into ``folder``; return their paths in the labels, relative to it or absolute.

    ``placement`` is one of the values of ``ConvertOptions.images``.
    """
    if placement == REFERENCE_IMAGES:
        return [Path(os.path.abspath(str(dataset.images.get_path(row)))).as_posix() for row in range(len(dataset))]
    names = assign_target_paths(dataset, target)
    if target.image_path is None:  # the label file contains the images
        return names
    for parent in {(folder / name).parent for name in names}:
        parent.mkdir(parents=True, exist_ok=True)
    with progress.open_stage(_("Writing the images"), len(names)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(names), _BATCH_SIZE):
            batch = range(start, min(start + _BATCH_SIZE, len(names)))
            list(pool.map(lambda row: _place_image(dataset.images, row, folder / names[row], placement), batch))
            stage.advance(len(batch))
    return names


def _place_image(source: ImageSource, row: int, target: Path, placement: str) -> None:
    """Copy or link the image at ``row`` to ``target``; an image without a file is written as PNG."""
    path = source.get_path(row)
    if path is None:
        target.write_bytes(source.read_bytes(row))
    elif placement == COPY_IMAGES:
        shutil.copyfile(path, target)
    else:
        _link_file(path, target)


def _link_file(path: Path, target: Path) -> None:
    """Make ``target`` a hard link, else a symbolic link, to ``path``. Raise ``UsageError`` when neither is possible."""
    try:
        os.link(path.resolve(), target)
    except OSError:
        try:
            target.symlink_to(path.resolve())
        except OSError as error:
            raise UsageError(
                _("{path} cannot be linked to: {error}.").format(path=path, error=error.strerror),
                _("Expected a disk that supports links."),
                _("Use --copy."),
            ) from error


def _write_labels(dataset: Dataset, target: Format, folder: Path, names: Sequence[str]) -> None:
    """Write the labels of ``dataset`` for images with ``names``. The sizes of all images must be known."""
    sizes = dataset.sizes
    if target.write is None or sizes is None:
        raise ValueError(f"{target.name} cannot be written, or sizes are unknown")
    table = LabelTable(
        root=dataset.root,
        format=target.name,
        names=StringColumn.from_strings(names),
        classes=dataset.classes,
        class_ids=dataset.class_ids,
        label_sets=dataset.label_sets,
        splits=dataset.splits,
        objects=dataset.objects,
        sizes=sizes,
        void_masks=dataset.void_masks,
    )
    target.write(WriteRequest(table, names, sizes, dataset.images.read_bytes), folder)
