"""Writes the labels of a project that is in PostgreSQL to a project file, which every reader of lince opens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from lince.formats.lince_project import FILE_NAME
from lince.studio.store.database import begin_write, create_or_upgrade, open_sqlite
from lince.studio.store.project import Project
from lince.studio.store.schema import classes, meta, photo_classes, photos, shapes

_TABLES = (meta, classes, photos, photo_classes, shapes)
_BATCH = 5000  # rows


@contextmanager
def open_label_folder(project: Project) -> Iterator[Path]:
    """Yield a folder that the readers of lince open: the project's own, or one with its present labels for a while."""
    if project.file is not None:
        yield project.folder
        return
    cache = project.folder / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="labels-", dir=cache, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        engine = open_sqlite(folder / FILE_NAME)
        try:
            create_or_upgrade(engine, folder / FILE_NAME)
            with project.read() as source, begin_write(engine) as target:
                for table in _TABLES:
                    _copy(source, target, table)
                # Uploaded photos lie in the project's folder, not in this one.
                own = sa.update(photos).where(photos.c.root == "")
                target.execute(own.values(root=str(project.photo_folder.resolve())))
        finally:
            engine.dispose()
        yield folder


def _copy(source: sa.Connection, target: sa.Connection, table: sa.Table) -> None:
    rows = source.execution_options(yield_per=_BATCH).execute(sa.select(table)).mappings()
    for part in rows.partitions(_BATCH):
        target.execute(sa.insert(table), [dict(row) for row in part])
