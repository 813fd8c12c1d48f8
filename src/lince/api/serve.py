"""Serves models over HTTP: ``lince.serve``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from lince import outputs
from lince.i18n import _
from lince.notebook_progress import AUTOMATIC
from lince.progress import Progress
from lince.serving import server
from lince.serving.app import create_app
from lince.serving.model_registry import ModelRegistry
from lince.serving.prometheus import ServerMetrics
from lince.serving.settings import ServerSettings

__all__ = ["serve"]


def serve(
    models: Mapping[str, str | os.PathLike[str]] | str | os.PathLike[str],
    settings: ServerSettings | None = None,
    on_started: Callable[[str], None] | None = None,
    progress: Progress = AUTOMATIC,
) -> None:
    """Serve ``models`` over HTTP until the process gets SIGTERM or Ctrl-C.

    ``models`` maps the name under which each is served to a run, a model folder or a ``.lince`` file; or it is a single
    one of these. ``on_started`` is called once with the URL of the server; by default it is shown as a message of
    ``progress``.

    Raises ``ModelError`` when a model cannot be loaded, and ``UsageError`` when the address cannot be opened, or the
    folder for corrections is a file or a run.
    """
    server_settings = settings or ServerSettings()
    if server_settings.corrections_folder is not None:
        outputs.require_collecting_folder(server_settings.corrections_folder)
    registry = ModelRegistry(server_settings, ServerMetrics())
    paths = models if isinstance(models, Mapping) else {"": models}
    with progress.open_stage(_("Loading models"), len(paths)) as stage:
        for name, path in paths.items():
            registry.add(path, name)
            stage.advance()
    server.run(create_app(registry, server_settings), server_settings, on_started or progress.show_message)
