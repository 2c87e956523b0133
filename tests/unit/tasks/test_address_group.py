"""The resource type that the contributor guide adds, as it stands there."""

import importlib.util
from pathlib import Path

import pytest

from pumphouse.cloud_api import Service
from pumphouse.model import Side
from pumphouse.registry import Registry

GUIDE = Path(__file__).parents[3] / "doc" / "contributor"


@pytest.fixture
def kind():
    """An instance of the guide's type, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("address_group", GUIDE / "address_group.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.AddressGroup()


def test_an_address_group_arrives_and_can_be_taken_back(bench, kind):
    body = {
        "name": "offices",
        "addresses": ["192.0.2.0/24", "198.51.100.7/32"],
        "project_id": bench.project(),
    }
    made = bench.source.post(Service.NETWORK, kind.path, {kind.item: body})[kind.item]
    resource = bench.read(kind, made["id"], Side.SOURCE)

    identity = bench.carry(kind, resource)

    there = bench.read(kind, identity, Side.DESTINATION)
    assert sorted(there.fields["addresses"]) == ["192.0.2.0/24", "198.51.100.7/32"]
    assert there.project_id == bench.there("project", resource.project_id)
    bench.undo([kind], {resource.ref: resource})
    assert kind.show(bench.destination, identity, project_id=None) is None


def test_the_guide_s_type_passes_the_registry_s_checks(kind):
    known = Registry.load()
    assert "address_group" in Registry([*known.values(), kind])
