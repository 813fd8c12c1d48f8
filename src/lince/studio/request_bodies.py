"""The bodies that the pages send, checked by pydantic."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Key = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[\w.:-]+$")]
_MAX_EDITS = 5000


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TargetBody(_Body):
    """What is edited."""

    kind: str
    id: str


class EditBody(_Body):
    """One edit: the state that the page saw and the one it wants, ``null`` for absence.

    Edits with the same ``act`` are undone as one; by default each is one of its own.
    """

    key: Key
    act: Key | None = None
    target: TargetBody
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class EditsBody(_Body):
    """Edits that are made one by one."""

    session: str = Field(default="", max_length=60)
    edits: list[EditBody] = Field(max_length=_MAX_EDITS)


class ActBody(EditsBody):
    """Edits that are made and undone as one; ``wide`` is an act on the project, not on one photo."""

    key: Key
    wide: bool = True


class UndoBody(_Body):
    """Undo or redo on a photo, or, without one, of acts on the project; ``brief`` asks for counts alone."""

    key: Key
    session: str = Field(default="", max_length=60)
    photo: int | None = None
    brief: bool = False


class RestoreBody(UndoBody):
    """Back to what a photo or the project was after an event."""

    seq: int = Field(ge=0)


class FolderBody(_Body):
    """A folder on the machine of the studio."""

    folder: str = Field(min_length=1, max_length=4096)


class ImportBody(FolderBody):
    """A labelled data set on the machine of the studio."""

    key: Key
    format: str | None = None


class TaskBody(_Body):
    """What the labels are for."""

    task: str


class PresenceBody(_Body):
    """Which photo a page shows."""

    session: str = Field(min_length=1, max_length=60)
    photo: int | None = None


class NextBody(_Body):
    """Which photo comes next, after the one shown."""

    session: str = Field(default="", max_length=60)
    after: int | None = None


class ArchiveBody(_Body):
    """An export to a zip archive."""

    format: str
    with_photos: bool = True
    lossy: bool = False


class ExportBody(ArchiveBody):
    """An export to a folder."""

    folder: str = Field(min_length=1, max_length=4096)


class TakeBody(_Body):
    """What is done with a whole upload: the ``name`` of its file, and the seconds between two frames of a video.

    ``changed`` takes of these only the frames that show something new.
    """

    name: str = Field(min_length=1, max_length=255)
    every: float | None = None
    changed: bool = False


class UploadBody(_Body):
    """An upload that comes in pieces."""

    size: int = Field(ge=0)


class VideoBody(_Body):
    """A video on the machine of the studio."""

    path: str = Field(min_length=1, max_length=4096)
    every: float
    changed: bool = False


class SampleBody(_Body):
    """Photos to try the studio with."""

    key: Key
    session: str = Field(default="", max_length=60)
    task: str


class ChangeBody(_Body):
    """Fields of a photo's state that many photos get; ``seen`` is the last event that the page had heard of."""

    key: Key
    session: str = Field(default="", max_length=60)
    photos: list[int] = Field(max_length=1_000_000)
    fields: dict[str, Any]
    seen: int | None = None


class RetireBody(_Body):
    """A class that is no longer used; ``into`` is the class that its labels get, ``null`` to remove them."""

    key: Key
    session: str = Field(default="", max_length=60)
    into: int | None = None


class EnterBody(_Body):
    """A name and its password."""

    name: str = Field(min_length=1, max_length=100)
    password: str = Field(min_length=1, max_length=200, repr=False)


class PasswordBody(_Body):
    """One's own password and a new one."""

    old: str = Field(min_length=1, max_length=200, repr=False)
    new: str = Field(max_length=200, repr=False)


class NameBody(_Body):
    """A person of the project."""

    name: str = Field(min_length=1, max_length=100)


class PersonBody(NameBody):
    """A person who is added, or whose role or password changes; ``null`` leaves what is there."""

    role: str | None = None
    password: str | None = Field(default=None, max_length=200, repr=False)
    is_new: bool = False
