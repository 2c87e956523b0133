"""What holds for every tenant that is moved between two embedded clouds, whatever it consists of."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from states import State, States, differences
from tenants import CLOUD, tenants

from pumphouse import config
from pumphouse.devcloud import TIMINGS, DevCloud, clouds_yaml
from pumphouse.devcloud.fill import fill
from pumphouse.model import Action, Scope, ScopeKind
from pumphouse.plan.document import Plan
from pumphouse.service import Pumphouse

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        settings.get_current_profile_name() != "deep", reason="takes minutes; run by make test-properties"
    ),
]
QUICK = dict.fromkeys(TIMINGS, 0.01)
DESTINATIONS = ("one", "two")
SHOP = Scope(kind=ScopeKind.TENANT, names=("shop",))


class Site:
    """A source and two destinations that are alike."""

    def __init__(self, folder: Path, app: Pumphouse, clouds: dict[str, DevCloud]) -> None:
        self.folder, self.app, self.clouds = folder, app, clouds

    def plan(self, destination: str) -> Plan:
        return self.app.plan(SHOP, source="source", destination=destination)

    def migrate(self, destination: str, *, jobs: int) -> str:
        """The id of the migration, which succeeded."""
        plan = self.plan(destination)
        assert [one for one in plan.resources if one.action is Action.BLOCKED] == []
        record = self.app.run(self.app.start(plan, check_fresh=False).id, jobs=jobs)
        assert (str(record.state), record.reason) == ("SUCCEEDED", "")
        return record.id

    def state(self, name: str) -> State:
        self.clouds[name].calm()
        return self.clouds[name].state()


@contextmanager
def open_site(tenant: dict[str, object]) -> Iterator[Site]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="pumphouse-")))
        clouds = {
            name: stack.enter_context(DevCloud(name, directory=folder / name, timings=QUICK))
            for name in ("source", *DESTINATIONS)
        }
        fill(clouds["source"], {**CLOUD, "tenants": {"shop": tenant}})
        for name in DESTINATIONS:
            fill(clouds[name], {"networks": CLOUD["networks"]})
        file = folder / "clouds.yaml"
        file.touch(mode=0o600)
        file.write_text(clouds_yaml(clouds))
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("OS_CLIENT_CONFIG_FILE", str(file))
        path = folder / "pumphouse.conf"
        path.write_text(
            f"[store]\nurl = sqlite:///{folder}/store/pumphouse.db\n[engine]\npoll_interval = 0.02\n"
            + "".join(
                f"[cloud:{name}]\nkeystone_database = {cloud.keystone_database_url}\n"
                for name, cloud in clouds.items()
            )
        )
        app = stack.enter_context(Pumphouse.open(config.load([path])))
        yield Site(folder, app, clouds)


def same(expected: States, **found: State) -> None:
    assert differences({name: expected[name] for name in found}, found) == []


def shuffle(cloud: DevCloud, seed: int) -> None:
    """Make some kinds of requests slow, so that what does not need each other comes in another order."""
    chosen = random.Random(seed)
    for path in ("/network/*", "/image/*", "/identity/*", "/compute/*", "/volume/*"):
        cloud.faults.add("delay", method="POST", path=path, seconds=chosen.choice([0.0, 0.02, 0.1]), times=0)


@given(tenant=tenants(), jobs=st.integers(2, 8), seed=st.integers(0, 99))
@settings(max_examples=max(5, settings().max_examples // 50), suppress_health_check=list(HealthCheck))
def test_any_order_gives_the_same_a_second_plan_is_empty_and_the_way_back_is_exact(tenant, jobs, seed):
    with open_site(tenant) as site:
        for name in DESTINATIONS:
            site.plan(name)  # a project's default group is made when it is first asked for
        begun = {name: site.state(name) for name in site.clouds}

        first = site.migrate("one", jobs=1)
        there = site.state("one")
        assert {one.action for one in site.plan("one").resources} <= {Action.REUSE, Action.SKIP}
        assert str(site.app.rollback(first).state) == "ROLLED_BACK"
        same(begun, source=site.state("source"), one=site.state("one"))

        shuffle(site.clouds["two"], seed)
        second = site.migrate("two", jobs=jobs)
        same({"two": there}, two=site.state("two"))
        assert str(site.app.rollback(second).state) == "ROLLED_BACK"
        same(begun, source=site.state("source"), two=site.state("two"))
