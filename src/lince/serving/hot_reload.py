"""Reloads models whose files change while the server runs, without interrupting requests.

The new version is loaded and tested beside the old one, then replaces it between two requests; requests in progress end
with the version they began with. A version that cannot be used is logged, and the old one stays.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from lince.serving import json_logs
from lince.serving.model_registry import FileStamp, ModelRegistry, ServedModel, compute_file_stamp
from lince.serving.prometheus import ServerMetrics


@dataclass(eq=False)
class ModelReloader:
    """Checks the files of all ``models`` every ``interval`` seconds."""

    models: ModelRegistry
    metrics: ServerMetrics
    interval: float
    _last_stamps: dict[str, FileStamp | None] = field(default_factory=dict)

    async def watch(self) -> None:
        """Check until cancelled; files and networks are read in a thread, so the event loop is not blocked."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "lince-reload") as thread:
            while True:
                await asyncio.sleep(self.interval)
                await loop.run_in_executor(thread, self.reload_changed)

    def reload_changed(self) -> None:
        """Reload every model whose files have changed since it was loaded, and not since the last check.

        The second condition leaves files alone that are still being copied.
        """
        for served in self.models:
            stamp = compute_file_stamp(served.path)
            is_settled = stamp == self._last_stamps.get(served.name)
            self._last_stamps[served.name] = stamp
            if stamp is not None and is_settled and stamp != served.file_stamp:
                served.file_stamp = stamp
                self._reload(served)

    def _reload(self, served: ServedModel) -> None:
        """Reload one model and count the outcome; any exception is logged and the old version kept."""
        with ThreadPoolExecutor(1) as thread:
            future = thread.submit(self.models.reload, served)
        error = future.exception()
        if error is None:
            self.metrics.count_reload(served.name, "taken")
            json_logs.log_event("reloaded", model=served.name)
        else:
            served.reload_failed = True
            self.metrics.count_reload(served.name, "refused")
            json_logs.log_event("reload refused", logging.ERROR, model=served.name, reason=str(error))
