"""Brings the tables of an older project up to date, by Alembic; a copy of the file is kept first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from lince.i18n import _
from lince.studio.store import backup
from lince.studio.store.database import NewerProjectError, begin_write
from lince.studio.store.schema import metadata

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade_tables(engine: sa.Engine, revision: str | None, path: Path | None) -> None:
    """Run the migrations from ``revision`` (``None`` for no tables at all) to the newest, in one transaction.

    A copy of ``path``, if given, is kept in its folder ``backups``. Raise ``NewerProjectError`` when the revision is
    not known, because a newer lince has written it.
    """
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}

    def list_steps(revision: Any, _context: Any) -> Any:
        return scripts._upgrade_revs("head", revision)  # as Alembic's manual shows

    if revision is not None and revision not in known:
        raise NewerProjectError(
            _("The project was written by a newer lince."),
            _("Expected one of the layouts {known}, found {found}.").format(
                known=", ".join(sorted(known)), found=revision
            ),
            _("Install that version of lince to open it; nothing was changed."),
        )
    if path is not None:
        backup.copy_database(path, path.parent / backup.FOLDER)
    with begin_write(engine) as connection, EnvironmentContext(config, scripts, fn=list_steps) as environment:
        environment.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        environment.run_migrations()
