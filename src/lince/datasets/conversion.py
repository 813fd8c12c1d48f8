"""A dataset written anew in another format: images placed, labels written, and what it cannot hold said first."""

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
from lince.formats import FORMATS, Capability, Format, Table, WriteRequest
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.validation import require_choice

COPY_IMAGES, LINK_IMAGES, REFERENCE_IMAGES = "copy", "link", "reference"
_BATCH_SIZE = 256


@dataclass(frozen=True)
class ConvertOptions:
    """How a dataset is converted: what happens to the images, and what may be lost.

    ``images``: ``copy``, ``link`` (hard, else symbolic), or ``reference`` (they stay where they are and the labels
    name their full paths). ``lossy`` allows what the format cannot hold to be made softer or left out,
    ``allow_unusable`` more than 1 % of the source to be unusable.
    """

    images: str = COPY_IMAGES
    lossy: bool = False
    allow_unusable: bool = False

    def __post_init__(self) -> None:
        require_choice("images", self.images, (COPY_IMAGES, LINK_IMAGES, REFERENCE_IMAGES))


@dataclass(frozen=True, eq=False)
class ConvertResult:
    """A dataset that was written to ``path``: what it holds, and what became of the rest.

    ``counts`` has the images, or the objects, of each class; ``misstated`` counts images whose labels stated another
    size; ``summary`` says how much of the source was used.
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
    """Write ``dataset`` to the new folder ``out`` in the format ``to``, whole or not at all.

    Raise ``UsageError`` when the format cannot be written or cannot hold all of the dataset (unless ``how`` allows
    it), or ``out`` is taken; ``DataError`` when too much of the dataset is unusable.
    """
    options = options or ConvertOptions()
    form = _get_writable_format(to)
    require_empty_target(out, dataset.root)
    whole, misstated = measure_image_sizes(dataset, progress)
    require_usable_dataset(whole, options.allow_unusable)
    fitted, losses = adapt_to_format(whole, form)
    _require_allowed_losses(whole, form, losses, options)
    with fileio.atomic_folder(out) as folder:
        called = _place_images(fitted, form, folder, options.images, progress)
        _write_labels(fitted, form, folder, called)
    return ConvertResult(
        path=out,
        format=form.name,
        images=len(fitted),
        objects=0 if fitted.objects is None else len(fitted.objects),
        classes=fitted.classes,
        class_counts=fitted.count_per_class(),
        losses=losses,
        rejected=whole.rejected,
        repaired=whole.repaired,
        misstated_size_count=misstated,
        summary=whole.summarise(),
    )


def list_writable_formats() -> tuple[str, ...]:
    """Return the names of the formats that can be written."""
    return tuple(name for name, form in FORMATS.items() if form.write is not None)


def require_empty_target(out: Path, source: Path) -> None:
    """Raise ``UsageError`` when ``out`` holds something already, or lies within the folder ``source``."""
    if out.exists() and not (out.is_dir() and next(out.iterdir(), None) is None):
        raise UsageError(
            _("{path} exists already.").format(path=out),
            _("Expected a new folder to write to, or an empty one."),
            _("Choose another name, or remove it."),
        )
    if source.is_dir() and out.absolute().is_relative_to(source.absolute()):
        raise UsageError(
            _("{path} lies within the data that is converted, {root}.").format(path=out, root=source),
            _("Expected a folder elsewhere: the source is never touched."),
        )


def _get_writable_format(to: str) -> Format:
    return FORMATS[require_choice("to", to, list_writable_formats())]


def _require_allowed_losses(
    dataset: Dataset, form: Format, losses: Sequence[ConversionLoss], how: ConvertOptions
) -> None:
    if losses and not how.lossy:
        raise UsageError(
            _("The format '{name}' cannot hold all of {root}:").format(name=form.name, root=dataset.root)
            + "".join(f"\n  {loss}" for loss in losses),
            _("Formats that hold all of it: {names}.").format(
                names=", ".join(find_lossless_formats(dataset)) or _("none")
            ),
            _("To convert it all the same, add --lossy."),
        )
    if how.images == REFERENCE_IMAGES and Capability.EXTERNAL_PATHS not in form.capabilities:
        raise UsageError(
            _("Labels in the format '{name}' cannot name images that lie elsewhere.").format(name=form.name),
            _("Expected --copy or --link for it."),
        )
    if how.images == REFERENCE_IMAGES and any(dataset.images.get_path(row) is None for row in range(len(dataset))):
        raise UsageError(
            _("The images of {root} are no files that labels could name.").format(root=dataset.root),
            _("Expected --copy for them."),
        )


def _place_images(dataset: Dataset, form: Format, folder: Path, how: str, progress: Progress) -> list[str]:
    """Put the images into ``folder`` and return their paths from there, or where they stay."""
    if how == REFERENCE_IMAGES:
        return [Path(os.path.abspath(str(dataset.images.get_path(row)))).as_posix() for row in range(len(dataset))]
    called = assign_target_paths(dataset, form)
    if form.image_path is None:  # it holds the images itself
        return called
    for parent in {(folder / name).parent for name in called}:
        parent.mkdir(parents=True, exist_ok=True)
    with progress.open_stage(_("Writing the images"), len(called)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(called), _BATCH_SIZE):
            batch = range(start, min(start + _BATCH_SIZE, len(called)))
            list(pool.map(lambda row: _place_image(dataset.images, row, folder / called[row], how), batch))
            stage.advance(len(batch))
    return called


def _place_image(source: ImageSource, row: int, target: Path, how: str) -> None:
    path = source.get_path(row)
    if path is None:
        target.write_bytes(source.read_bytes(row))
    elif how == COPY_IMAGES:
        shutil.copyfile(path, target)
    else:
        _link_file(path, target)


def _link_file(path: Path, target: Path) -> None:
    try:
        os.link(path.resolve(), target)
    except OSError:
        try:
            target.symlink_to(path.resolve())
        except OSError as error:
            raise UsageError(
                _("{path} cannot be linked to: {error}.").format(path=path, error=error.strerror),
                _("Expected a disk that knows links."),
                _("Use --copy."),
            ) from error


def _write_labels(dataset: Dataset, form: Format, folder: Path, called: Sequence[str]) -> None:
    sizes = dataset.sizes
    if form.write is None or sizes is None:
        raise ValueError(f"{form.name} cannot be written, or sizes are unknown")
    table = Table(
        root=dataset.root,
        format=form.name,
        names=StringColumn.from_strings(called),
        classes=dataset.classes,
        class_ids=dataset.class_ids,
        splits=dataset.splits,
        objects=dataset.objects,
        sizes=sizes,
    )
    form.write(WriteRequest(table, called, sizes, dataset.images.read_bytes), folder)
