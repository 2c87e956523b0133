"""Several tenants: one after the other, in a wave; and those of a host, with what its servers need."""

from __future__ import annotations

import json

import pytest
from checks import images, networks, servers
from listing import changes
from tenant import fill_with_one

CHECKS = (images.images, networks.ports, networks.security_groups, servers.servers, servers.key_pairs)


def test_a_wave_moves_its_groups_in_order_and_takes_them_back(pair, tenant):
    names = [tenant(pair, fill_with_one) for _ in range(2)]
    before = pair.listings()
    wave = {
        **{side: cloud.config.name for side, cloud in pair.clouds.items()},
        "override": pair.overrides.name,
        "servers_at_once": 1,
        "groups": [{"tenants": [f"Default/{name}"]} for name in names],
    }
    file = pair.directory / "wave.yaml"
    file.write_text(json.dumps(wave))
    pair.run("migrate", "wave", str(file), "--yes", "--progress", "none")
    assert [row["State"] for row in shown(pair)] == ["SUCCEEDED", "SUCCEEDED"]
    now = pair.listings()
    for name in names:
        for one in CHECKS:
            one(pair.moved(name, before["source"], now))
    made = [now["destination"]["servers"][server_of(pair, name, now)]["created"] for name in names]
    assert made == sorted(made)
    pair.run("wave", "rollback", "last", "--yes", "--progress", "none")
    after = pair.listings()
    for side in after:
        assert changes(before[side], after[side]) == []
    pair.record["groups"] = {"tenants": len(names)}
    moves_a_host(pair, names, before)


def moves_a_host(pair, names, before):
    """Migrate what runs on the tenants' host: the servers, and what they need alone."""
    listed = before["source"]["servers"]
    projects = {one["name"]: one["id"] for one in before["source"]["projects"].values()}
    own = {projects[name] for name in names}
    hosts = {one["OS-EXT-SRV-ATTR:host"] for one in listed.values() if one["tenant_id"] in own}
    others = [one for one in listed.values() if one["tenant_id"] not in own]
    if any(one["OS-EXT-SRV-ATTR:host"] in hosts for one in others):
        pytest.skip("other people's servers run on the same hosts")
    pair.run("migrate", "host", *sorted(hosts), *pair.between(), "--yes", "--progress", "none")
    assert pair.last()["State"] == "SUCCEEDED"
    now = pair.listings()
    for name in names:
        moved = pair.moved(name, before["source"], now)
        for one in (servers.servers, networks.ports):
            one(moved)
        here, there = moved.pair("networks")
        assert set(here) - set(there) == {"spare"}
    pair.roll_back(pair.last()["ID"])
    after = pair.listings()
    for side in after:
        assert changes(before[side], after[side]) == []
    pair.record["groups"]["hosts"] = len(hosts)


def server_of(pair, name, now):
    """The id of a tenant's server on the destination."""
    (server,) = pair.moved(name, now["source"], now).pair("servers")[1].values()
    return server["id"]


def shown(pair):
    """The groups of the newest wave."""
    return json.loads(pair.run("wave", "show", "last", "-f", "json"))
