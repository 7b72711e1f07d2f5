"""What Prometheus reads: requests, rows, categories that were never seen, what was kept, which version answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from include.serving.service import Service

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One for all use cases of a process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests, by status", "route", "status")
        self.rows = self._counter("rows", "Rows that were scored", "role")
        self.unseen = self._counter("unseen_categories", "Values that were not learned, scored as unknown", "column")
        self.refusals = self._counter("refusals", "Problems that were answered, by code", "code")
        self.labels = self._counter("labels", "Labels that came back")
        self.seconds = Histogram(
            "modelops_request_seconds",
            "From the first byte to the answer",
            ["use_case", "route"],
            buckets=SECONDS,
            registry=self.registry,
        )

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"modelops_{name}", about, ["use_case", *labels], registry=self.registry)

    def watch(self, service: Service) -> None:
        """Tell of ``service`` what is counted where it happens, at each scrape."""
        self.registry.register(_Watched(service))


class _Watched(Collector):
    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        service, name = self._service, self._service.name
        about = GaugeMetricFamily(
            "modelops_model_info",
            "1 for each version that answers",
            labels=["use_case", "role", "version", "model_sha256"],
        )
        for role, scorer in (("champion", service.follower.champion), ("challenger", service.follower.challenger)):
            if scorer is not None:
                about.add_metric([name, role, scorer.version, scorer.model.manifest.model_sha256], 1)
        yield about
        current = GaugeMetricFamily(
            "modelops_model_is_current", "Whether the registry's champion answers", labels=["use_case"]
        )
        current.add_metric([name], float(service.follower.is_current))
        yield current
        trouble = GaugeMetricFamily(
            "modelops_trouble", "1 for each thing that is not as it should be", labels=["use_case", "code"]
        )
        for code in sorted({one.code for one in service.follower.troubles}):
            trouble.add_metric([name, code], 1)
        yield trouble
        for family, about_it, value in service.counted():
            counter = CounterMetricFamily(f"modelops_{family}", about_it, labels=["use_case"])
            counter.add_metric([name], value)
            yield counter
