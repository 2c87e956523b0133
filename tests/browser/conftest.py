"""A browser before the dashboard, which the real ``pumphouse api`` serves on embedded clouds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright
from serving import config_file, people, serve, service, wait_for  # noqa: F401 -- fixtures

from pumphouse.model import Scope, ScopeKind
from pumphouse.service import wavefile
from pumphouse.service.finalizable import Part
from pumphouse.service.operations import WantedPlan

HERE = Path(__file__).parent
# As root, in a container, without a graphics card; and nothing of its own to fetch.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-lcd-text",  # letters without coloured edges: the same everywhere, and smaller pictures
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SECONDS = 60
"""How long a condition may take on a machine that is slow and busy."""
expect.set_options(timeout=SECONDS * 1000)


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session")
def chromium():
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the tests in a browser need chromium (on Debian: apt-get install chromium)")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_browser(chromium):
    """Opens windows: ``open_browser(url, width=360, color_scheme="dark")``.

    What a page complains about fails the test: an error in a script, or something that the
    Content-Security-Policy has refused.
    """
    contexts, complaints = [], []

    def heard(message):
        # A server that is away on purpose is no fault of the page.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def start(url, *, width=1280, height=900, **options):
        context = chromium.new_context(
            base_url=url, viewport={"width": width, "height": height}, locale="en-GB", **options
        )
        context.set_default_timeout(SECONDS * 1000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield start
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def served(serve):  # noqa: F811
    return serve()


@pytest.fixture
def page(open_browser, served):
    """A window before a server that runs."""
    return open_browser(served.url)


@pytest.fixture
def plan(service):  # noqa: F811
    """A plan to move the shop, in the store."""
    scope = Scope(kind=ScopeKind.TENANT, names=("shop",))
    return service.plan(scope, source="source", destination="destination")


@pytest.fixture
def moved(service, plan):  # noqa: F811
    """A migration that has succeeded."""
    record = service.start(plan, check_fresh=False)
    assert str(service.run(record.id).state) == "SUCCEEDED"
    service.refresh("source")
    service.refresh("destination")
    return record.id


@pytest.fixture
def failed(service, served, wait_for):  # noqa: F811
    """What was asked for and could not be done."""
    scope = Scope(kind=ScopeKind.TENANT, names=("nobody",))
    asked = service.operations.plan(WantedPlan(scope=scope, source="source", destination="destination"))
    wait_for(lambda: service.operations.get(asked.id).state.ended)
    return asked.id


@pytest.fixture
def listed(service, served, moved, wait_for):  # noqa: F811
    """A migration of which somebody has seen what could be removed for good."""
    asked = service.operations.look_for_finalizable(moved, set(Part))
    wait_for(lambda: service.operations.get(asked.id).state.ended)
    return moved


@pytest.fixture
def wave(service):  # noqa: F811
    """A wave that has been planned, with a group of each kind of beginning."""
    groups = [
        {"name": "pilot", "tenants": ["lab"]},
        {"name": "at night", "servers": ["web-1"], "start": "2099-12-01T02:00:00Z"},
        {"name": "rest", "servers": ["web-2"], "start": "ask"},
    ]
    return service.plan_described(wavefile.parse({"groups": groups}, where="the wave"), name="night").id


@pytest.fixture
def emptied(service):  # noqa: F811
    """An evacuation that has ended."""
    return service.evacuate("destination", "compute-2", at_once=2, listener=lambda _text: None).id


@pytest.fixture
def every_page(plan, moved, listed, failed, wave, emptied):
    """The path of every page, with something on each."""
    return (
        "/",
        "/?text=nothing-is-called-this",
        f"/migrations/{moved}",
        f"/migrations/{moved}/report",
        "/plans",
        f"/plans/{plan.id}",
        f"/migrations/{moved}/units",
        "/clouds",
        "/clouds/source/resources?tenant=shop",
        "/resource-types",
        "/new",
        f"/new?operation={failed}",
        f"/operations/{failed}",
        f"/migrations/{listed}/finalize",
        "/waves",
        "/waves/new",
        f"/waves/{wave}",
        "/clouds/source/hosts",
        "/clouds/source/hosts/compute-1",
        f"/evacuations/{emptied}",
        "/login-nowhere",
    )
