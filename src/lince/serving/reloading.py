"""A model whose files change is loaded beside the old one, tried, and put in its place between two requests.

What is under way ends with the version that it began with. A version that cannot be used is refused and told in the
log, and the old one goes on.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from lince.serving import logs
from lince.serving.metrics import Metrics
from lince.serving.models import Models, Served, Stamp, stamp


@dataclass(eq=False)
class Reloader:
    """Looks for changed files every ``seconds``."""

    models: Models
    metrics: Metrics
    seconds: float
    _seen: dict[str, Stamp | None] = field(default_factory=dict)

    async def watch(self) -> None:
        """Look again and again, until cancelled; files and networks are read in a thread of their own."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "lince-reload") as thread:
            while True:
                await asyncio.sleep(self.seconds)
                await loop.run_in_executor(thread, self.look)

    def look(self) -> None:
        """Take over every model that has changed since it was loaded, and not since the last look."""
        for served in self.models:
            found = stamp(served.path)
            settled = found == self._seen.get(served.name)
            self._seen[served.name] = found
            if found is not None and settled and found != served.stamp:
                served.stamp = found
                self._renew(served)

    def _renew(self, served: Served) -> None:
        with ThreadPoolExecutor(1) as thread:
            trying = thread.submit(self.models.renew, served)
        # Whatever is wrong with a new version, the old one goes on.
        error = trying.exception()
        if error is None:
            self.metrics.reload(served.name, "taken")
            logs.tell("reloaded", model=served.name)
        else:
            served.trouble = True
            self.metrics.reload(served.name, "refused")
            logs.tell("reload refused", logging.ERROR, model=served.name, reason=str(error))
