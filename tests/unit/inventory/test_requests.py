"""How many requests an inventory takes: they are counted, not timed, so that it holds on any machine."""

from __future__ import annotations

from collections import Counter

import pytest

from pumphouse.clouds import Clouds
from pumphouse.devcloud.fill import fill
from pumphouse.inventory.collect import collect, complete
from pumphouse.registry import Registry

REGISTRY = Registry.load()


@pytest.fixture
def read(make_cloud, write_clouds_yaml):
    """Fills a cloud with so many of each kind and reads it: the inventory, and what it asked for."""

    def fill_and_read(count: int):
        made = make_cloud(f"cloud-{count}")
        fill(made, {"generate": {"tenants": 2, "servers": count, "volumes": count, "images": count}})
        write_clouds_yaml(source=made)
        cloud = Clouds().open("source")
        made.counts.reset()
        inventory = collect(cloud, REGISTRY)
        asked = Counter(made.counts.requests)
        made.counts.reset()
        return cloud, inventory, asked, made

    return fill_and_read


def test_a_whole_cloud_takes_no_more_requests_for_more_resources(read):
    _, few, asked_for_few, _ = read(3)
    _, many, asked_for_many, _ = read(40)
    assert len(many) > len(few) + 200
    # Tokens and versions are asked for once for each cloud that is opened.
    assert asked_for_many == asked_for_few


def test_what_no_list_tells_is_asked_for_of_those_alone_that_are_named(read):
    cloud, inventory, _, made = read(6)
    two = [image.ref for image in inventory.of_type("image")][:2]
    complete(cloud, REGISTRY, inventory, two)
    assert made.counts.requests == {"GET /image/v2/images/{image_id}/members": 2}
