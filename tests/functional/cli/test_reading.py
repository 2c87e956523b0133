"""The commands that only read: what each argument and option does, and every format of every listing."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json

import pytest
import yaml

from pumphouse.devcloud import clouds_yaml
from pumphouse.devcloud.fill import fill

from .conftest import SHARED, admin, network, pair_in, server, tenant

OWN = {"name": "shop-linux", "content": {"seed": "own", "kib": 4}}


@pytest.fixture(scope="module")
def clouds(tmp_path_factory):
    """Two tenants, and an older destination."""
    older = {"microversions": {"compute": "2.50"}}
    with pair_in(tmp_path_factory.mktemp("clouds"), **older) as (source, destination):
        tenants = {
            "shop": tenant(
                "shop",
                networks=[network("web")],
                images=[OWN],
                volumes=[{"name": "data", "size": 1}],
                servers=[server("web-0", "web")],
            ),
            "lab": tenant("lab", networks=[network("bench")], servers=[server("probe", "bench")]),
        }
        fill(source, {**SHARED, "tenants": tenants})
        yield source, destination


@pytest.fixture(autouse=True)
def operator(clouds, clean_environment, tmp_path, monkeypatch):
    source, destination = clouds
    path = tmp_path / "operators.yaml"
    path.write_text(clouds_yaml({"source": source, "destination": destination}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    before = [len(cloud.counts.writes) for cloud in clouds]
    yield path
    for cloud in clouds:
        cloud.faults.clear()
    assert [len(cloud.counts.writes) for cloud in clouds] == before


@pytest.fixture
def listed(pumphouse):
    """The rows of a listing."""

    def run(*words, status=0):
        ended = pumphouse(*words, "-f", "json")
        assert ended.returncode == status, ended
        return json.loads(ended.stdout)

    return run


def names(rows):
    return {(row["Type"], row["Name"]) for row in rows}


def host_of(cloud, name):
    with admin(cloud) as client:
        (found,) = client.get("compute", f"/servers/detail?all_tenants=1&name={name}")["servers"]
    return found["OS-EXT-SRV-ATTR:host"]


def test_cloud_check_tells_services_versions_and_what_would_be_lost(listed):
    rows = listed("cloud", "check", "source")
    services = {"identity", "compute", "image", "network", "block-storage"}
    assert {row["What"]: row["State"] for row in rows} == dict.fromkeys({"account", *services}, "ok")
    about = {row["What"]: row["About"] for row in rows}
    assert "roles admin" in about["account"]
    assert "2.1 to 2.96" in about["compute"]
    older = listed("cloud", "check", "destination")
    assert {row["State"] for row in older} == {"ok", "warning"}
    assert any("older than 2.52: servers cannot have tags" in row["About"] for row in older)


def test_cloud_check_of_a_cloud_that_is_not_fit_for_a_migration(listed, clouds, tmp_path):
    (tmp_path / "pumphouse.conf").write_text("[clouds]\nattempts = 1\n")
    clouds[1].faults.add("status", path="/image/*", times=0, code=503)
    rows = listed("cloud", "check", "destination", status=1)
    assert [row["What"] for row in rows if row["State"] == "fails"] == ["image"]


def test_inventory_of_a_cloud_a_tenant_and_of_types(listed, pumphouse):
    every = names(listed("inventory", "source"))
    assert {("network", "web"), ("network", "bench"), ("project", "lab"), ("server", "web-0")} <= every
    one = listed("inventory", "source", "--tenant", "shop")
    assert {("network", "web"), ("server", "web-0"), ("user", "of-shop")} <= names(one)
    assert not {("network", "bench"), ("project", "lab"), ("server", "probe")} & names(one)
    (mtu,) = {row["Fields"]["mtu"] for row in one if row["Type"] == "network"}
    assert mtu == 1450
    two = listed("inventory", "source", "--type", "server", "--type", "network")
    assert {kind for kind, _ in names(two)} == {"server", "network"}
    both = listed("inventory", "source", "--tenant", "lab", "--type", "server")
    assert names(both) == {("server", "probe")}
    assert [row["Type"] for row in two] == ["network"] * 2 + ["server"] * 2  # as types need each other
    assert [row["Name"] for row in two] == ["bench", "web", "probe", "web-0"]
    table = pumphouse("inventory", "source", "--type", "server").stdout
    assert "Project ID" not in table
    assert "Project ID" in pumphouse("inventory", "source", "--type", "server", "-c", "Project ID").stdout
    assert "Project ID" in pumphouse("inventory", "source", "--type", "server", "--long").stdout


@pytest.mark.parametrize(
    ("kind", "name", "there", "missing"),
    [
        (
            "tenant",
            "shop",
            {("server", "web-0"), ("network", "web"), ("user", "of-shop"), ("volume", "data")},
            {("network", "bench"), ("server", "probe"), ("user", "of-lab")},
        ),
        (
            "server",
            "web-0",
            {("server", "web-0"), ("network", "web")},
            {("volume", "data"), ("server", "probe")},
        ),
        (
            "host",
            "HOST",
            {("server", "probe"), ("network", "bench")},
            {("server", "web-0"), ("network", "web")},
        ),
        ("image", "shop-linux", {("image", "shop-linux")}, {("image", "linux"), ("server", "web-0")}),
        ("image", "all", {("image", "shop-linux"), ("image", "linux")}, {("server", "web-0")}),
        (
            "identity",
            "shop",
            {("project", "shop"), ("user", "of-shop"), ("role", "member")},
            {("network", "web"), ("server", "web-0"), ("user", "of-lab")},
        ),
    ],
)
def test_what_a_plan_of_each_kind_holds(listed, clouds, kind, name, there, missing):
    name = host_of(clouds[0], "probe") if name == "HOST" else name
    found = names(listed("plan", kind, name))
    assert there - found == set()
    assert missing & found == set()


def test_several_names_and_the_same_one_twice(listed, pumphouse):
    rows = listed("plan", "tenant", "shop", "lab", "shop")
    assert {("project", "shop"), ("project", "lab")} <= names(rows)
    ids = [row["ID"] for row in rows if row["Type"] != "quota"]
    assert len(ids) == len(set(ids))
    assert ": tenant shop, lab, from" in pumphouse("plan", "tenant", "shop", "lab", "shop").stdout


def test_which_meta_resources_come_along(listed, tmp_path):
    assert ("network", "bench") not in names(listed("plan", "tenant", "shop", "--with", "dependencies"))
    every = names(listed("plan", "tenant", "shop", "--with", "all"))
    assert ("network", "bench") in every
    assert ("server", "probe") not in every
    (tmp_path / "pumphouse.conf").write_text("[migration]\nstrategy = all\n")
    assert ("network", "bench") in names(listed("plan", "tenant", "shop"))
    assert ("network", "bench") not in names(listed("plan", "tenant", "shop", "--with", "dependencies"))


def test_an_override_file_changes_the_plan(listed, tmp_path):
    (tmp_path / "over.yaml").write_text(
        "projects: {shop: store}\nrules: [{type: network, when: {name: web}, set: {name: front}}]"
    )
    found = names(listed("plan", "tenant", "shop", "--override", "over.yaml"))
    assert {("project", "store"), ("network", "front")} <= found
    assert not {("project", "shop"), ("network", "web")} & found


def test_other_names_of_the_clouds(listed, pumphouse, clouds, operator):
    operator.write_text(clouds_yaml({"east": clouds[0], "west": clouds[1]}))
    rows = listed("plan", "tenant", "shop", "--source", "east", "--destination", "west")
    assert ("server", "web-0") in names(rows)
    table = pumphouse("plan", "tenant", "shop", "--source", "east", "--destination", "west").stdout
    assert "from east to west" in table
    back = pumphouse("plan", "tenant", "shop", "--source", "west", "--destination", "east")
    assert "there is no tenant 'shop' (cloud west)" in back.stderr


def test_the_plans_table_fits_a_terminal_unless_more_is_asked_for(pumphouse):
    table = pumphouse("plan", "server", "web-0").stdout
    assert "Destination ID" not in table
    assert "Destination ID" in pumphouse("plan", "server", "web-0", "--long").stdout


def test_every_type_is_listed(listed):
    declared = {point.name for point in importlib.metadata.entry_points(group="pumphouse.resource_types")}
    rows = listed("resource", "types")
    assert {row["Type"] for row in rows} == declared
    order = [row["Type"] for row in rows]
    assert all(
        order.index(need) < order.index(row["Type"])
        for row in rows
        for need in row["Refers to"]
        if need != row["Type"]
    )


LISTINGS = [
    ("cloud", "list"),
    ("cloud", "check", "destination"),
    ("inventory", "source", "--type", "network"),
    ("plan", "image", "shop-linux"),
    ("resource", "types"),
]


@pytest.mark.parametrize("words", LISTINGS, ids=" ".join)
def test_every_listing_has_each_format(pumphouse, words):
    check_formats(pumphouse, words)


def check_formats(pumphouse, words, status=0):
    """Each format tells the same rows, with the columns in the same order."""

    def said(form, *more):
        ended = pumphouse(*words, *more, "-f", form)
        assert ended.returncode == status, ended
        return ended.stdout

    rows = json.loads(said("json"))
    assert rows
    assert yaml.safe_load(said("yaml")) == rows
    columns = list(rows[0])
    header, *cells = csv.reader(io.StringIO(said("csv")))
    assert header == [name for name in columns if name != "Fields"]
    assert [row[0] for row in cells] == [str(row[columns[0]]) for row in rows]
    values = said("value", "-c", columns[0]).splitlines()
    assert values == [str(row[columns[0]]) for row in rows]
    table = said("table", "--max-width", "0").splitlines()
    lines = [line for line in table if line.startswith("|")]
    assert lines[0].split("|")[1].strip() == columns[0]
    assert [line.split("|")[1].strip() for line in lines[1:]] == values
