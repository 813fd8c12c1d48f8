"""Photos that come inside other files: those of a zip archive, and frames of a video."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lince import images
from lince.annotations import RejectedItem
from lince.errors import DataError
from lince.fileio import make_install_line
from lince.i18n import _
from lince.inference.video.frames import FrameRange
from lince.progress import SILENT, Progress
from lince.storage.scan import looks_like_image
from lince.storage.zip import LocalFile, ZipTree
from lince.studio import photo_intake
from lince.studio.photo_intake import Intake
from lince.studio.store.project import Project
from lince.validation import require_in_range

MAX_PHOTO_BYTES = 64 * 2**20
MIN_INTERVAL, MAX_INTERVAL = 0.04, 3600.0  # seconds between two frames
MAX_FRAMES = 5000
_FRAME_QUALITY = 95


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
    if others:
        reason = _("no photo ({count} files like this are left out)").format(count=others)
        rejected.append(RejectedItem(next(entry for entry in tree.names if not looks_like_image(entry)), reason, ""))
    return Intake(added, known, tuple(rejected))


def add_video(project: Project, path: Path, name: str, every: float, progress: Progress = SILENT) -> Intake:
    """Add one frame of the video ``path`` every ``every`` seconds, as JPEG; ``name`` is that of the video.

    At most 5000 frames are taken; told where there would be more. Raise ``DataError`` for a file that is no video, and
    where PyAV is not installed.
    """
    open_video = _load_reader()
    require_in_range("every", every, MIN_INTERVAL, MAX_INTERVAL)
    stem = photo_intake.clean_name(name).rpartition(".")[0] or "video"
    added, known = 0, 0
    rejected: list[RejectedItem] = []
    with open_video(path, FrameRange(time_step=every)) as video:
        expected = min(video.expected_frames, MAX_FRAMES)
        with progress.open_stage(_("Taking frames from the video"), expected) as stage:
            for place, frame in enumerate(video.iter_frames()):
                if place == MAX_FRAMES:
                    reason = _("the video has more frames; the first {count} were taken").format(count=MAX_FRAMES)
                    rejected.append(RejectedItem(name, reason, _("choose a longer interval")))
                    break
                data = images.encode_jpeg(frame.image, _FRAME_QUALITY)
                found = photo_intake.add_upload(project, f"{stem}_{frame.index:06d}.jpg", data)
                added, known = added + found.added, known + found.known
                stage.advance()
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
