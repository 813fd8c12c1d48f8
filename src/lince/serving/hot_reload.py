"""A model whose files change is loaded beside the old one, tried, and put in its place between two requests.

What is under way ends with the version that it began with. A version that cannot be used is refused and told in the
log, and the old one goes on.
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
    """Looks for changed files every ``seconds``."""

    models: ModelRegistry
    metrics: ServerMetrics
    interval: float
    _last_stamps: dict[str, FileStamp | None] = field(default_factory=dict)

    async def watch(self) -> None:
        """Look again and again, until cancelled; files and networks are read in a thread of their own."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "lince-reload") as thread:
            while True:
                await asyncio.sleep(self.interval)
                await loop.run_in_executor(thread, self.reload_changed)

    def reload_changed(self) -> None:
        """Take over every model that has changed since it was loaded, and not since the last look."""
        for served in self.models:
            found = compute_file_stamp(served.path)
            settled = found == self._last_stamps.get(served.name)
            self._last_stamps[served.name] = found
            if found is not None and settled and found != served.file_stamp:
                served.file_stamp = found
                self._reload(served)

    def _reload(self, served: ServedModel) -> None:
        with ThreadPoolExecutor(1) as thread:
            trying = thread.submit(self.models.reload, served)
        # Whatever is wrong with a new version, the old one goes on.
        error = trying.exception()
        if error is None:
            self.metrics.count_reload(served.name, "taken")
            json_logs.log_event("reloaded", model=served.name)
        else:
            served.reload_failed = True
            self.metrics.count_reload(served.name, "refused")
            json_logs.log_event("reload refused", logging.ERROR, model=served.name, reason=str(error))
