"""Small resource types and clouds for what decides without any cloud: the plan, the flow, the report."""

from __future__ import annotations

from pumphouse.cloud_api import Service
from pumphouse.fields import copy, key, ref
from pumphouse.model import Inventory, Ref, Resource, Scope, ScopeKind
from pumphouse.plan.planner import make_plan
from pumphouse.registry import Registry
from pumphouse.resource import Adopt, Grouping, Policy, Problem, ResourceType, ScopeLevel, Severity
from pumphouse.steps import Create, Verify


class Toy(ResourceType):
    service = Service.COMPUTE
    scope = ScopeLevel.PROJECT
    steps = (Create, Verify)

    def discover(self, cloud, *, seen, reach):
        return cloud.toys(self.name)

    def show(self, cloud, identity, *, project_id):
        return None

    def create(self, cloud, want):
        raise AssertionError("toys are not made")

    def delete(self, cloud, identity):
        raise AssertionError("toys are not removed")


class Domain(Toy):
    name = "domain"
    scope = ScopeLevel.DOMAIN
    service = Service.IDENTITY
    adopt = Adopt.ALWAYS
    fields = (key("name", mapping="domains"),)


class Project(Toy):
    name = "project"
    service = Service.IDENTITY
    adopt = Adopt.ALWAYS
    fields = (ref("domain_id", to="domain", key=True), key("name", mapping="projects"), copy("description"))


class Flavor(Toy):
    name = "flavor"
    scope = ScopeLevel.CLOUD
    fields = (
        key("name", mapping="flavors"),
        copy("ram"),
        ref("access", to="project", optional=True, at_least=True, fixed=False),
    )


class Network(Toy):
    name = "network"
    service = Service.NETWORK
    fields = (
        ref("project_id", to="project", key=True),
        key("name", mapping="networks"),
        copy("mtu", extension="net-mtu"),
        copy("external", fixed=True, default=False),
    )

    def policy(self, resource):
        return Policy.MAP if resource.fields["external"] else Policy.MOVE

    def identity(self, fields, *, policy=Policy.MOVE):
        return (fields["name"],) if policy is Policy.MAP else super().identity(fields)


class Subnet(Toy):
    name = "subnet"
    fields = (
        ref("network_id", to="network", key=True, part_of=True),
        key("cidr"),
        copy("note", since="2.50"),
    )


class Port(Toy):
    name = "port"
    service = Service.NETWORK
    grouping = Grouping.ATTACHED
    fields = (
        ref("network_id", to="network"),
        copy("fixed_ips", refs={"subnet_id": "subnet"}),
    )


class Server(Toy):
    name = "server"
    adopt = Adopt.NEVER
    grouping = Grouping.ALONE
    workload = True
    fields = (
        ref("project_id", to="project", key=True),
        key("name"),
        ref("flavor", to="flavor"),
        ref("ports", to="port", unordered=False),
        copy("metadata", default={}),
    )

    def refuse(self, resource, source):
        if resource.facts.get("status") == "ERROR":
            yield Problem(severity=Severity.BLOCK, summary="its status is ERROR", next_step="Mend it.")

    def unfinished(self, there):
        return "its status is ERROR" if there.facts.get("status") == "ERROR" else ""

    def consumes(self, resource, inventory):
        return {"compute.instances": 1}


class Quota(Toy):
    name = "quota"
    adopt = Adopt.SET
    fields = (ref("project_id", to="project", key=True, part_of=True), copy("compute", default={}))


TYPES = (Domain, Project, Flavor, Network, Subnet, Port, Server, Quota)


def registry():
    return Registry(kind() for kind in TYPES)


def one(kind, identity, *, name=None, project="p1", made_from=None, facts=None, **fields):
    """A resource. Its name and project are fields where the type has them."""
    known = {field.name for field in next(one for one in TYPES if one.name == kind).fields}
    if "name" in known:
        fields["name"] = name or identity
    if "project_id" in known:
        fields["project_id"] = project
    owned = kind not in {"domain", "project", "flavor"}
    return Resource(
        ref=Ref(kind, identity),
        name=name or identity,
        project_id=project if owned else None,
        fields=fields,
        facts=facts or {},
        made_from=made_from,
    )


def source(*more):
    """A tenant ``shop`` with a network, two servers, and a tenant ``lab`` of its own."""
    found = [
        one("domain", "default", name="Default"),
        one("project", "p1", name="shop", domain_id="default", description=""),
        one("project", "p2", name="lab", domain_id="default", description=""),
        one("flavor", "f1", name="small", ram=512, access=[]),
        one("flavor", "f2", name="unused", ram=1024, access=[]),
        one("network", "ext", name="public", project="p2", mtu=1500, external=True),
        one("network", "n1", name="web", mtu=1450, external=False),
        one("subnet", "s1", cidr="10.0.0.0/24", network_id="n1", note="hello"),
        one("port", "a1", network_id="n1", fixed_ips=[{"subnet_id": "s1", "ip_address": "10.0.0.5"}]),
        one("port", "a2", network_id="n1", fixed_ips=[{"subnet_id": "s1", "ip_address": "10.0.0.6"}]),
        one("server", "v1", name="web-1", flavor="f1", ports=["a1"], metadata={}),
        one("server", "v2", name="web-2", flavor="f1", ports=["a2"], metadata={}),
        one("quota", "p1", compute={"instances": 5}),
        one("server", "x1", name="lab-1", project="p2", flavor="f2", ports=[], metadata={}),
    ]
    kept = {resource.ref: resource for resource in [*found, *more]}
    return Inventory("source", kept.values(), facts=FACTS)


FACTS = {"cloud": {"microversions": {"compute": "2.96", "block-storage": "3.70"}}}


def destination(*more, microversion="2.96", extensions=("net-mtu",)):
    """A fresh cloud with a domain and an external network."""
    offers = {"microversions": {"compute": microversion}, "extensions": extensions}
    facts = {"cloud": offers, "quota": {"compute": {"instances": 10}}}
    return Inventory(
        "destination",
        [
            one("domain", "default", name="Default"),
            one("network", "EXT", name="public", project="zz", mtu=1500, external=True),
            *more,
        ],
        facts=facts,
    )


def plan(here=None, there=None, *, kind=ScopeKind.TENANT, names=("shop",), **options):
    return make_plan(
        options.pop("scope", None) or Scope(kind=kind, names=names),
        source=here or source(),
        destination=there or destination(),
        registry=registry(),
        **options,
    )


def actions(made):
    return {str(found.ref): str(found.action) for found in made.resources}
