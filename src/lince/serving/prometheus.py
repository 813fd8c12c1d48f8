"""Prometheus metrics of the server: requests, images, batches, reloads, queue; no contents or names of images."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64)
_ROUTE_LABELS = ("route", "code")


class ServerMetrics:
    """The server's metrics, with those of the process and the platform.

    They are in a registry of their own, so that several servers can run in one process. Labels only take values that
    the server chooses (route patterns, status codes, model names), which bounds their number.
    """

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
        """Count one finished request; ``route`` is the route's pattern, ``received`` the bytes of its body."""
        code = str(status)
        self._requests.labels(route, code).inc()
        self._request_seconds.labels(route, code).observe(seconds)
        self._images.inc(images)
        self._received_bytes.inc(received)

    def observe_batch(self, model: str, images: int, seconds: float) -> None:
        """Count one batch of ``images`` that ``model`` predicted in ``seconds``."""
        self._batch_images.labels(model).observe(images)
        self._batch_seconds.labels(model).observe(seconds)

    def count_reload(self, model: str, outcome: str) -> None:
        """Count a reload of ``model``; ``outcome`` is "taken" or "refused"."""
        self._reloads.labels(model, outcome).inc()

    def render_text(self) -> bytes:
        """Return all metrics in Prometheus's text exposition format."""
        return generate_latest(self.registry)

    def track_queue(self, model: str, get_length: Callable[[], float]) -> None:
        """Read the number of images pending for ``model`` from ``get_length`` whenever metrics are rendered."""
        self._queue_images.labels(model).set_function(get_length)

    def track_active_requests(self, get_count: Callable[[], float]) -> None:
        """Read the number of active requests from ``get_count`` whenever metrics are rendered."""
        self._active_requests.set_function(get_count)
