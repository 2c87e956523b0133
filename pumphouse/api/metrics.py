"""What Prometheus reads: how migrations and their steps are, and what the clouds were asked."""

from __future__ import annotations

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from flask import Blueprint, Flask, Response, current_app
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pumphouse.api.auth import allow
from pumphouse.api.routes import service
from pumphouse.model import Action, Ref
from pumphouse.service import Pumphouse
from pumphouse.service.steps import StepRecord
from pumphouse.store.migrations import MigrationRecord
from pumphouse.store.states import MigrationState

_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
_REGISTRY = "pumphouse-metrics"
_UNDER_WAY = (
    MigrationState.RUNNING,
    MigrationState.CANCELLING,
    MigrationState.ROLLING_BACK,
    MigrationState.PAUSED,
)
_CLOUD = ["cloud", "service"]


class CloudMetrics:
    """Counts the requests that this process sends to clouds: a listener of the clouds' senders."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "pumphouse_cloud_requests",
            "Requests sent to a cloud's service, repeats included. The outcome is the status.",
            [*_CLOUD, "method", "outcome"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "pumphouse_cloud_request_seconds",
            "How long a service took to answer.",
            _CLOUD,
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._waits = Counter(
            "pumphouse_cloud_wait_seconds",
            "Seconds spent waiting before a request was sent again.",
            _CLOUD,
            registry=self.registry,
        )

    def sent(self, cloud: str, service: str, method: str, outcome: str, seconds: float) -> None:
        """A request was answered, or was not."""
        self._requests.labels(cloud, service, method, outcome).inc()
        self._seconds.labels(cloud, service).observe(seconds)

    def waited(self, cloud: str, service: str, seconds: float) -> None:
        """A request waits before it is sent again."""
        self._waits.labels(cloud, service).inc(seconds)


class StoreMetrics(Collector):
    """What the store tells at the time of asking, of all processes' migrations."""

    def __init__(self, app: Pumphouse) -> None:
        self._app = app

    def describe(self) -> list[Metric]:
        """Nothing beforehand: the store is not asked before somebody wants to know."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        migrations = GaugeMetricFamily("pumphouse_migrations", "Migrations by state.", labels=["state"])
        counts = self._app.store.migrations.counts()
        for state in MigrationState:
            migrations.add_metric([state], counts.get(state, 0))
        yield migrations
        wanted = GaugeMetricFamily(
            "pumphouse_migrations_wanted", "Migrations that wait or are being worked on.", labels=["wanted"]
        )
        for name, count in Tally(str(one.wanted) for one in self._app.store.wishes.open()).items():
            wanted.add_metric([name], count)
        yield wanted
        yield from self._steps()

    def _steps(self) -> Iterator[Metric]:
        labels = ["migration", "type"]
        steps = GaugeMetricFamily(
            "pumphouse_steps", "Steps by state, of migrations under way.", labels=[*labels, "state"]
        )
        seconds = GaugeMetricFamily("pumphouse_step_seconds", "What steps took so far.", labels=labels)
        data = GaugeMetricFamily(
            "pumphouse_bytes",
            "Bytes of resources that are planned, and have arrived.",
            labels=[*labels, "of"],
        )
        for record in self._app.store.migrations.list(state=_UNDER_WAY):
            for kind, states in self._app.step_counts(record.id).items():
                for state, count in states.items():
                    steps.add_metric([record.id, kind, state], count)
            found = self._app.steps(record.id)
            took: dict[str, float] = defaultdict(float)
            for one in found:
                took[Ref.parse(one.resource).type] += one.seconds or 0.0
            for kind, value in sorted(took.items()):
                seconds.add_metric([record.id, kind], value)
            for (kind, of), size in sorted(self._bytes(record, found).items()):
                data.add_metric([record.id, kind, of], size)
        yield from (steps, seconds, data)

    def _bytes(self, record: MigrationRecord, steps: Iterable[StepRecord]) -> Mapping[tuple[str, str], int]:
        unfinished = {one.resource for one in steps if one.state != "SUCCESS"}
        found: Tally[tuple[str, str]] = Tally()
        for one in self._app.plan_of(record.id).doing(Action.CREATE, Action.UPDATE):
            found[one.ref.type, "planned"] += one.bytes
            found[one.ref.type, "arrived"] += 0 if str(one.ref) in unfinished else one.bytes
        return found


blueprint = Blueprint("metrics", __name__)


def install(app: Flask, registry: CollectorRegistry) -> None:
    """Serve what this registry has, and what the store tells."""
    app.extensions[_REGISTRY] = registry
    app.register_blueprint(blueprint)


@blueprint.get("/metrics")
@allow("metrics:read")
def metrics() -> Response:
    """Everything, in Prometheus' text."""
    registry = CollectorRegistry()
    registry.register(StoreMetrics(service()))
    text = generate_latest(current_app.extensions[_REGISTRY]) + generate_latest(registry)
    return Response(text, content_type=CONTENT_TYPE_LATEST)
