"""Photos that come inside other files: those of a zip archive, and frames of a video."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from lince import images
from lince.annotations import RejectedItem
from lince.datasets import Dataset, open_dataset
from lince.errors import DataError, UsageError
from lince.fileio import make_install_line
from lince.formats.lince_project import CLASSIFICATION
from lince.i18n import _
from lince.inference.video.frames import FrameRange
from lince.progress import SILENT, Progress
from lince.storage.scan import is_system_name, looks_like_image
from lince.storage.zip import LocalFile, ZipTree
from lince.studio import label_import, photo_intake
from lince.studio.frame_change import FrameChange
from lince.studio.label_import import LabelImport
from lince.studio.photo_intake import Intake
from lince.studio.store.edits import Act
from lince.studio.store.project import Project
from lince.validation import require_in_range

MAX_PHOTO_BYTES = 64 * 2**20
MIN_INTERVAL, MAX_INTERVAL = 0.04, 3600.0  # seconds between two frames
MAX_FRAMES = 5000
_FRAME_QUALITY = 95
_LABEL_SUFFIXES = (
    ".txt",
    ".xml",
    ".json",
    ".jsonl",
    ".csv",
    ".yaml",
    ".yml",
    ".tfrecord",
    ".record",
    "-ubyte",
    ".lince",
)
_BY_NAME_ALONE = ("folders", "names")  # formats without a file of labels


def import_archive(
    project: Project, path: Path, name: str, act: Act, progress: Progress = SILENT
) -> LabelImport | None:
    """Add the photos and labels of the archive ``path`` as lince opens it; ``None`` where it holds photos alone.

    Folders are classes only where the labels of the project are classes of photos. Photos that the labels do not name
    are added as well. Raise ``DataError`` for labels that cannot be read.
    """
    tree = ZipTree(Path(name), LocalFile(path))
    is_classified = project.read_meta().get("task") == CLASSIFICATION
    if not (any(map(_may_be_labels, tree.names)) or (is_classified and _has_folders(tree.names))):
        return None
    with _give_name(path, photo_intake.clean_name(name)) as named:
        dataset = _open_labels(named, tree)
        if dataset is None:
            return None
        if dataset.format in _BY_NAME_ALONE and not is_classified:
            return None
        done = label_import.import_dataset(project, dataset, act, progress)
        if "task" not in project.read_meta():
            project.set_task(label_import.get_task(dataset))
        labelled = {dataset.images.get_name(row) for row in range(len(dataset))}
        others = [entry for entry in tree.names if looks_like_image(entry) and entry not in labelled]
        found = _add_entries(project, ZipTree(named, LocalFile(named)), others, progress)
    return replace(done, photos=done.photos + found.added, rejected=done.rejected + found.rejected)


def _open_labels(path: Path, tree: ZipTree) -> Dataset | None:
    """Return the labelled set, ``None`` where no format fits and the only texts are such as notes."""
    try:
        return open_dataset(path)
    except UsageError:
        if all(name.lower().endswith(".txt") for name in tree.names if _may_be_labels(name)):
            return None
        raise


@contextmanager
def _give_name(path: Path, name: str) -> Iterator[Path]:
    """Yield the file ``path`` under its own name, which the messages of readers show."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        named = Path(folder) / name
        path.rename(named)
        try:
            yield named
        finally:
            named.rename(path)


def _may_be_labels(name: str) -> bool:
    return name.lower().endswith(_LABEL_SUFFIXES) and not is_system_name(name.rpartition("/")[2])


def _has_folders(names: Sequence[str]) -> bool:
    return len({name.rpartition("/")[0] for name in names if looks_like_image(name)}) > 1


def add_archive(project: Project, path: Path, name: str, progress: Progress = SILENT) -> Intake:
    """Add the photos in the zip archive ``path``, copied to the project; ``name`` is what the person calls it.

    An archive that is unsafe (names that lead out of it, links, a size out of proportion) is refused as a whole with
    ``DataError``, as is one without photos; a photo of more than 64 MiB, or that cannot be opened, is rejected.
    """
    tree = ZipTree(Path(name), LocalFile(path))
    names = [entry for entry in tree.names if looks_like_image(entry)]
    if not names:
        raise DataError(
            _("{path} contains no photo.").format(path=name),
            _("Expected a zip archive with JPEG, PNG or other photos in it."),
        )
    others = len(tree.names) - len(names)
    found = _add_entries(project, tree, names, progress)
    if not others:
        return found
    reason = _("no photo ({count} files like this are left out)").format(count=others)
    left_out = RejectedItem(next(entry for entry in tree.names if not looks_like_image(entry)), reason, "")
    return replace(found, rejected=(*found.rejected, left_out))


def _add_entries(project: Project, tree: ZipTree, names: Sequence[str], progress: Progress) -> Intake:
    added, known = 0, 0
    rejected: list[RejectedItem] = []
    with progress.open_stage(_("Adding the photos"), len(names)) as stage:
        for entry in names:
            try:
                found = photo_intake.add_upload(project, entry, tree.read(entry, MAX_PHOTO_BYTES))
            except DataError as error:
                found = Intake(0, 0, (RejectedItem(entry, error.problem.rstrip("."), error.remedy.rstrip(".")),))
            added, known = added + found.added, known + found.known
            rejected += found.rejected
            stage.advance()
    return Intake(added, known, tuple(rejected))


def add_video(
    project: Project, path: Path, name: str, every: float, progress: Progress = SILENT, changed_only: bool = False
) -> Intake:
    """Add one frame of the video ``path`` every ``every`` seconds, as JPEG; ``name`` is that of the video.

    With ``changed_only``, of these only the ones that show something else than the last one that was added. At most
    5000 frames are taken; told where there would be more. Raise ``DataError`` for a file that is no video, and where
    PyAV is not installed.
    """
    open_video = _load_reader()
    require_in_range("every", every, MIN_INTERVAL, MAX_INTERVAL)
    change, same = FrameChange(), 0
    stem = photo_intake.clean_name(name).rpartition(".")[0] or "video"
    added, known = 0, 0
    rejected: list[RejectedItem] = []
    with open_video(path, FrameRange(time_step=every)) as video:
        expected = min(video.expected_frames, MAX_FRAMES)
        with progress.open_stage(_("Taking frames from the video"), expected) as stage:
            for frame in video.iter_frames():
                stage.advance()
                if changed_only and not change.is_new(frame.image):
                    same += 1
                    continue
                if added + known == MAX_FRAMES:
                    reason = _("the video has more frames; the first {count} were taken").format(count=MAX_FRAMES)
                    rejected.append(RejectedItem(name, reason, _("choose a longer interval")))
                    break
                data = images.encode_jpeg(frame.image, _FRAME_QUALITY)
                found = photo_intake.add_upload(project, f"{stem}_{frame.index:06d}.jpg", data)
                added, known = added + found.added, known + found.known
        if same:
            reason = _("{count} frames show nothing new and were left out").format(count=same)
            rejected.append(RejectedItem(name, reason, ""))
        if video.coverage.is_truncated:
            rejected.append(RejectedItem(name, _("the video ends early; what is there was used"), ""))
    return Intake(added, known, tuple(rejected))


def _load_reader() -> Callable[..., Any]:
    """Return ``open_video``, which needs PyAV."""
    try:
        from lince.inference.video.video_reader import open_video  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "av":
            raise
        raise DataError(
            _("This needs {module}, which is not installed.").format(module="PyAV"),
            _("Expected lince with the extra for videos."),
            _("In lince's own folder, type: {line}").format(line=make_install_line("video")),
        ) from error
    return open_video
