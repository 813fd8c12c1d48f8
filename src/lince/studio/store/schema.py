"""The tables of a project, as SQLAlchemy Core; the same on SQLite and PostgreSQL.

Every id is permanent: a photo that leaves the project, a class that is merged and an edit that is undone keep theirs.
``events`` is the journal: rows are only ever added to it, and the other tables follow from it (``replay_events``).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

REVISION = "0001"  # of the newest migration; a file with another one that is not known here is newer than this lince
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)
# SQLite numbers the rows of an INTEGER primary key alone by itself.
_ROW_NUMBER = BigInteger().with_variant(Integer, "sqlite")

meta = Table("meta", metadata, Column("key", String(64), primary_key=True), Column("value", Text, nullable=False))

photos = Table(
    "photos",
    metadata,
    Column("id", _ROW_NUMBER, primary_key=True),
    Column("root", Text, nullable=False),  # the folder the photo is in; empty for the project's own folder of photos
    Column("path", Text, nullable=False),  # from there, with '/'
    Column("digest", String(32), nullable=False),  # of the content, hexadecimal
    Column("width", Integer, nullable=False),  # pixels, upright
    Column("height", Integer, nullable=False),
    Column("orientation", Integer, nullable=False),  # Exif, 1 to 8
    Column("bytes", BigInteger, nullable=False),
    Column("added", String(32), nullable=False),  # ISO 8601, UTC
    Column("state", String(8), nullable=False, server_default="new"),  # new, draft, done, skipped
    Column("split", String(8), nullable=False, server_default=""),  # train, val, test or empty
    Column("flag", Text, nullable=False, server_default=""),  # why somebody should look at it; empty for none
    Column("removed", Boolean, nullable=False, server_default="0"),  # from the project; the file stays
    Column("assignee", String(64), nullable=False, server_default=""),
    Column("lease_until", Float, nullable=False, server_default="0"),  # seconds since 1970
    Column("version", Integer, nullable=False, server_default="0"),  # how many edits it has had
    Column("shapes", Integer, nullable=False, server_default="0"),  # how many there are now
    UniqueConstraint("root", "path"),
    Index("ix_photos_state", "state", "id"),
    Index("ix_photos_digest", "digest"),
    Index("ix_photos_assignee", "assignee", "id"),
)

classes = Table(
    "classes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("colour", String(7), nullable=False),  # #rrggbb
    Column("key", String(1), nullable=False),  # a digit on the keyboard, or empty
    Column("position", Integer, nullable=False),
    Column("alive", Boolean, nullable=False),
    Column("merged_into", Integer),
    Index(
        "uq_classes_living_name", "name", unique=True, sqlite_where=Column("alive"), postgresql_where=Column("alive")
    ),
)

photo_classes = Table(
    "photo_classes",
    metadata,
    Column("photo_id", _ROW_NUMBER, ForeignKey("photos.id"), primary_key=True),
    Column("class_id", Integer, ForeignKey("classes.id"), primary_key=True),
    Index("ix_photo_classes_class_id", "class_id", "photo_id"),
)

shapes = Table(
    "shapes",
    metadata,
    Column("id", String(36), primary_key=True),  # UUID, version 7, made by the page
    Column("photo_id", _ROW_NUMBER, ForeignKey("photos.id"), nullable=False),
    Column("class_id", Integer, ForeignKey("classes.id"), nullable=False),
    Column("kind", String(8), nullable=False),  # box, polygon, mask
    Column("x0", Float(53), nullable=False),  # the bounding box in pixels of the upright photo, as lince.geometry
    Column("y0", Float(53), nullable=False),
    Column("x1", Float(53), nullable=False),
    Column("y1", Float(53), nullable=False),
    Column("rings", Text, nullable=False, server_default=""),  # JSON [[[x, y], ...], ...] of a polygon
    Column("mask", Text, nullable=False, server_default=""),  # compressed RLE of the whole photo (see lince.rle)
    Column("flags", Integer, nullable=False, server_default="0"),  # bits as in lince.annotations
    Column("source", String(8), nullable=False),  # person, model, import, copied
    Column("model", Text, nullable=False, server_default=""),
    Column("score", Float(53)),
    Column("z", Integer, nullable=False, server_default="0"),  # order on the photo, lowest first
    Index("ix_shapes_photo_id", "photo_id"),
    Index("ix_shapes_class_id", "class_id", "photo_id"),
)

comments = Table(
    "comments",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("photo_id", _ROW_NUMBER, ForeignKey("photos.id"), nullable=False),
    Column("shape_id", String(36), nullable=False, server_default=""),  # empty for the photo as a whole
    Column("who", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("done", Boolean, nullable=False),
    Index("ix_comments_photo_id", "photo_id"),
)

people = Table(
    "people",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("colour", String(7), nullable=False),
    Column("role", String(16), nullable=False),  # owner, labeller, reader
    Column("secret_hash", Text, nullable=False, server_default=""),
)

events = Table(
    "events",
    metadata,
    Column("seq", _ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("key", String(80), nullable=False),  # made by the page: the same edit sent twice is one event
    Column("at", String(32), nullable=False),  # ISO 8601, UTC
    Column("who", String(64), nullable=False),
    Column("session", String(64), nullable=False),
    Column("act", String(80), nullable=False),  # what is undone as one: the key of its first event
    Column("wide", Boolean, nullable=False),  # whether the act is one on the project, not on one photo
    Column("photo_id", _ROW_NUMBER, ForeignKey("photos.id")),
    Column("version", Integer),  # of the photo, after the event
    Column("kind", String(16), nullable=False),  # edit, undo, redo, restore, import
    Column("target", String(8), nullable=False),  # photo, shape, class, comment
    Column("target_id", String(36), nullable=False),
    Column("before", Text),  # state of the target as canonical JSON; NULL where it did not exist
    Column("after", Text),
    Column("undoes", String(80)),  # the act that an undo or redo takes back
    UniqueConstraint("key"),
    UniqueConstraint("photo_id", "version"),
    Index("ix_events_act", "act"),
    Index("ix_events_target", "target", "target_id", "seq"),
    Index("ix_events_who", "who", "wide", "seq"),
    # An id is never given twice, not even after the newest rows were lost with a restored copy of the file.
    sqlite_autoincrement=True,
)
