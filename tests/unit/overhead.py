"""A run of the engine whose steps do nothing but write their journal, to see what the engine itself costs."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import sqlalchemy as sa
import toys

from pumphouse.context import Settings
from pumphouse.engine.backend import open_persistence
from pumphouse.engine.control import Control
from pumphouse.engine.heart import Heart
from pumphouse.engine.run import Run
from pumphouse.engine.workplace import Workplace
from pumphouse.fields import copy, key, ref
from pumphouse.model import Inventory, Scope, ScopeKind, Side
from pumphouse.plan.document import Plan
from pumphouse.plan.planner import make_plan
from pumphouse.registry import Registry
from pumphouse.service.plans import save_plan
from pumphouse.steps import Create, Step
from pumphouse.store.opening import open_store
from pumphouse.store.owner import Owner
from pumphouse.store.writer import EventWriter
from pumphouse.transfer import Lane


class Mark(Step):
    """A second step that writes to the journal, as the first does."""

    name = "mark"
    doing = "marks it"

    def run(self) -> None:
        entry = self.context.journal.intend(self.item.ref, self.name, Side.DESTINATION)
        self.context.journal.made(entry, self.destination_id())


class Idle:
    steps = (Create, Mark)

    def create(self, cloud, want):
        return f"made-{want.source.ref.id}"


class Domain(Idle, toys.Domain):
    pass


class Project(Idle, toys.Project):
    pass


class Network(Idle, toys.Network):
    pass


class Subnet(Idle, toys.Subnet):
    pass


class Port(Idle, toys.Port):
    pass


class Server(Idle, toys.Server):
    fields = (
        ref("project_id", to="project", key=True),
        key("name"),
        ref("ports", to="port"),
        copy("metadata"),
    )


class Cost(NamedTuple):
    """What a run took: its steps, its CPU seconds, its statements, and the events that it left."""

    steps: int
    seconds: float
    statements: int
    events: int


def plan(registry: Registry, *, servers: int, networks: int) -> Plan:
    """A tenant of networks and of servers with a port each."""
    one = toys.one
    found = [one("domain", "default", name="Default"), one("project", "p1", name="shop", domain_id="default")]
    for number in range(networks):
        found.append(one("network", f"n{number}", name=f"net-{number}", mtu=1500, external=False))
        found.append(
            one("subnet", f"s{number}", cidr=f"10.0.{number}.0/24", network_id=f"n{number}", note="")
        )
    for number in range(servers):
        home = number % networks
        ips = [{"subnet_id": f"s{home}", "ip_address": f"10.0.{home}.{number}"}]
        found.append(one("port", f"a{number}", network_id=f"n{home}", fixed_ips=ips))
        found.append(one("server", f"v{number}", name=f"web-{number}", ports=[f"a{number}"], metadata={}))
    offers = {"microversions": {"compute": "2.96"}, "extensions": ["net-mtu"]}
    return make_plan(
        Scope(kind=ScopeKind.TENANT, names=("shop",)),
        source=Inventory("source", found, facts=toys.FACTS),
        destination=Inventory(
            "destination", [one("domain", "default", name="Default")], facts={"cloud": offers}
        ),
        registry=registry,
    )


def run(folder: Path, *, servers: int, networks: int) -> Cost:
    """Run such a tenant's plan on an SQLite file, with journal, persistence, events and heartbeat."""
    registry = Registry(kind() for kind in (Domain, Project, Network, Subnet, Port, Server))
    folder.mkdir(parents=True, exist_ok=True)
    with open_store(f"sqlite:///{folder}/pumphouse.db") as store:
        planned = save_plan(store, plan(registry, servers=servers, networks=networks))
        record = store.migrations.create(
            name="it", plan_id=planned.id, source="source", destination="destination", subjects=["p1"]
        )
        epoch = store.migrations.take(record.id, Owner.this_process())
        statements: list[int] = [0]

        def count(*_: Any) -> None:
            statements[0] += 1

        control = Control()
        with (
            EventWriter(store.events) as writer,
            Heart(store.migrations, record.id, epoch, control),
        ):
            place = Workplace(
                store=store,
                registry=registry,
                source=SimpleNamespace(name="source", waiter=None),
                destination=SimpleNamespace(name="destination", waiter=None),
                migration=record,
                plan=planned,
                plans={planned.id: planned},
                known=planned,
                epoch=epoch,
                settings=Settings(),
                passwords=None,
                lane=Lane(transfers=8),
                emit=writer,
                ids=store.ids_of(record),
                access=dict.fromkeys(Side),
            )
            backend = open_persistence(store.engine, guard=store.guard())
            for engine in (store.database.writer, store.database.reader):
                sa.event.listen(engine, "before_cursor_execute", count)
            begin = time.process_time()
            outcomes = Run(place, backend=backend, control=control, jobs=8).run()
        seconds = time.process_time() - begin
        assert {str(outcome.state) for outcome in outcomes.values()} == {"SUCCEEDED"}
        steps = sum(2 for one in planned.resources if str(one.action) == "create")
        return Cost(steps, seconds, statements[0], store.events.last())
