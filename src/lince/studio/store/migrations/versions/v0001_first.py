"""The first tables of a project."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "classes",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("colour", sa.String(length=7), nullable=False),
        sa.Column("key", sa.String(length=1), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("alive", sa.Boolean(), nullable=False),
        sa.Column("merged_into", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_classes"),
    )
    op.create_index(
        "uq_classes_living_name",
        "classes",
        ["name"],
        unique=True,
        sqlite_where=sa.text("alive"),
        postgresql_where=sa.text("alive"),
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_meta"),
    )
    op.create_table(
        "people",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("colour", sa.String(length=7), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("secret_hash", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
    )
    op.create_table(
        "photos",
        sa.Column("id", _ROW_NUMBER, nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("orientation", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("added", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=8), server_default="new", nullable=False),
        sa.Column("split", sa.String(length=8), server_default="", nullable=False),
        sa.Column("flag", sa.Text(), server_default="", nullable=False),
        sa.Column("removed", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("assignee", sa.String(length=64), server_default="", nullable=False),
        sa.Column("lease_until", sa.Float(), server_default="0", nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("shapes", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_photos"),
        sa.UniqueConstraint("root", "path", name="uq_photos_root_path"),
    )
    op.create_index("ix_photos_assignee", "photos", ["assignee", "id"], unique=False)
    op.create_index("ix_photos_digest", "photos", ["digest"], unique=False)
    op.create_index("ix_photos_state", "photos", ["state", "id"], unique=False)
    op.create_table(
        "comments",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("photo_id", _ROW_NUMBER, nullable=False),
        sa.Column("shape_id", sa.String(length=36), server_default="", nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_comments_photo_id"),
        sa.PrimaryKeyConstraint("id", name="pk_comments"),
    )
    op.create_index("ix_comments_photo_id", "comments", ["photo_id"], unique=False)
    op.create_table(
        "events",
        sa.Column("seq", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("session", sa.String(length=64), nullable=False),
        sa.Column("act", sa.String(length=80), nullable=False),
        sa.Column("wide", sa.Boolean(), nullable=False),
        sa.Column("photo_id", _ROW_NUMBER, nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("target", sa.String(length=8), nullable=False),
        sa.Column("target_id", sa.String(length=36), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("undoes", sa.String(length=80), nullable=True),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_events_photo_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
        sa.UniqueConstraint("key", name="uq_events_key"),
        sa.UniqueConstraint("photo_id", "version", name="uq_events_photo_id_version"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_act", "events", ["act"], unique=False)
    op.create_index("ix_events_target", "events", ["target", "target_id", "seq"], unique=False)
    op.create_index("ix_events_who", "events", ["who", "wide", "seq"], unique=False)
    op.create_table(
        "photo_classes",
        sa.Column("photo_id", _ROW_NUMBER, nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["class_id"], ["classes.id"], name="fk_photo_classes_class_id"),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_photo_classes_photo_id"),
        sa.PrimaryKeyConstraint("photo_id", "class_id", name="pk_photo_classes"),
    )
    op.create_index("ix_photo_classes_class_id", "photo_classes", ["class_id", "photo_id"], unique=False)
    op.create_table(
        "shapes",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("photo_id", _ROW_NUMBER, nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("x0", sa.Float(precision=53), nullable=False),
        sa.Column("y0", sa.Float(precision=53), nullable=False),
        sa.Column("x1", sa.Float(precision=53), nullable=False),
        sa.Column("y1", sa.Float(precision=53), nullable=False),
        sa.Column("rings", sa.Text(), server_default="", nullable=False),
        sa.Column("mask", sa.Text(), server_default="", nullable=False),
        sa.Column("flags", sa.Integer(), server_default="0", nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("model", sa.Text(), server_default="", nullable=False),
        sa.Column("score", sa.Float(precision=53), nullable=True),
        sa.Column("z", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["class_id"], ["classes.id"], name="fk_shapes_class_id"),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_shapes_photo_id"),
        sa.PrimaryKeyConstraint("id", name="pk_shapes"),
    )
    op.create_index("ix_shapes_class_id", "shapes", ["class_id", "photo_id"], unique=False)
    op.create_index("ix_shapes_photo_id", "shapes", ["photo_id"], unique=False)
