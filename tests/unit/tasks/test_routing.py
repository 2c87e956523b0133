"""Routers and floating IPs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pumphouse.cloud_api import Service
from pumphouse.model import Action, Inventory, Ref, Resource, Side
from pumphouse.resource import Severity, Want
from pumphouse.steps import Create

from .harness import finish
from .tenancy import REGISTRY, Tenancy

ROUTER = REGISTRY["router"]
FLOATING = REGISTRY["floating_ip"]


@pytest.fixture
def tenancy(bench):
    return Tenancy(bench, Service.NETWORK)


@pytest.fixture
def project(bench):
    return bench.project("shop")


@pytest.fixture
def networks(tenancy, project):
    """Two networks with a subnet each, by subnet."""
    made = {}
    for number in (1, 2):
        network = tenancy.network("/networks", {"network": {"name": f"n{number}", "project_id": project}})
        body = {"network_id": network, "ip_version": 4, "cidr": f"10.{number}.0.0/24", "project_id": project}
        made[tenancy.network("/subnets", {"subnet": body})] = network
    return made


@pytest.fixture
def router(tenancy, project, networks):
    """A router with a gateway, an interface at a gateway address and one elsewhere, and a route."""
    cloud = tenancy.bench.source
    public = tenancy.external(Side.SOURCE)
    tenancy.external(Side.DESTINATION)
    body = {
        "name": "edge",
        "project_id": project,
        "description": "outside",
        "external_gateway_info": {"network_id": public, "enable_snat": False},
    }
    router = cloud.post(Service.NETWORK, "/routers", {"router": body})["router"]["id"]
    tenancy.bench.later.append(lambda: ROUTER.delete(cloud, router))
    first, second = networks
    cloud.put(Service.NETWORK, f"/routers/{router}/add_router_interface", {"subnet_id": first})
    body = {
        "network_id": networks[second],
        "project_id": project,
        "fixed_ips": [{"subnet_id": second, "ip_address": "10.2.0.77"}],
    }
    port = cloud.post(Service.NETWORK, "/ports", {"port": body})["port"]["id"]
    cloud.put(Service.NETWORK, f"/routers/{router}/add_router_interface", {"port_id": port})
    routes = [{"destination": "172.16.0.0/12", "nexthop": "10.2.0.9"}]
    cloud.put(Service.NETWORK, f"/routers/{router}", {"router": {"routes": routes}})
    return router


@pytest.fixture
def floating(tenancy, project, networks, router):
    """A floating address of a port with two addresses, for the second of them."""
    subnet = next(iter(networks))
    fixed = [{"subnet_id": subnet, "ip_address": f"10.1.0.{number}"} for number in (40, 41)]
    body = {"network_id": networks[subnet], "project_id": project, "fixed_ips": fixed}
    port = tenancy.network("/ports", {"port": body})
    body = {
        "floating_network_id": tenancy.external(Side.SOURCE),
        "project_id": project,
        "port_id": port,
        "fixed_ip_address": "10.1.0.41",
        "description": "the door",
    }
    return tenancy.network("/floatingips", {"floatingip": body})


def with_settings(tenancy, **settings):
    tenancy.bench.settings = replace(tenancy.bench.settings, **settings)


def test_a_router_comes_with_gateway_interfaces_and_routes(tenancy, networks, router):
    made = tenancy.carry("router", router)
    there = tenancy.shown("router", made)
    first, second = (tenancy.bench.there("subnet", subnet) for subnet in networks)
    assert {(one["subnet_id"], one["ip_address"]) for one in there.fields["interfaces"]} == {
        (first, "10.1.0.1"),
        (second, "10.2.0.77"),
    }
    assert there.fields["routes"] == [{"destination": "172.16.0.0/12", "nexthop": "10.2.0.9"}]
    gateway = there.fields["external_gateway_info"]
    assert gateway == {"network_id": tenancy.external(Side.DESTINATION), "enable_snat": False}
    assert there.fields["description"] == "outside"
    tenancy.undo()
    assert tenancy.shown("router", made) is None
    left = tenancy.bench.destination.list(
        Service.NETWORK, "/ports", "ports", params={"project_id": there.project_id}
    )
    assert left == []


def test_the_interfaces_of_a_router_are_in_no_security_group(tenancy, networks, router):
    """A group that has a port cannot be taken back, and the default group goes before the router."""
    made = tenancy.carry("router", router)
    cloud = tenancy.bench.destination
    ports = cloud.list(Service.NETWORK, "/ports", "ports", params={"device_id": made})
    assert [one["security_groups"] for one in ports] == [[]] * 3


def test_without_its_marker_its_ports_have_none_either(tenancy, networks, router):
    made = tenancy.carry("router", router)
    cloud = tenancy.bench.destination

    def told():
        ports = cloud.list(Service.NETWORK, "/ports", "ports", params={"device_id": made})
        return {f"{port['description']}{port['tags']}" for port in ports}

    assert f"pumphouse-source={router}[]" in told()
    ROUTER.unmark(cloud, made)
    assert told() == {"[]"}
    assert tenancy.get(f"/routers/{made}")["tags"] == []


def test_what_a_router_loses_is_told(tenancy, router):
    resource = tenancy.resource("router", router)
    (problem,) = ROUTER.refuse(resource, tenancy.seen)
    assert (problem.severity, problem.field) == (Severity.LOST, "external_fixed_ips")
    assert resource.facts["gateway_ips"][0] in problem.summary


def test_an_interrupted_router_is_completed(tenancy, networks, router):
    for subnet in networks:
        tenancy.carry("subnet", subnet)
    resource = tenancy.resource("router", router)
    for network in tenancy.seen.of_type("network"):
        if network.facts["external"]:
            tenancy.carry("network", network.ref.id)
    step = Create(tenancy.bench.context, tenancy.bench.item(ROUTER, resource))
    want = step.want()
    made = ROUTER.create(tenancy.bench.destination, want)
    tenancy.bench.journal.intend(resource.ref, "create", Side.DESTINATION)
    subnet = tenancy.get(f"/subnets/{tenancy.bench.there('subnet', list(networks)[1])}")
    # The process died after making the port for the second interface.
    spare = ROUTER._port(tenancy.bench.destination, want, subnet, "10.2.0.77")
    assert tenancy.carry("router", router) == made
    assert tenancy.get(f"/ports/{spare}")["device_id"] == made
    tenancy.undo()


def test_a_router_that_an_attempt_has_finished_is_left_alone(tenancy, networks, router, cloud_pair):
    tenancy.carry("router", router)
    resource = tenancy.resource("router", router)
    assert tenancy.bench.writes_again(cloud_pair.destination, ROUTER, resource) == []
    body = {"router": {"routes": []}}
    tenancy.bench.destination.put(Service.NETWORK, f"/routers/{tenancy.carry('router', router)}", body)
    assert tenancy.bench.writes_again(cloud_pair.destination, ROUTER, resource) == [
        "PUT /network/v2.0/routers/{resource_id}"
    ]


def test_a_spare_port_goes_with_its_router(tenancy, networks, router):
    made = tenancy.carry("router", router)
    resource = tenancy.resource("router", router)
    step = Create(tenancy.bench.context, tenancy.bench.item(ROUTER, resource))
    subnet = tenancy.get(f"/subnets/{tenancy.bench.there('subnet', next(iter(networks)))}")
    spare = ROUTER._port(tenancy.bench.destination, step.want(), subnet, "10.1.0.99")
    ROUTER.delete(tenancy.bench.destination, made)
    ports = tenancy.bench.destination.list(Service.NETWORK, "/ports", "ports")
    assert spare not in [port["id"] for port in ports]


def test_interfaces_and_routes_are_changed_and_put_back(tenancy, networks, router):
    made = tenancy.carry("router", router)
    resource = tenancy.resource("router", router)
    first = next(iter(networks))
    fields = {
        **resource.fields,
        "interfaces": [{"subnet_id": first, "ip_address": "10.1.0.1"}],
        "routes": [],
        "name": "rim",
    }
    changed = ("interfaces", "name", "routes")
    before = {name: tenancy.shown("router", made).fields[name] for name in changed}
    tenancy.bench.journal.entries.clear()
    item = tenancy.bench.item(
        ROUTER,
        replace(resource, fields=fields),
        action=Action.UPDATE,
        destination_id=made,
        changed=changed,
    )
    step = Create(tenancy.bench.context, item)
    assert finish(step) == made
    there = tenancy.shown("router", made)
    assert (there.name, len(there.fields["interfaces"]), there.fields["routes"]) == ("rim", 1, [])
    step.undo(tenancy.bench.journal.open()[0])
    assert {name: tenancy.shown("router", made).fields[name] for name in changed} == before


def test_a_router_without_gateway_or_interfaces(tenancy, project):
    body = {"name": "lone", "project_id": project, "admin_state_up": False}
    there = tenancy.shown("router", tenancy.carry("router", tenancy.network("/routers", {"router": body})))
    assert there.fields["external_gateway_info"] is None
    assert (there.fields["interfaces"], there.fields["admin_state_up"]) == ([], False)
    tenancy.undo()


def test_a_floating_address_needs_the_router_between(tenancy, router, floating):
    resource = tenancy.resource("floating_ip", floating)
    assert list(FLOATING.needs(resource, tenancy.seen)) == [Ref("router", router)]


def test_an_address_of_another_range_becomes_a_new_one(tenancy, floating):
    resource = tenancy.resource("floating_ip", floating)
    made = tenancy.carry("floating_ip", floating)
    body = tenancy.get(f"/floatingips/{made}")
    assert body["floating_ip_address"].startswith("198.51.100.")
    assert body["fixed_ip_address"] == "10.1.0.41"
    assert body["port_id"] == tenancy.bench.there("port", resource.fields["port_id"])
    assert body["description"] == "the door"
    assert tenancy.bench.notes == [
        f"its address changed from {resource.name} to {body['floating_ip_address']}"
    ]
    tenancy.undo()
    assert tenancy.shown("floating_ip", made) is None


def test_the_plan_tells_of_a_new_address(tenancy, router, floating):
    tenancy.look()
    tenancy.carry("router", router)
    step = Create(
        tenancy.bench.context, tenancy.bench.item(FLOATING, tenancy.resource("floating_ip", floating))
    )
    (problem,) = FLOATING.check(step.want(), tenancy.destination(), exists=False)
    assert problem.severity is Severity.WARNING
    assert "198.51.100.0/24" in problem.summary


def stretched(tenancy, project, address="198.51.100.201"):
    """A floating address of the source as it would be, were both clouds on one external range."""
    tenancy.external(Side.SOURCE)
    tenancy.external(Side.DESTINATION)
    network = next(one for one in tenancy.look().of_type("network") if one.facts["external"])
    tenancy.carry("network", network.ref.id)
    fields = {
        "floating_network_id": network.ref.id,
        "floating_ip_address": address,
        "project_id": project,
        "port_id": None,
        "fixed_ip_address": None,
        "description": "",
        "tags": [],
    }
    return Resource(ref=Ref("floating_ip", "source-fip"), name=address, project_id=project, fields=fields)


def remove(tenancy, identity):
    tenancy.bench.remove_later(Side.DESTINATION, Service.NETWORK, f"/floatingips/{identity}")
    return tenancy.get(f"/floatingips/{identity}")["floating_ip_address"]


def test_a_free_address_is_kept(tenancy, project):
    resource = stretched(tenancy, project)
    assert remove(tenancy, tenancy.bench.carry(FLOATING, resource)) == "198.51.100.201"
    assert tenancy.bench.notes == []


def test_a_taken_address_becomes_a_new_one(tenancy, project):
    resource = stretched(tenancy, project)
    network = tenancy.external(Side.DESTINATION)
    body = {"floating_network_id": network, "floating_ip_address": "198.51.100.201"}
    tenancy.network("/floatingips", {"floatingip": body}, side=Side.DESTINATION)
    made = remove(tenancy, tenancy.bench.carry(FLOATING, resource))
    assert made != "198.51.100.201"
    assert tenancy.bench.notes == [f"its address changed from 198.51.100.201 to {made}"]


def test_new_addresses_can_be_asked_for(tenancy, project):
    with_settings(tenancy, floating_ips="new")
    made = remove(tenancy, tenancy.bench.carry(FLOATING, stretched(tenancy, project)))
    assert made != "198.51.100.201"


def test_a_lost_answer_takes_no_second_address(tenancy, project):
    resource = stretched(tenancy, project)
    step = Create(tenancy.bench.context, tenancy.bench.item(FLOATING, resource))
    made = FLOATING.create(tenancy.bench.destination, step.want())
    tenancy.bench.journal.intend(resource.ref, "create", Side.DESTINATION)
    assert tenancy.bench.carry(FLOATING, resource) == made
    assert remove(tenancy, made) == "198.51.100.201"


def test_port_forwardings_are_told_as_lost():
    body = {"id": "1", "floating_ip_address": "203.0.113.9", "port_forwardings": [{"external_port": 80}]}
    (problem,) = FLOATING.refuse(FLOATING.read(body), Inventory("source"))
    assert (problem.severity, problem.field) == (Severity.LOST, "port_forwardings")


@pytest.mark.parametrize(
    ("address", "cidr", "why"),
    [
        ("203.0.113.7", "203.0.113.0/24", ""),
        ("203.0.113.8", "203.0.113.0/24", "the destination has it in use"),
        ("203.0.113.7", "198.51.100.0/24", "it is not in the destination's 198.51.100.0/24"),
    ],
)
def test_an_address_that_cannot_be_kept_is_told_beforehand(address, cidr, why):
    fields = {"floating_network_id": "n", "floating_ip_address": address}
    want = Want(source=Resource(ref=Ref("floating_ip", "f"), name=address), fields=fields, secrets={})
    there = Inventory(
        "destination",
        [
            Resource(ref=Ref("subnet", "s"), name="", fields={"network_id": "n", "cidr": cidr}),
            Resource(
                ref=Ref("port", "p"),
                name="",
                fields={"network_id": "n"},
                facts={"addresses": [{"ip_address": "203.0.113.8"}]},
            ),
        ],
    )
    found = [one.summary.partition(": ")[2] for one in FLOATING.check(want, there, exists=False)]
    assert found == ([why] if why else [])
    assert list(FLOATING.check(want, there, exists=True)) == []


def test_a_fixed_address_goes_nowhere_without_its_port():
    """The service refuses it."""
    source = Resource(ref=Ref("floating_ip", "f"), name="")
    fields = {"fixed_ip_address": "10.0.0.5", "port_id": None, "description": ""}
    body = FLOATING.body(Want(source=source, fields=fields, secrets={}))
    assert "fixed_ip_address" not in body
