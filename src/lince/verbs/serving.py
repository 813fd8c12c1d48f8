"""The verb that serves: models answer over HTTP until the process is told to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from lince.messages import _
from lince.progress import SILENT, Progress
from lince.serving import running
from lince.serving.app import create_app
from lince.serving.metrics import Metrics
from lince.serving.models import Models
from lince.serving.settings import Settings

__all__ = ["serve"]


def serve(
    models: Mapping[str, str | Path] | str | Path,
    settings: Settings | None = None,
    tell: Callable[[str], None] | None = None,
    progress: Progress = SILENT,
) -> None:
    """Answer over HTTP with ``models`` until the process is told to end (SIGTERM, or Ctrl-C).

    ``models`` are runs, model folders or ``.lince`` files by the names under which they are served, or one of them;
    ``tell`` hears the address as soon as it can be used. Raises ``ModelError`` when one cannot be loaded, and
    ``UsageError`` when the address cannot be had.
    """
    chosen = settings or Settings()
    served = Models(chosen, Metrics())
    named = models if isinstance(models, Mapping) else {"": models}
    with progress.stage(_("Loading models"), len(named)) as stage:
        for name, path in named.items():
            served.add(path, name)
            stage.advance()
    running.run(create_app(served, chosen), chosen, tell or progress.say)
