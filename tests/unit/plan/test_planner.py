"""What the plan decides, on inventories made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toys import TYPES, Server, actions, destination, one, plan, registry, source

from pumphouse import errors
from pumphouse.model import Action, Ref, Scope, ScopeKind
from pumphouse.plan.overrides import parse
from pumphouse.plan.planner import make_plan
from pumphouse.plan.sharing import HalfMade
from pumphouse.registry import Registry
from pumphouse.resource import Severity


def why(made, ref):
    return made.by_ref[Ref.parse(ref)].reason


def summaries(made, ref):
    return [problem.summary for problem in made.by_ref[Ref.parse(ref)].problems]


def test_a_tenant_brings_what_it_needs_and_nothing_else():
    assert actions(plan()) == {
        "domain:default": "reuse",
        "project:p1": "create",
        "quota:p1": "create",
        "flavor:f1": "create",
        "network:n1": "create",
        "subnet:s1": "create",
        "port:a1": "create",
        "port:a2": "create",
        "server:v1": "create",
        "server:v2": "create",
    }


def test_needed_resources_come_first():
    order = [found.ref for found in plan().resources]
    for found in plan().resources:
        assert all(order.index(need) < order.index(found.ref) for need in found.needs)


def test_a_server_alone_brings_its_prerequisites_but_not_its_neighbours():
    found = actions(plan(kind=ScopeKind.SERVER, names=("web-1",)))
    assert "server:v1" in found
    assert "server:v2" not in found
    assert "subnet:s1" in found  # part of the network
    assert "port:a2" not in found


def test_what_was_migrated_before_is_reused_by_its_marker():
    there = destination(
        one("project", "P", name="shop", domain_id="default", description=""),
        one("network", "N", name="web", project="P", mtu=1450, external=False, made_from="n1"),
    )
    made = plan(there=there)
    assert made.by_ref[Ref("network", "n1")].destination_id == "N"
    assert actions(made)["network:n1"] == "reuse"


def test_a_change_on_the_source_is_the_only_update():
    there = destination(
        one("project", "P", name="shop", domain_id="default", description=""),
        one("network", "N", name="web", project="P", mtu=1500, external=False, made_from="n1"),
    )
    made = plan(there=there, known={Ref("project", "p1"): "P"})
    changed = [found for found in made.resources if found.action is Action.UPDATE]
    assert [(str(found.ref), found.changed, found.before) for found in changed] == [
        ("network:n1", ("mtu",), {"mtu": 1500})
    ]


def test_an_id_map_whose_resource_has_gone_makes_it_again():
    assert actions(plan(known={Ref("network", "n1"): "gone"}))["network:n1"] == "create"


def test_a_flavor_of_the_same_name_with_other_values_blocks_and_what_needs_it_too():
    made = plan(there=destination(one("flavor", "F", name="small", ram=2048, access=[])))
    assert actions(made)["flavor:f1"] == "blocked"
    assert "ram: 512 wanted, 2048 found" in why(made, "flavor:f1")
    assert actions(made)["server:v1"] == "blocked"
    assert actions(made)["network:n1"] == "create"
    with pytest.raises(errors.PlanBlocked, match="3 of 10 resources are blocked"):
        made.require_unblocked()


def test_a_flavor_of_the_same_name_and_values_is_reused():
    made = plan(there=destination(one("flavor", "F", name="small", ram=512, access=[])))
    assert actions(made)["flavor:f1"] == "reuse"
    assert made.by_ref[Ref("flavor", "f1")].destination_id == "F"


def test_a_server_of_the_same_name_that_is_not_ours_is_a_name_clash():
    there = destination(
        one("project", "P", name="shop", domain_id="default", description=""),
        one("server", "V", name="web-1", project="P", flavor="F", ports=[], metadata={}),
    )
    made = plan(there=there)
    assert "name clash" in why(made, "server:v1")
    assert actions(made)["server:v2"] == "create"


def test_a_project_of_the_same_name_is_used_as_it_is_with_a_warning():
    there = destination(one("project", "P", name="shop", domain_id="default", description="older"))
    made = plan(there=there)
    assert actions(made)["project:p1"] == "reuse"
    assert any("differs: description" in text for text in summaries(made, "project:p1"))


def test_several_candidates_block():
    there = destination(
        one("flavor", "F", name="small", ram=512, access=[]),
        one("flavor", "G", name="small", ram=512, access=[]),
    )
    assert "2 of the destination's could be it: F, G" in why(plan(there=there), "flavor:f1")


def test_a_missing_external_network_blocks_and_says_how_to_map_it():
    here = source(one("subnet", "s2", cidr="10.1.0.0/24", network_id="ext", note=None, project="p1"))
    there = destination()
    there = type(there)("destination", [found for found in there if found.ref.id != "EXT"], facts=there.facts)
    made = plan(here, there)
    assert "it is never created" in why(made, "network:ext")
    assert "map its name" in made.by_ref[Ref("network", "ext")].problems[0].next_step


def test_a_mapped_network_takes_the_destinations_id_by_the_override_file():
    here = source(one("subnet", "s2", cidr="10.1.0.0/24", network_id="ext", note=None, project="p1"))
    there = destination(one("network", "W", name="wan", project="zz", mtu=1500, external=True))
    wanted = parse({"networks": {"public": "wan"}}, registry(), where="test")
    made = plan(here, there, overrides=wanted)
    assert made.by_ref[Ref("network", "ext")].destination_id == "W"


def test_two_tenants_that_an_override_makes_one_block():
    wanted = parse({"projects": {"lab": "shop"}}, registry(), where="test")
    made = plan(names=("shop", "lab"), overrides=wanted)
    assert "would become the same" in why(made, "project:p1")
    assert "would become the same" in why(made, "project:p2")


def test_a_rule_rewrites_a_field():
    rules = [{"type": "network", "when": {"name": "web"}, "set": {"mtu": 1400}}]
    made = plan(overrides=parse({"rules": rules}, registry(), where="test"))
    assert made.by_ref[Ref("network", "n1")].resource.fields["mtu"] == 1400


def test_a_field_that_the_destination_is_too_old_for_is_lost_and_said_so():
    made = plan(there=destination(microversion="2.10"))
    subnet = made.by_ref[Ref("subnet", "s1")]
    assert "note" not in subnet.resource.fields
    assert [problem.severity for problem in subnet.problems] == [Severity.LOST]


def test_a_field_that_the_destination_has_no_extension_for_is_lost_and_said_so():
    made = plan(there=destination(extensions=()))
    network = made.by_ref[Ref("network", "n1")]
    assert "mtu" not in network.resource.fields
    (problem,) = network.problems
    assert problem.severity is Severity.LOST
    assert "has no extension net-mtu" in problem.summary


def test_a_server_that_its_type_refuses_is_blocked_with_the_reason():
    broken = replace(source().get(Ref("server", "v1")), facts={"status": "ERROR"})
    made = plan(source_with(broken))
    assert why(made, "server:v1") == "its status is ERROR"
    assert actions(made)["server:v2"] == "create"


def source_with(*changed):
    here = source()
    new = {resource.ref: resource for resource in changed}
    return type(here)("source", [new.get(found.ref, found) for found in here], facts=here.facts)


def test_a_reference_to_what_the_source_no_longer_has_blocks():
    orphan = replace(
        source().get(Ref("server", "v1")),
        fields={**source().get(Ref("server", "v1")).fields, "ports": ["gone"]},
    )
    assert "port:gone, which the source no longer has" in why(plan(source_with(orphan)), "server:v1")


def test_a_quota_that_does_not_suffice_blocks():
    small = replace(
        source().get(Ref("quota", "p1")), fields={"project_id": "p1", "compute": {"instances": 1}}
    )
    made = plan(source_with(small))
    assert "quota compute.instances is 1, 0 are used and 2 more are needed" in why(made, "quota:p1")


def test_a_quota_that_just_suffices_blocks_nothing():
    exact = replace(
        source().get(Ref("quota", "p1")), fields={"project_id": "p1", "compute": {"instances": 2}}
    )
    assert actions(plan(source_with(exact)))["quota:p1"] == "create"


def test_a_quota_is_set_before_what_it_is_for():
    made, quota = plan(), Ref("quota", "p1")
    assert quota in made.by_ref[Ref("server", "v1")].needs
    assert quota not in made.by_ref[Ref("subnet", "s1")].needs  # the toy consumes nothing
    left_out = plan(leave_out={"quota": "no quotas, please"})
    assert quota not in left_out.by_ref[Ref("server", "v1")].needs


def test_what_the_destinations_project_uses_counts_against_its_quota():
    there = destination(
        one("project", "P", name="shop", domain_id="default", description=""),
        one(
            "quota", "P", project="P", compute={"instances": 5}, facts={"used": {"compute": {"instances": 4}}}
        ),
    )
    assert "4 are used and 2 more are needed" in why(plan(there=there), "quota:p1")


@pytest.mark.parametrize(
    ("names", "error", "text"),
    [
        (("shap",), errors.UnknownResource, "Did you mean 'shop'"),
        (("Default/shop", "nope"), errors.UnknownResource, "no tenant 'nope'"),
    ],
)
def test_a_name_that_is_not_there(names, error, text):
    with pytest.raises(error, match=text):
        plan(names=names)


def test_a_name_that_two_domains_have_is_ambiguous_and_domain_slash_name_is_not():
    here = source(
        one("domain", "d2", name="Other"),
        one("project", "p9", name="shop", domain_id="d2", description=""),
    )
    with pytest.raises(errors.AmbiguousName, match=r"Default/shop \(p1\), Other/shop \(p9\)"):
        plan(here)
    assert "project:p9" not in actions(plan(here, names=("Default/shop",)))
    assert "project:p9" in actions(plan(here, names=("p9",)))


def test_a_flavor_that_is_there_but_not_granted_is_granted():
    private = one("flavor", "f1", name="small", ram=512, access=["p1"])
    there = destination(one("flavor", "F", name="small", ram=512, access=["other"]))
    made = plan(source_with(private), there)
    flavor = made.by_ref[Ref("flavor", "f1")]
    assert (flavor.action, flavor.changed) == (Action.UPDATE, ("access",))
    assert Ref("project", "p1") in flavor.needs


def test_a_type_that_is_left_out_is_skipped_with_the_reason():
    made = plan(leave_out={"quota": "no quotas, please"})
    assert actions(made)["quota:p1"] == "skip"
    assert why(made, "quota:p1") == "no quotas, please"
    assert actions(made)["server:v1"] == "create"


def test_what_an_earlier_migration_only_used_is_still_not_ours_to_change():
    there = destination(one("project", "P", name="shop", domain_id="default", description="theirs"))
    ref = Ref("project", "p1")
    assert plan(there=there, known={ref: "P"}).by_ref[ref].action is Action.UPDATE
    assert plan(there=there, known={ref: "P"}, adopted={ref}).by_ref[ref].action is Action.REUSE


def test_what_an_earlier_migration_made_in_vain_is_not_called_migrated():
    broken = one(
        "server", "V", name="web-1", project="P", flavor="F", ports=[], metadata={},
        made_from="v1", facts={"status": "ERROR"},
    )  # fmt: skip
    made = plan(there=destination(broken))
    assert made.by_ref[Ref("server", "v1")].action is Action.BLOCKED
    assert "(V), but it is not whole: its status is ERROR" in why(made, "server:v1")


def test_what_a_migration_is_in_the_middle_of_is_not_called_migrated():
    network = one("network", "N", name="web", project="P", mtu=1450, external=False, made_from="n1")
    half = HalfMade("m-1", running=True)
    made = plan(there=destination(network), half_made={Ref("network", "n1"): half, Ref("port", "a1"): half})
    assert made.by_ref[Ref("network", "n1")].action is Action.BLOCKED
    assert "migration m-1 has begun to make it" in why(made, "network:n1")
    assert made.by_ref[Ref("port", "a2")].action is Action.BLOCKED  # needs the network


@pytest.mark.parametrize(("running", "action"), [(True, Action.CREATE), (False, Action.BLOCKED)])
def test_what_is_shared_is_waited_for_while_a_migration_is_at_it(running, action):
    """Also though it is there already: it may not be whole."""
    flavor = one("flavor", "F", name="small", ram=512, access=[], made_from="f1")
    half = {Ref("flavor", "f1"): HalfMade("m-1", running=running)}
    made = plan(there=destination(flavor), half_made=half).by_ref[Ref("flavor", "f1")]
    assert made.action is action
    assert "m-1" in made.reason
    assert (made.destination_id is None) is running


def test_what_others_may_need_too_is_shared():
    """What belongs to no project, or to one that only comes along; of the tenant itself nothing is."""
    network = one("network", "n9", name="backbone", project="p2", mtu=1450, external=False)
    port = one("port", "a9", network_id="n9", fixed_ips=[])
    server = one("server", "v9", name="web-9", flavor="f1", ports=["a9"], metadata={})
    made = plan(here=source(network, port, server))
    shared = {str(found.ref) for found in made.resources if found.shared}
    assert {"flavor:f1", "network:n9", "project:p2"} <= shared
    assert {"network:n1", "server:v9", "port:a9", "quota:p1"}.isdisjoint(shared)


class HalfListed(Server):
    """A server whose list does not tell its metadata."""

    def partly_listed(self, resource):
        return resource.facts.get("half", False)


def half(identity, project, name, **more):
    facts = {"half": True}
    return one("server", identity, name=name, project=project, facts=facts, flavor="f1", ports=[], **more)


def planned_with_halves(complete):
    kinds = {kind.name: kind for kind in TYPES} | {"server": HalfListed}
    return make_plan(
        Scope(kind=ScopeKind.TENANT, names=("shop",)),
        source=source(half("v1", "p1", "web-1", metadata={}), half("x1", "p2", "lab-1", metadata={})),
        destination=destination(
            one("project", "P", name="shop", domain_id="default", description="", made_from="p1"),
            half("V", "P", "web-1", metadata={}, made_from="v1"),
            half("X", "P", "other", metadata={}),
        ),
        registry=Registry(kind() for kind in kinds.values()),
        complete=complete,
    )


def test_what_lists_leave_out_is_asked_for_of_what_is_planned_and_of_its_counterparts_alone():
    asked = {}

    def complete(inventory, refs):
        asked[inventory.cloud] = sorted(map(str, refs))

    planned_with_halves(complete)
    assert asked == {"source": ["server:v1"], "destination": ["server:V"]}


def test_the_plan_is_made_of_what_was_completed():
    def complete(inventory, refs):
        for ref in refs:
            found = inventory.get(ref)
            fields = {**found.fields, "metadata": {"from": inventory.cloud}, "flavor": "f2"}
            inventory.replace(replace(found, fields=fields, facts={}))

    made = planned_with_halves(complete)
    assert made.by_ref[Ref("server", "v1")].changed == ("metadata",)
    assert "flavor:f2" in actions(made)
    assert "flavor:f1" in actions(planned_with_halves(lambda _inventory, _refs: None))


def test_what_went_away_while_it_was_completed_is_not_planned():
    def complete(inventory, refs):
        for ref in refs:
            inventory.remove(ref)

    made = planned_with_halves(complete)
    assert "server:v1" not in actions(made)
    assert "server:v2" in actions(made)
