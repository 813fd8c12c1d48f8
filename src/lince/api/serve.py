"""The verb that serves: models answer over HTTP until the process is told to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.serving import server
from lince.serving.app import create_app
from lince.serving.model_registry import ModelRegistry
from lince.serving.prometheus import ServerMetrics
from lince.serving.settings import ServerSettings

__all__ = ["serve"]


def serve(
    models: Mapping[str, str | Path] | str | Path,
    settings: ServerSettings | None = None,
    tell: Callable[[str], None] | None = None,
    progress: Progress = SILENT,
) -> None:
    """Answer over HTTP with ``models`` until the process is told to end (SIGTERM, or Ctrl-C).

    ``models`` are runs, model folders or ``.lince`` files by the names under which they are served, or one of them;
    ``tell`` hears the address as soon as it can be used. Raises ``ModelError`` when one cannot be loaded, and
    ``UsageError`` when the address cannot be had.
    """
    chosen = settings or ServerSettings()
    served = ModelRegistry(chosen, ServerMetrics())
    named = models if isinstance(models, Mapping) else {"": models}
    with progress.open_stage(_("Loading models"), len(named)) as stage:
        for name, path in named.items():
            served.add(path, name)
            stage.advance()
    server.run(create_app(served, chosen), chosen, tell or progress.show_message)
