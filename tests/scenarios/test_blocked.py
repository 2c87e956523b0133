"""What cannot be done is found before anything is written, and says what to do."""

from __future__ import annotations

import openstack
import pytest

from pumphouse import config, errors
from pumphouse.config import FloatingIPs
from pumphouse.model import Action
from pumphouse.resource import Severity
from pumphouse.service import Pumphouse
from pumphouse.store.states import MigrationState


def blocked(site, *names, **options):
    """What blocks the plan, by type and name; nothing was written to make it, and nothing will be."""
    writes = site.writes()
    plan = site.plan(*names, **options)
    with pytest.raises(errors.PlanBlocked) as caught:
        site.app.start(plan, check_fresh=False)
    assert caught.value.next_step
    assert site.writes() == writes
    found = {}
    for one in plan.doing(Action.BLOCKED):
        first = next(problem for problem in one.problems if problem.severity is Severity.BLOCK)
        assert first.next_step, first
        found[one.ref.type, one.resource.name] = first.summary
    return found


def destination():
    return openstack.connect(cloud="destination")


def a_project_there():
    cloud = destination()
    return cloud.identity.create_project(name="shop", domain_id="default", description="The web shop")


@pytest.mark.slow
def test_an_address_that_is_taken(site):
    record = site.migrate()
    network = destination().network
    port = next(iter(network.ports(name="web-1-web")))
    network.delete_port(port)
    network.create_port(
        network_id=port.network_id, fixed_ips=[{"ip_address": port.fixed_ips[0]["ip_address"]}], name="thief"
    )
    found = blocked(site)
    assert "10.10.0.11" in found["port", "web-1-web"]
    assert "thief" in found["port", "web-1-web"]
    assert record.state is MigrationState.SUCCEEDED


def test_a_server_of_the_same_name_that_is_not_ours(site):
    project = a_project_there()
    cloud = destination()
    cloud.network.create_network(name="elsewhere", project_id=project.id)
    tenant = cloud.connect_as_project(project)
    admin = cloud.identity.find_user("admin")
    cloud.identity.assign_project_role_to_user(project, admin, cloud.identity.find_role("admin"))
    tenant.compute.create_server(
        name="web-1",
        flavor_id=cloud.compute.find_flavor("m1.tiny").id,
        image_id=cloud.image.find_image("debian-12").id,
        networks="none",
    )
    found = blocked(site)
    assert "name clash" in found["server", "web-1"]
    assert ("server", "web-2") not in found


def test_a_flavor_of_the_same_name_and_another_size(site):
    destination().compute.create_flavor(name="db.large", ram=1024, vcpus=1, disk=1)
    found = blocked(site)
    assert "ram: 8192 wanted, 1024 found" in found["flavor", "db.large"]
    assert "flavor 'db.large'" in found["server", "db-1"]


@pytest.mark.slow
def test_a_missing_external_network_and_an_override_that_maps_it(site, tmp_path):
    network = destination().network
    network.update_network(network.find_network("public"), name="internet")
    found = blocked(site)
    assert "never created" in found["network", "public"]
    override = tmp_path / "override.yaml"
    override.write_text("networks: {public: internet}\n")
    plan = site.plan(override_file=override)
    record = site.app.run(site.app.start(plan, check_fresh=True).id)
    assert record.state is MigrationState.SUCCEEDED
    assert network.find_router("shop-gateway").external_gateway_info["network_id"]


def test_two_tenants_that_would_become_one(site, tmp_path):
    override = tmp_path / "override.yaml"
    override.write_text("projects: {lab: shop}\n")
    found = blocked(site, "shop", "lab", override_file=override)
    assert "would become the same" in found["project", "shop"]


def test_a_limit_below_what_the_destination_uses(site):
    source = openstack.connect(cloud="source")
    source.compute.update_quota_set(source.identity.find_project("shop").id, instances=2, force=True)
    found = blocked(site)
    assert "compute.instances is 2, 0 are used and 5 more are needed" in found["quota", "shop"]


def test_a_server_in_error_is_refused_and_the_others_can_go_alone(site):
    source = openstack.connect(cloud="source")
    server = source.compute.find_server("web-1", all_projects=True)
    source.compute.reset_server_state(server, "error")
    found = blocked(site)
    assert "ERROR" in found["server", "web-1"]


def test_users_whose_names_differ_only_by_case(site):
    source = openstack.connect(cloud="source").identity
    twin = source.create_user(name="Anna", domain_id="default", password="another-fake")
    source.assign_project_role_to_user(source.find_project("shop"), twin, source.find_role("member"))
    found = blocked(site)
    assert "differs only by case" in found["user", "anna"]


@pytest.mark.slow
def test_floating_addresses_can_be_left_out(site):
    settings = config.load([site.config_file])
    migration = config.Migration(floating_ips=FloatingIPs.SKIP)
    site.app = Pumphouse.open(config.Config(**{**vars_of(settings), "migration": migration}))
    with site.app:
        plan = site.plan()
        skipped = plan.doing(Action.SKIP)
        assert [one.ref.type for one in skipped] == ["floating_ip"]
        record = site.app.run(site.app.start(plan, check_fresh=True).id)
        assert record.state is MigrationState.SUCCEEDED
        assert list(destination().network.ips()) == []


def vars_of(settings):
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


@pytest.mark.slow
def test_random_passwords_are_in_one_file_that_only_the_operator_reads(site, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    settings = config.load([site.config_file])
    migration = config.Migration(passwords=config.Passwords.RANDOM)
    site.app = Pumphouse.open(config.Config(**{**vars_of(settings), "migration": migration}))
    with site.app:
        record = site.migrate()
    (path,) = (tmp_path / "state" / "pumphouse").glob("passwords-*.tsv")
    assert path.stat().st_mode & 0o777 == 0o600
    rows = dict(line.split("\t")[::2] for line in path.read_text().splitlines())
    assert sorted(rows) == ["anna", "oskar"]
    assert record.state is MigrationState.SUCCEEDED
    cloud = openstack.connect(
        auth_url=site.destination.auth_url,
        username="anna",
        password=rows["anna"],
        project_name="shop",
        user_domain_name="Default",
        project_domain_name="Default",
        region_name="RegionOne",
    )
    assert cloud.current_project_id
