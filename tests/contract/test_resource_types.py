"""What every resource type must fulfil: walked over the registry, so that a new type is checked too."""

from __future__ import annotations

import inspect
import json
import uuid
from pathlib import Path

import pytest

from pumphouse.clouds import Clouds
from pumphouse.devcloud import TIMINGS, DevCloud, clouds_yaml
from pumphouse.devcloud.fill import fill
from pumphouse.fields import Role
from pumphouse.inventory.collect import collect, complete
from pumphouse.model import Inventory, Ref, Resource
from pumphouse.registry import Registry
from pumphouse.resource import Adopt, Policy, Reach, Severity
from pumphouse.steps import Create, Step

DEMO_SOURCE = Path(__file__).parents[2] / "etc" / "pumphouse" / "devcloud" / "demo-source.yaml"
REGISTRY = Registry.load()
TYPES = list(REGISTRY.values())

every_type = pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """A cloud with the demonstration's tenants in it."""
    folder = tmp_path_factory.mktemp("contract")
    with DevCloud("source", directory=folder / "source", timings=dict.fromkeys(TIMINGS, 0.0)) as made:
        fill(made, DEMO_SOURCE)
        path = folder / "clouds.yaml"
        path.write_text(clouds_yaml({"source": made}))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
            opened = Clouds().open("source")
            yield opened
            opened.close()


@pytest.fixture(scope="module")
def inventory(cloud) -> Inventory:
    """All that it holds, with what no list tells."""
    found = collect(cloud, REGISTRY)
    complete(cloud, REGISTRY, found, [one.ref for one in found])
    return found


@every_type
def test_its_docstring_says_what_it_is(kind):
    assert len((type(kind).__doc__ or "").strip()) > 20
    assert len((inspect.getmodule(type(kind)).__doc__ or "").strip()) > 10


@every_type
def test_every_field_is_carried_or_dropped_with_a_reason(kind):
    for field in kind.fields:
        assert field.role is not Role.DROP or field.why, field.name


@every_type
def test_its_steps_have_names_of_their_own_and_say_what_they_do(kind):
    names = [step.name for step in kind.steps]
    assert len(names) == len(set(names))
    for step in kind.steps:
        assert issubclass(step, Step)
        assert step.doing
    assert not kind.steps or any(issubclass(step, Create) for step in kind.steps)


@pytest.mark.parametrize("kind", [kind for kind in TYPES if not kind.steps], ids=lambda kind: kind.name)
def test_what_no_step_moves_is_left_for_people_who_are_told_what_to_do(kind):
    resource = Resource(
        ref=Ref(kind.name, "1"), name="one", fields={field.name: field.default for field in kind.carried()}
    )
    assert kind.policy(resource) is Policy.LEAVE
    (problem,) = kind.refuse(resource, Inventory("source"))
    assert problem.severity is Severity.LOST
    assert problem.next_step


@every_type
def test_what_it_reads_is_small_json_without_surprises(kind, inventory):
    carried = {field.name for field in kind.carried()}
    for resource in inventory.of_type(kind.name):
        assert set(resource.fields) <= carried
        assert Resource.from_dict(json.loads(json.dumps(resource.to_dict()))) == resource


@every_type
def test_ids_are_unique_and_a_resource_is_shown_as_it_is_listed(kind, cloud, inventory):
    found = inventory.of_type(kind.name)
    assert len({resource.ref for resource in found}) == len(found)
    for resource in [one for one in found if kind.selectable(one)][:3]:
        shown = kind.show(cloud, resource.ref.id, project_id=resource.project_id)
        assert shown is not None
        same = {name for name in shown.fields if shown.fields[name] == resource.fields.get(name)}
        assert set(shown.fields) - same == set(), resource


@every_type
def test_what_is_not_there_is_none_and_removing_it_is_fine(kind, cloud):
    missing = missing_id(kind.name)
    assert kind.show(cloud, missing, project_id=None) is None
    gone = kind.delete(cloud, missing)
    assert not gone or kind.adopt is Adopt.SET  # a setting is always there, and is put back


def missing_id(name):
    """An id of the type's form that nothing has."""
    random = uuid.uuid4()
    if name == "keypair":
        return f"{random.hex}/nothing"
    if name == "application_credential":
        return f"users/{random.hex}/application_credentials/{random.hex}"
    if name == "role_assignment":
        return f"projects/{random.hex}/users/{random.hex}/roles/{random.hex}"
    return random.hex if REGISTRY[name].service == "identity" or name == "quota" else str(random)


@every_type
def test_every_reference_leads_to_something(kind, inventory):
    for resource in inventory.of_type(kind.name):
        for reference in kind.references(resource.fields):
            assert reference.field.optional or reference.ref in inventory, (resource, reference)


def test_the_order_puts_what_is_looked_up_first():
    for kind in TYPES:
        assert all(REGISTRY.rank[name] < REGISTRY.rank[kind.name] for name in kind.after)


def test_no_secret_value_is_ever_read_into_a_resource(inventory):
    text = json.dumps([resource.to_dict() for resource in inventory])
    for secret in ("demo-password", "I2Nsb3VkLWNvbmZpZ"):  # a password, and the beginning of user data
        assert secret not in text


def test_reach_spares_the_calls_for_other_projects(cloud):
    projects = collect(cloud, REGISTRY, types=("project",)).of_type("project")
    shop = next(one.ref.id for one in projects if one.name == "shop")
    narrow = collect(cloud, REGISTRY, types=("quota",), reach=lambda _: Reach(projects=frozenset({shop})))
    assert [one.ref.id for one in narrow.of_type("quota")] == [shop]
