"""What the server counts of itself, as Prometheus reads it; nothing of what photos show or are called."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64)
_ROUTE_LABELS = ("route", "code")


class ServerMetrics:
    """The server's counters, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counter(
            "lince_requests", "Requests by route and status.", _ROUTE_LABELS, registry=self.registry
        )
        self._request_seconds = Histogram(
            "lince_request_seconds",
            "Seconds from a request's head to its answer.",
            _ROUTE_LABELS,
            buckets=_SECONDS_BUCKETS,
            registry=self.registry,
        )
        self._images = Counter("lince_images", "Images received.", registry=self.registry)
        self._received_bytes = Counter("lince_received_bytes", "Bytes of bodies received.", registry=self.registry)
        self._batch_images = Histogram(
            "lince_batch_images",
            "Images answered in one call of the network.",
            ("model",),
            buckets=_BATCH_BUCKETS,
            registry=self.registry,
        )
        self._batch_seconds = Histogram(
            "lince_batch_seconds",
            "Seconds that a batch took under way.",
            ("model",),
            buckets=_SECONDS_BUCKETS,
            registry=self.registry,
        )
        self._reloads = Counter(
            "lince_reloads", "Changed models that were taken over or refused.", ("model", "outcome"),
            registry=self.registry,
        )  # fmt: skip
        self._queue_images = Gauge(
            "lince_queue_images", "Images taken in, not answered.", ("model",), registry=self.registry
        )
        self._active_requests = Gauge("lince_requests_under_way", "Requests under way.", registry=self.registry)

    def observe_request(self, route: str, status: int, seconds: float, images: int, received: int) -> None:
        """Count a request that was answered."""
        code = str(status)
        self._requests.labels(route, code).inc()
        self._request_seconds.labels(route, code).observe(seconds)
        self._images.inc(images)
        self._received_bytes.inc(received)

    def observe_batch(self, model: str, photos: int, seconds: float) -> None:
        """Count a batch of ``photos`` that ``model`` answered in ``seconds``."""
        self._batch_images.labels(model).observe(photos)
        self._batch_seconds.labels(model).observe(seconds)

    def count_reload(self, model: str, outcome: str) -> None:
        """Count that a changed ``model`` was ``taken`` over or ``refused``."""
        self._reloads.labels(model, outcome).inc()

    def render_text(self) -> bytes:
        """Return the counters in Prometheus's text format."""
        return generate_latest(self.registry)

    def track_queue(self, model: str, waiting: Callable[[], float]) -> None:
        """Ask ``waiting`` for the photos before ``model`` when somebody reads the counters."""
        self._queue_images.labels(model).set_function(waiting)

    def track_active_requests(self, under_way: Callable[[], float]) -> None:
        """Ask ``under_way`` for the requests when somebody reads the counters."""
        self._active_requests.set_function(under_way)
