"""What the server counts of itself, as Prometheus reads it; nothing of what photos show or are called."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_PHOTOS = (1, 2, 4, 8, 16, 32, 64)
_ROUTES = ("route", "code")


class Metrics:
    """The server's counters, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counter("lince_requests", "Requests by route and status.", _ROUTES, registry=self.registry)
        self._seconds = Histogram(
            "lince_request_seconds",
            "Seconds from a request's head to its answer.",
            _ROUTES,
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._images = Counter("lince_images", "Images received.", registry=self.registry)
        self._bytes = Counter("lince_received_bytes", "Bytes of bodies received.", registry=self.registry)
        self._batches = Histogram(
            "lince_batch_images",
            "Images answered in one call of the network.",
            ("model",),
            buckets=_PHOTOS,
            registry=self.registry,
        )
        self._batch_seconds = Histogram(
            "lince_batch_seconds",
            "Seconds that a batch took under way.",
            ("model",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._reloads = Counter(
            "lince_reloads", "Changed models that were taken over or refused.", ("model", "outcome"),
            registry=self.registry,
        )  # fmt: skip
        self._waiting = Gauge(
            "lince_queue_images", "Images taken in, not answered.", ("model",), registry=self.registry
        )
        self._under_way = Gauge("lince_requests_under_way", "Requests under way.", registry=self.registry)

    def request(self, route: str, status: int, seconds: float, images: int, received: int) -> None:
        """Count a request that was answered."""
        code = str(status)
        self._requests.labels(route, code).inc()
        self._seconds.labels(route, code).observe(seconds)
        self._images.inc(images)
        self._bytes.inc(received)

    def batch(self, model: str, photos: int, seconds: float) -> None:
        """Count a batch of ``photos`` that ``model`` answered in ``seconds``."""
        self._batches.labels(model).observe(photos)
        self._batch_seconds.labels(model).observe(seconds)

    def reload(self, model: str, outcome: str) -> None:
        """Count that a changed ``model`` was ``taken`` over or ``refused``."""
        self._reloads.labels(model, outcome).inc()

    def text(self) -> bytes:
        """Return the counters in Prometheus's text format."""
        return generate_latest(self.registry)

    def watch_queue(self, model: str, waiting: Callable[[], float]) -> None:
        """Ask ``waiting`` for the photos before ``model`` when somebody reads the counters."""
        self._waiting.labels(model).set_function(waiting)

    def watch_requests(self, under_way: Callable[[], float]) -> None:
        """Ask ``under_way`` for the requests when somebody reads the counters."""
        self._under_way.set_function(under_way)
