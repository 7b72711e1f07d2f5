"""What Prometheus reads: requests, rows, categories that were never seen, what was kept, which version answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
        self._watched: list[Service] = []
        self.registry.register(_Watched(self._watched))

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"modelops_{name}", about, ["use_case", *labels], registry=self.registry)

    def watch(self, service: Service) -> None:
        """Tell of ``service`` what is counted where it happens, at each scrape."""
        self._watched.append(service)


class _Watched(Collector):
    """Each family once for all services: the text format has one ``# TYPE`` for it, and its samples behind that."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._services = services

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from (self._versions(), self._current(), self._troubles(), *self._counters())

    def _versions(self) -> Metric:
        labels = ["use_case", "role", "version", "model_sha256"]
        found = GaugeMetricFamily("modelops_model_info", "1 for each version that answers", labels=labels)
        for service in self._services:
            follower = service.follower
            for role, scorer in (("champion", follower.champion), ("challenger", follower.challenger)):
                if scorer is not None:
                    found.add_metric([service.name, role, scorer.version, scorer.model.manifest.model_sha256], 1)
        return found

    def _current(self) -> Metric:
        about = "Whether the registry's champion answers"
        found = GaugeMetricFamily("modelops_model_is_current", about, labels=["use_case"])
        for service in self._services:
            found.add_metric([service.name], float(service.follower.is_current))
        return found

    def _troubles(self) -> Metric:
        about = "1 for each thing that is not as it should be"
        found = GaugeMetricFamily("modelops_trouble", about, labels=["use_case", "code"])
        for service in self._services:
            for code in sorted({one.code for one in service.follower.troubles}):
                found.add_metric([service.name, code], 1)
        return found

    def _counters(self) -> Iterable[Metric]:
        found: dict[str, CounterMetricFamily] = {}
        for service in self._services:
            for name, about, value in service.counted():
                new = CounterMetricFamily(f"modelops_{name}", about, labels=["use_case"])
                found.setdefault(name, new).add_metric([service.name], value)
        return found.values()
