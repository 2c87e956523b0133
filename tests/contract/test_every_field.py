"""Every carried field of every type arrives, and is missed by pumphouse where it does not.

One migration of tenants in which no field has the value that a default would give. What arrived is read by
plain HTTP. What pumphouse makes of a field that did not arrive, or has changed, is asked of its steps and its
report.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from pumphouse import config, errors
from pumphouse.devcloud import TIMINGS, DevCloud, clouds_yaml
from pumphouse.fields import Field
from pumphouse.inventory.collect import collect, complete
from pumphouse.model import Action, Inventory, Ref, Resource, Scope, ScopeKind, Strategy
from pumphouse.plan.document import Plan
from pumphouse.registry import Registry
from pumphouse.report.make import make_report
from pumphouse.service import Pumphouse
from pumphouse.steps import Create, Step, Verify
from tests.unit.tasks.harness import Bench, MemoryJournal

from .everything import READERS, TENANTS, WANTED, Raw, fill, prepare

REGISTRY = Registry.load()
FIELDS = [
    (kind, label, name)
    for kind, labels in WANTED.items()
    for label, fields in labels.items()
    for name in fields
]
FOR_MAPPING = {("group", "domain"), ("user", "domain")}
"""The domain's name tells mapped accounts apart; of the others the domain's id is compared."""
MAY_CHANGE = {("floating_ip", "floating_ip_address")}
"""The destination may well have another value."""
SET_LATER = {("server", "locked"), ("server", "locked_reason")}
"""Set after the verification, so that the report alone tells."""
NAMES = {
    ("role_assignment", "of bob"): "clerk: bob on shop",
    ("role_assignment", "of staff"): "reader: group staff on domain corp (inherited)",
    ("security_group_rule", "names"): "loose: egress IPv4 udp 53-54 to 192.0.2.0/24",
    ("security_group_rule", "of others"): "loose: ingress IPv6 from other",
    ("floating_ip", "door"): "203.0.113.50",
}
"""What pumphouse calls resources that have no name of their own."""

GIVEN = {("port", "propagate_uplink_status"): True}
"""What the service gives, where that is not what a body without the field means."""


def field_of(kind: str, name: str) -> Field:
    return next(field for field in REGISTRY[kind].carried() if field.name == name)


def every_field(*but: set[tuple[str, str]]) -> Any:
    """A test for each field in the table, with its type, the resource that has it, and its name."""
    left_out = set[tuple[str, str]]().union(*but)
    return pytest.mark.parametrize(
        ("kind", "label", "name"),
        [
            pytest.param(kind, label, name, id=f"{kind}-{label}-{name}")
            for kind, label, name in FIELDS
            if (kind, name) not in left_out
        ],
    )


@dataclass
class Moved:
    """Both clouds after the migration, and what pumphouse knows of them."""

    app: Pumphouse
    plan: Plan
    source: Raw
    destination: Raw
    there: Inventory
    bench: Bench

    def resource(self, kind: str, label: str) -> Resource:
        """A resource of the table, as it was planned."""
        named = (kind, NAMES.get((kind, label), label))
        (found,) = [one.resource for one in self.plan.resources if (one.ref.type, one.resource.name) == named]
        return found

    def counterpart(self, resource: Resource) -> Resource:
        """The destination's resource."""
        found = self.there.get(Ref(resource.ref.type, self.bench.ids.known[resource.ref]))
        assert found is not None
        return found

    def wanting(self, resource: Resource, name: str) -> Resource:
        """The resource with another value in a field: another id where it is an id."""
        field = field_of(resource.ref.type, name)
        return replace(resource, fields={**resource.fields, name: self._other(field, resource.fields[name])})

    def _other(self, field: Field, value: Any) -> Any:
        for path, target in field.refs.items():
            known = [ref.id for ref in self.bench.ids.known if ref.type == target]
            return _with_other_id(value, path, known)
        if field.at_least:
            return {**value, "other": 1} if isinstance(value, dict) else [*value, "other"]
        return other(value)

    def named(self, value: Any) -> Any:
        """The value with the source's ids for names."""
        if isinstance(value, dict):
            return {key: self.named(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.named(one) for one in value]
        return self.source.ids.get(value, value) if isinstance(value, str) else value

    def step(self, resource: Resource, base: type[Step], **item: Any) -> Step:
        """The step of the type that creates, or verifies."""
        kind = REGISTRY[resource.ref.type]
        (step,) = [one for one in kind.steps if issubclass(one, base)]
        bench = replace(self.bench, journal=MemoryJournal())
        return step(bench.context, bench.item(kind, resource, **item))


def _with_other_id(value: Any, path: str, known: list[str]) -> Any:
    if isinstance(value, list):
        one = value[0] if value else {path: None}
        return [_with_other_id(one, path, known), *value[1:]]
    if path:
        return {**value, path: _with_other_id(value.get(path), "", known)}
    return next(identity for identity in sorted(known) if identity != value)


def other(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return [*value, "other"]
    if isinstance(value, dict):
        return {**value, "other": "other"}
    return f"{value or ''}other"


@pytest.fixture(scope="module")
def moved(tmp_path_factory) -> Iterator[Moved]:
    """The tenants, migrated once for all tests of this module."""
    folder = tmp_path_factory.mktemp("every")
    quick = dict.fromkeys(TIMINGS, 0.0)
    with (
        DevCloud("source", directory=folder / "source", timings=quick) as source,
        DevCloud("destination", directory=folder / "destination", timings=quick) as destination,
        pytest.MonkeyPatch.context() as patch,
    ):
        fill(source)
        with Raw(destination) as raw:
            prepare(destination, raw)
        path = folder / "clouds.yaml"
        path.write_text(clouds_yaml({"source": source, "destination": destination}))
        patch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
        settings = folder / "pumphouse.conf"
        settings.write_text(f"[store]\nurl = sqlite:///{folder}/store.db\n[engine]\npoll_interval = 0.02\n")
        with Pumphouse.open(config.load([settings])) as app, Raw(source) as here, Raw(destination) as there:
            yield _migrate(app, here, there)


def _migrate(app: Pumphouse, here: Raw, there: Raw) -> Moved:
    scope = Scope(kind=ScopeKind.TENANT, names=TENANTS, strategy=Strategy.ALL)
    plan = app.plan(scope, source="source", destination="destination")
    record = app.run(app.start(plan, check_fresh=False).id)
    assert (str(record.state), record.reason) == ("SUCCEEDED", "")
    bench = Bench(source=app.clouds.open("source"), destination=app.clouds.open("destination"))
    known = app.store.ids.all("source", "destination")
    bench.ids.known = {ref: one.destination_id for ref, one in known.items()}
    moved = collect(bench.destination, REGISTRY)
    complete(bench.destination, REGISTRY, moved, [one.ref for one in moved])
    return Moved(app, plan, here, there, moved, bench)


# -- the table


@pytest.mark.parametrize("kind", WANTED)
def test_the_table_names_every_carried_field(kind):
    named = {name for fields in WANTED[kind].values() for name in fields}
    assert named == {field.name for field in REGISTRY[kind].carried()}


def test_no_value_is_one_that_a_default_gives():
    for kind, labels in WANTED.items():
        for field in REGISTRY[kind].carried():
            values = [fields[field.name] for fields in labels.values() if field.name in fields]
            given = GIVEN.get((kind, field.name), field.default)
            assert any(value != given for value in values), (kind, field.name)


# -- what arrived


@every_field()
def test_it_arrives(moved, kind, label, name):
    wanted = WANTED[kind][label][name]
    assert READERS[kind](moved.source, label)[name] == wanted
    assert READERS[kind](moved.destination, label)[name] == wanted


def test_a_second_plan_has_nothing_to_do(moved):
    again = moved.app.plan(moved.plan.scope, source="source", destination="destination")
    doing = again.doing(Action.CREATE, Action.UPDATE, Action.BLOCKED)
    assert [f"{one.resource}: {one.reason}" for one in doing] == []


# -- what did not


@every_field(SET_LATER, MAY_CHANGE, FOR_MAPPING)
def test_the_verification_misses_it(moved, kind, label, name):
    wanted = moved.wanting(moved.resource(kind, label), name)
    with pytest.raises(errors.VerificationFailed, match=name):
        moved.step(wanted, Verify).run()


@every_field()
def test_the_report_tells_that_it_differs(moved, kind, label, name):
    resource = moved.resource(kind, label)
    there = moved.counterpart(resource)
    lost = type(there.fields[name])() if field_of(kind, name).at_least else other(there.fields[name])
    report = make_report(
        "m",
        replace(moved.plan, resources=(moved.plan.by_ref[resource.ref],)),
        source=Inventory("source", [resource]),
        destination=Inventory("destination", [replace(there, fields={**there.fields, name: lost})]),
        ids=moved.bench.ids.known,
        registry=REGISTRY,
    )
    told = {one.field: str(one.outcome) for one in report.resources[0].fields}
    assert told[name] == ("changed" if (kind, name) in MAY_CHANGE else "differs")


# -- what changes later


NOT_PUT_BACK = {("address_scope", "shared"), ("subnet_pool", "prefixes")}
"""The service lets nobody take these back: no unsharing, no smaller pool."""
_SPARE_LEG = {"subnet_id": "web-v4", "ip_address": "10.20.0.254"}
OTHERS: dict[tuple[str, str], dict[str, Any]] = {
    ("domain", "options"): {"options": {}},
    ("project", "options"): {"options": {}},
    ("role", "options"): {"options": {}},
    ("user", "options"): {"options": {"ignore_lockout_failure_attempts": True}},
    ("quota", "compute"): {"compute": {"instances": 13, "cores": 24}},
    ("quota", "network"): {"network": {"network": 22}},
    ("quota", "block-storage"): {"block-storage": {"volumes": 32, "volumes_fast": 9}},
    ("role", "implies"): {"implies": ["member", "reader"]},
    ("image", "visibility"): {"visibility": "community", "members": []},
    ("subnet", "gateway_ip"): {"gateway_ip": "10.20.0.253"},
    ("subnet", "allocation_pools"): {"allocation_pools": [{"start": "10.20.0.20", "end": "10.20.0.99"}]},
    ("subnet", "dns_nameservers"): {"dns_nameservers": ["1.1.1.1", "9.9.9.9"]},
    ("subnet", "host_routes"): {"host_routes": []},
    ("router", "external_gateway_info"): {
        "external_gateway_info": {"network_id": "public", "enable_snat": True}
    },
    ("router", "interfaces"): {
        "interfaces": [{"subnet_id": "back-v4", "ip_address": "10.30.0.77"}, _SPARE_LEG]
    },
    ("router", "routes"): {"routes": []},
    ("port", "mac_address"): {"mac_address": "fa:16:3e:11:22:55"},
    ("port", "fixed_ips"): {
        "fixed_ips": [
            {"subnet_id": "back-v4", "ip_address": "10.30.0.50"},
            {"subnet_id": "back-v4", "ip_address": "10.30.0.60"},
        ]
    },
    ("port", "allowed_address_pairs"): {"allowed_address_pairs": []},
    ("port", "binding:vnic_type"): {"binding:vnic_type": "normal"},
    ("port", "extra_dhcp_opts"): {
        "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "9", "ip_version": 4}]
    },
    ("port", "numa_affinity_policy"): {"numa_affinity_policy": "preferred"},
    ("port", "port_security_enabled"): {"port_security_enabled": True},
    ("floating_ip", "port_id"): {"port_id": "nic-a", "fixed_ip_address": "10.30.0.11"},
    ("floating_ip", "fixed_ip_address"): {"port_id": "nic-a", "fixed_ip_address": "10.30.0.11"},
}
"""Other values that the services take, where they do not take just any; ids by name."""


def changeable() -> Any:
    """A test for each field that can be changed in place, with the first resource that has it."""
    first = {}
    for kind, label, name in FIELDS:
        if not field_of(kind, name).fixed and (kind, name) not in NOT_PUT_BACK:
            first.setdefault((kind, name), label)
    chosen = [pytest.param(kind, label, name, id=f"{kind}-{name}") for (kind, name), label in first.items()]
    return pytest.mark.parametrize(("kind", "label", "name"), chosen)


@changeable()
def test_it_is_changed_in_place_and_put_back(moved, kind, label, name):
    resource = moved.resource(kind, label)
    fields = moved.named(OTHERS[kind, name]) if (kind, name) in OTHERS else None
    wanted = (
        moved.wanting(resource, name)
        if fields is None
        else replace(resource, fields={**resource.fields, **fields})
    )
    there = moved.counterpart(resource)
    changed = tuple(fields or (name,))
    change = {"destination_id": there.ref.id, "changed": changed}
    step = moved.step(wanted, Create, action=Action.UPDATE, **change)
    step.run()
    moved.step(wanted, Verify, action=Action.UPDATE, **change).run()
    (entry,) = step.context.journal.open()
    step.undo(entry)
    put_back = REGISTRY[kind].show(moved.bench.destination, there.ref.id, project_id=there.project_id)
    assert {one: put_back.fields[one] for one in put_back.fields} == {
        one: there.fields[one] for one in put_back.fields
    }
