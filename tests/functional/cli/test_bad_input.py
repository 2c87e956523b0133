"""Bad input of every kind: one clear line with what to do, the right exit status, nothing written."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from pumphouse.devcloud import clouds_yaml
from pumphouse.devcloud.fill import fill

from .conftest import PASSWORD, SHARED, admin, network, pair_in, server, tenant

PUBLIC = {
    "name": "public",
    "router:external": True,
    "subnets": [{"cidr": "203.0.113.0/24", "enable_dhcp": False}],
}


@pytest.fixture(scope="module")
def clouds(tmp_path_factory):
    """A pair with something wrong for each kind of bad input. Nothing is written to it, so all share it."""
    with pair_in(tmp_path_factory.mktemp("clouds")) as (source, destination):
        tenants = {
            "shop": tenant("shop", networks=[network("web")]),
            "lab": tenant("lab"),
            "clash": tenant("clash", networks=[network("web")], servers=[server("web-0", "web")]),
            "narrow": tenant("narrow", networks=[network("web")], servers=[server("web-0", "web")]),
            "outside": tenant("outside", routers=[{"name": "gateway", "gateway": "public"}]),
        }
        fill(source, {**SHARED, "networks": [PUBLIC], "tenants": tenants})
        theirs = {"clash": tenant("clash", networks=[network("mine")], servers=[server("web-0", "mine")])}
        fill(destination, {**SHARED, "tenants": theirs})
        with admin(source) as client:
            for domain in ("east", "west"):
                made = client.post("identity", "/domains", {"domain": {"name": domain}})["domain"]["id"]
                for name in ("twin", "shop-2"):
                    client.post("identity", "/projects", {"project": {"name": name, "domain_id": made}})
            projects = client.get("identity", "/projects?name=narrow")["projects"]
            limits = {"quota_set": {"instances": 0, "force": True}}
            client.put("compute", f"/os-quota-sets/{projects[0]['id']}", limits)
        yield source, destination


@pytest.fixture
def refused(clouds, operator_of, pumphouse):
    """Runs a command that must be refused; the line that it says."""

    def run(*words, status=2):
        before = [len(cloud.counts.writes) for cloud in clouds]
        state = [cloud.state() for cloud in clouds]
        ended = pumphouse(*words)
        assert ended.returncode == status, ended
        (line,) = ended.stderr.splitlines()
        assert line.startswith("pumphouse")
        assert "Traceback" not in ended.stderr + ended.stdout
        assert "unexpected" not in line
        assert not re.search(r"admin-secret|ann-secret", ended.stderr + ended.stdout)
        if status == 2:
            assert ended.stdout == ""
        assert [len(cloud.counts.writes) for cloud in clouds] == before
        assert [cloud.state() for cloud in clouds] == state
        return line

    return run


@pytest.fixture
def operator_of(clouds, clean_environment, tmp_path, monkeypatch):
    """The operator's clouds.yaml, which a test may spoil; and no patience with services that are down."""
    (tmp_path / "pumphouse.conf").write_text("[clouds]\nattempts = 1\n")
    source, destination = clouds
    path = tmp_path / "clouds.yaml"
    path.write_text(clouds_yaml({"source": source, "destination": destination}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    yield path
    for cloud in clouds:
        cloud.faults.clear()


@pytest.fixture
def entry(operator_of):
    """Changes the source's entry in clouds.yaml."""

    def change(auth=None, **values):
        data = yaml.safe_load(operator_of.read_text())
        data["clouds"]["source"]["auth"].update(auth or {})
        data["clouds"]["source"].update(values)
        operator_of.write_text(yaml.safe_dump(data))

    return change


MIGRATE = ("migrate", "tenant", "shop", "--yes")


@pytest.mark.parametrize(
    "words",
    [
        (*MIGRATE, "--source", "north"),
        (*MIGRATE, "--destination", "north"),
        ("plan", "tenant", "shop", "--source", "north"),
        ("inventory", "north"),
        ("cloud", "check", "north"),
    ],
)
def test_an_unknown_cloud(refused, words):
    line = refused(*words)
    assert "there is no cloud 'north'" in line
    assert "Known clouds: destination, source" in line


@pytest.mark.parametrize("option", ["--source", "--destination"])
def test_an_empty_name_of_a_cloud_is_not_the_default(refused, option):
    """As an unset variable of a shell gives it."""
    assert "a name must not be empty" in refused(*MIGRATE, option, "")


@pytest.mark.parametrize(
    ("auth", "told"),
    [
        ({"password": "wrong"}, "Check the credentials"),
        ({"username": "nobody"}, "Check the credentials"),
        ({"project_name": "lab"}, "Check the credentials"),
        ({"password": 12345}, "auth.password is not text (cloud source). Put its value into quotes"),
        ({"password": None}, "Complete this cloud's auth section"),
        ({"auth_url": "cloud.example"}, "auth.auth_url is no URL"),
        ({"auth_url": None}, "auth_url"),
    ],
)
def test_wrong_credentials(refused, entry, auth, told):
    entry(auth)
    line = refused(*MIGRATE)
    assert told in line
    assert "source" in line


def test_an_account_without_the_admin_role(refused, entry):
    entry({"username": "of-shop", "password": PASSWORD, "project_name": "shop"})
    line = refused(*MIGRATE)
    assert "answered 403" in line
    assert "Give the operator's account the admin role" in line


def test_a_secret_in_what_was_given_is_not_repeated(refused):
    assert "password=***" in refused("migrate", "--plan", "password=ann-secret", "--yes")


def test_a_region_that_is_not_there(refused, entry):
    entry(region_name="Mars")
    assert "Compare region_name and interface in clouds.yaml" in refused(*MIGRATE)


@pytest.mark.parametrize(
    "text",
    [
        "clouds: {source: 5, destination: {}}",
        "clouds: {source: }",
        "clouds: {source: {auth: 5}}",
        "clouds: [",
        "5",
    ],
)
def test_an_odd_clouds_yaml(refused, operator_of, text):
    operator_of.write_text(text)
    assert "clouds.yaml" in refused(*MIGRATE)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("service", ["identity", "compute", "image", "network", "volume"])
def test_a_service_that_is_down(refused, clouds, service, side):
    clouds[side].faults.add("status", path=f"/{service}/*", times=0, code=503)
    line = refused(*MIGRATE)
    assert "503" in line
    assert f"cloud {clouds[side].name}" in line
    assert "See that the service is up" in line


def test_a_cloud_that_is_down(refused, entry):
    entry({"auth_url": "http://127.0.0.1:9/identity/v3"})
    assert "Connection refused (cloud source). See that the service is up" in refused(*MIGRATE)


def test_an_answer_that_is_not_of_the_service(refused, clouds):
    clouds[1].faults.add("status", path="/network/*", times=0, code=200, body="<html>a proxy</html>")
    line = refused(*MIGRATE)
    assert "/network/v2.0/extensions answered 200 with something that is not JSON (cloud destination)" in line
    assert "endpoint in the catalogue" in line


@pytest.mark.parametrize("kind", ["tenant", "identity", "server", "image", "host"])
def test_what_is_not_there(refused, kind):
    line = refused("migrate", kind, "shap", "--yes")
    assert "'shap'" in line
    assert ("Did you mean 'shop'" if kind in {"tenant", "identity"} else "pumphouse inventory source") in line


def test_a_tenant_that_two_domains_have(refused, pumphouse):
    line = refused("migrate", "tenant", "twin", "--yes")
    assert "east/twin" in line
    assert "west/twin" in line
    assert "by its id, or a tenant as domain/name" in line
    assert pumphouse("plan", "tenant", "east/twin").returncode == 0


def test_source_and_destination_are_one(refused, operator_of):
    assert "both 'source'" in refused(*MIGRATE, "--destination", "source")
    data = yaml.safe_load(operator_of.read_text())
    data["clouds"]["again"] = data["clouds"]["source"]
    operator_of.write_text(yaml.safe_dump(data))
    line = refused(*MIGRATE, "--destination", "again")
    assert "'source' and 'again' are the same cloud. Name two clouds" in line


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"pumphouse-plan"', '"a letter"'),
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: text.replace('"action"', '"deed"'),
        lambda text: text.replace('"create"', '"burn"'),
        lambda text: re.sub(r'"resources": \[.*', '"resources": 5}', text, flags=re.DOTALL),
        lambda text: re.sub(r'"needs": \[[^]]*\]', '"needs": [5]', text),
        lambda text: text + "\udcff",  # no UTF-8
        lambda _: "",
        lambda _: "[]",
    ],
)
def test_a_damaged_plan_file(refused, pumphouse, tmp_path, spoil):
    path = tmp_path / "plan.json"
    assert pumphouse("plan", "tenant", "shop", "-o", "plan.json").returncode == 0
    path.write_text(spoil(path.read_text()), errors="surrogateescape")
    line = refused("migrate", "--plan", "plan.json", "--yes")
    assert "plan.json" in line
    assert "Make it again with: pumphouse plan" in line


def test_a_plan_file_that_is_not_there(refused):
    assert "Make it again" in refused("migrate", "--plan", "missing.json", "--yes")


OVERRIDES = [
    ("projcts: {shop: x}", "unknown keys: projcts. Known are: availability_zones"),
    ("projects: {shop: [x]}", "projects must map names to names"),
    ("projects: {shop: 2024}", "Put numbers and such into quotes"),
    ("projects: {shop: ''}", "projects must map names to names"),
    ("projects: {shop: a, shop: b}", "line 1, column 21: 'shop' is there twice"),
    ("projects: {shop: b", "is not YAML: line 1, column 19: expected ',' or '}'"),
    ("projects:\n\tshop: b", "is not YAML: line 2, column 1"),
    ("- projects", "must hold a mapping"),
    ("false", "must hold a mapping"),
    ("rules: [{type: [network], set: {mtu: 1400}}]", "unknown type ['network']"),
    ("rules: [{type: net, set: {mtu: 1400}}]", "unknown type 'net'. Known are: "),
    ("rules: [{type: network, set: {mtv: 1400}}]", "network has no field mtv. Known are: "),
    ("rules: [{type: network, when: {nme: web}, set: {mtu: 1400}}]", "network has no field nme. Known are: "),
    ("rules: [{type: server, set: {user_data: x}}]", "server has no field user_data"),
    ("rules: [{type: network, set: {mtu: many}}]", "sets mtu of network 'web'"),
    ("rules: [{type: network, set: {admin_state_up: 1}}]", "which is not true or false"),
    ("rules: [{type: network, set: {name: null}}]", "which is not text. Correct the rule"),
    ("rules: [{type: subnet, set: {dns_nameservers: 192.0.2.1}}]", "which is not a list"),
    (f"projects: {{shop: {'x' * 65}}}", "would have 65 characters, of 64 at most"),
    (f"rules: [{{type: network, set: {{name: {'x' * 256}}}}}]", "would have 256 characters, of 255 at most"),
]


@pytest.mark.parametrize(("text", "told"), OVERRIDES)
def test_a_bad_override_file(refused, tmp_path, text, told):
    (tmp_path / "over.yaml").write_text(text)
    line = refused(*MIGRATE, "--override", "over.yaml")
    assert told in line
    assert line.endswith(".")


def test_an_override_file_that_is_not_there(refused):
    line = refused(*MIGRATE, "--override", "missing.yaml")
    assert "cannot read missing.yaml: No such file or directory. Correct the file" in line


def test_a_name_clash(refused):
    line = refused("migrate", "tenant", "clash", "--yes", status=4)
    assert "name clash" in line
    assert "server 'web-0'" in line


def test_what_is_blocked_is_told_by_its_causes_and_where_to_see_all(refused, pumphouse, tmp_path):
    """Not by what needs them: the router needs the network."""
    (tmp_path / "over.yaml").write_text("projects: {shop: store}")
    again = ("tenant", "outside", "--with", "dependencies", "--mode", "image", "--override", "over.yaml")
    line = refused("migrate", *again, "--yes", status=4)
    assert "router" not in line
    assert line.endswith("See all with: pumphouse plan " + " ".join(again))
    shown = pumphouse("plan", *again, "-f", "json")
    assert shown.returncode == 4
    assert [row["Type"] for row in json.loads(shown.stdout) if row["Action"] == "blocked"] == [
        "network",
        "router",
    ]


def test_a_quota_that_does_not_suffice(refused):
    line = refused("migrate", "tenant", "narrow", "--yes", status=4)
    assert "quota compute.instances is 0, 0 are used and 1 more are needed" in line
    assert "Raise that quota" in line


def test_a_missing_external_network(refused):
    line = refused("migrate", "tenant", "outside", "--yes", status=4)
    assert "network 'public'" in line
    assert "map its name" in line


def test_two_tenants_that_would_become_one(refused, tmp_path):
    (tmp_path / "over.yaml").write_text("projects: {lab: shop}")
    line = refused("migrate", "tenant", "shop", "lab", "--yes", "--override", "over.yaml", status=4)
    assert "would become the same on the destination" in line
    assert "Give each a name of its own" in line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("plan", "tenant", "shop", "-o", "-"), "it must be the name of a file"),
        (("plan", "tenant", "shop", "-o", "."), "it is a directory"),
        (("plan", "tenant", "shop", "-o", "no/where"), "there is no directory"),
        (("migration", "report", "last", "-o", "."), "it is a directory"),
    ],
)
def test_a_place_that_cannot_be_written(refused, words, told):
    line = refused(*words)
    assert told in line
    assert "Name a place where you may write" in line


def test_a_directory_where_nobody_may_write(refused):
    """Below /sys not even root makes a file."""
    assert "ermission denied" in refused("plan", "tenant", "shop", "-o", "/sys/plan.json")


@pytest.mark.parametrize(
    "url", ["nosuch://operator:ann-secret@host/db", "mysql+pymysql://operator:ann-secret@127.0.0.1:1/db"]
)
def test_a_store_that_cannot_be_used(refused, tmp_path, url):
    (tmp_path / "pumphouse.conf").write_text(f"[store]\nurl = {url}\n")
    assert "url of [store]" in refused("migration", "list")
    assert "url of [store]" in refused(*MIGRATE)
