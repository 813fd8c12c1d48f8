"""A dataset written anew in another format: images placed, labels written, and what it cannot hold said first."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lince import files
from lince.annotations import Classes, Rejected, Strings
from lince.choices import one_of
from lince.data.dataset import Dataset
from lince.data.fitting import Loss, fit, suited
from lince.data.measure import measured
from lince.data.naming import places
from lince.data.source import ImageSource
from lince.data.verify import require_usable
from lince.errors import UsageError
from lince.labels import FORMATS, Export, Format, Holds, Table
from lince.messages import _
from lince.progress import SILENT, Progress

COPY, LINK, REFERENCE = "copy", "link", "reference"
_BATCH = 256


@dataclass(frozen=True)
class How:
    """How a dataset is converted: what happens to the images, and what may be lost.

    ``images``: ``copy``, ``link`` (hard, else symbolic), or ``reference`` (they stay where they are and the labels
    name their full paths). ``lossy`` allows what the format cannot hold to be made softer or left out,
    ``allow_unusable`` more than 1 % of the source to be unusable.
    """

    images: str = COPY
    lossy: bool = False
    allow_unusable: bool = False

    def __post_init__(self) -> None:
        one_of("images", self.images, (COPY, LINK, REFERENCE))


@dataclass(frozen=True, eq=False)
class Converted:
    """A dataset that was written to ``path``: what it holds, and what became of the rest.

    ``counts`` has the images, or the objects, of each class; ``misstated`` counts images whose labels stated another
    size; ``summary`` says how much of the source was used.
    """

    path: Path
    format: str
    images: int
    objects: int
    classes: Classes
    counts: dict[str, int]
    losses: tuple[Loss, ...]
    rejected: tuple[Rejected, ...]
    repaired: tuple[Rejected, ...]
    misstated: int
    summary: str


def convert(dataset: Dataset, out: Path, to: str, how: How | None = None, progress: Progress = SILENT) -> Converted:
    """Write ``dataset`` to the new folder ``out`` in the format ``to``, whole or not at all.

    Raise ``UsageError`` when the format cannot be written or cannot hold all of the dataset (unless ``how`` allows
    it), or ``out`` is taken; ``DataError`` when too much of the dataset is unusable.
    """
    how = how or How()
    form = _writable(to)
    require_free(out, dataset.root)
    whole, misstated = measured(dataset, progress)
    require_usable(whole, how.allow_unusable)
    fitted, losses = fit(whole, form)
    _require_allowed(whole, form, losses, how)
    with files.building(out) as folder:
        called = _place(fitted, form, folder, how.images, progress)
        _write(fitted, form, folder, called)
    return Converted(
        path=out,
        format=form.name,
        images=len(fitted),
        objects=0 if fitted.objects is None else len(fitted.objects),
        classes=fitted.classes,
        counts=fitted.counts(),
        losses=losses,
        rejected=whole.rejected,
        repaired=whole.repaired,
        misstated=misstated,
        summary=whole.summary(),
    )


def writable() -> tuple[str, ...]:
    """Return the names of the formats that can be written."""
    return tuple(name for name, form in FORMATS.items() if form.write is not None)


def require_free(out: Path, source: Path) -> None:
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


def _writable(to: str) -> Format:
    return FORMATS[one_of("to", to, writable())]


def _require_allowed(dataset: Dataset, form: Format, losses: Sequence[Loss], how: How) -> None:
    if losses and not how.lossy:
        raise UsageError(
            _("The format '{name}' cannot hold all of {root}:").format(name=form.name, root=dataset.root)
            + "".join(f"\n  {loss}" for loss in losses),
            _("Formats that hold all of it: {names}.").format(names=", ".join(suited(dataset)) or _("none")),
            _("To convert it all the same, add --lossy."),
        )
    if how.images == REFERENCE and Holds.PATHS not in form.holds:
        raise UsageError(
            _("Labels in the format '{name}' cannot name images that lie elsewhere.").format(name=form.name),
            _("Expected --copy or --link for it."),
        )
    if how.images == REFERENCE and any(dataset.images.path(row) is None for row in range(len(dataset))):
        raise UsageError(
            _("The images of {root} are no files that labels could name.").format(root=dataset.root),
            _("Expected --copy for them."),
        )


def _place(dataset: Dataset, form: Format, folder: Path, how: str, progress: Progress) -> list[str]:
    """Put the images into ``folder`` and return their paths from there, or where they stay."""
    if how == REFERENCE:
        return [Path(os.path.abspath(str(dataset.images.path(row)))).as_posix() for row in range(len(dataset))]
    called = places(dataset, form)
    if form.file is None:  # it holds the images itself
        return called
    for parent in {(folder / name).parent for name in called}:
        parent.mkdir(parents=True, exist_ok=True)
    with progress.stage(_("Writing the images"), len(called)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(called), _BATCH):
            batch = range(start, min(start + _BATCH, len(called)))
            list(pool.map(lambda row: _put(dataset.images, row, folder / called[row], how), batch))
            stage.advance(len(batch))
    return called


def _put(source: ImageSource, row: int, target: Path, how: str) -> None:
    path = source.path(row)
    if path is None:
        target.write_bytes(source.data(row))
    elif how == COPY:
        shutil.copyfile(path, target)
    else:
        _link(path, target)


def _link(path: Path, target: Path) -> None:
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


def _write(dataset: Dataset, form: Format, folder: Path, called: Sequence[str]) -> None:
    sizes = dataset.sizes
    if form.write is None or sizes is None:
        raise ValueError(f"{form.name} cannot be written, or sizes are unknown")
    table = Table(
        root=dataset.root,
        format=form.name,
        names=Strings.of(called),
        classes=dataset.classes,
        class_ids=dataset.class_ids,
        splits=dataset.splits,
        objects=dataset.objects,
        sizes=sizes,
    )
    form.write(Export(table, called, sizes, dataset.images.data), folder)
