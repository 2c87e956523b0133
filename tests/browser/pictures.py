"""Takes the pictures of the documentation: ``make pictures``. Look at them before you commit them."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect
from serving import done_over

DOC = Path(__file__).parents[2] / "doc" / "user"
LARGEST = 200_000
SLOW = {"build": 9.0, "suspend": 1.0, "upload": 6.0, "image": 3.0, "volume": 2.0, "snapshot": 1.0}


@pytest.fixture
def windows(open_browser, serve, cloud_pair):
    """The address of a server in the middle of a migration, and windows in light and dark."""
    cloud_pair.source.timings.update(SLOW)
    cloud_pair.destination.timings.update(SLOW)
    url = serve().url
    for cloud in ("source", "destination"):
        done_over(url, f"/v1/clouds/{cloud}/refresh")
    return url, {
        colours: open_browser(url, width=1120, height=860, color_scheme=colours)
        for colours in ("light", "dark")
    }


def picture(page, name):
    path = DOC / f"{name}.png"
    page.mouse.move(0, 0)
    page.screenshot(path=path)
    assert path.stat().st_size < LARGEST, path


def test_a_migration_under_way(windows):
    url, pages = windows
    body = {
        "plan": {"scope": {"kind": "tenant", "names": ["shop"]}},
        "name": "The web shop",
        "options": {"jobs": 3},
    }
    id = done_over(url, "/v1/migrations", body)["migration_id"]
    for page in pages.values():
        page.goto(f"/migrations/{id}")
    for page in pages.values():
        expect(page.locator(".steps li:has-text('server')").nth(1)).to_be_visible()
        expect(page.locator("#graph .node").first).to_be_visible()
    for colours, page in pages.items():
        picture(page, "dashboard" if colours == "light" else "dashboard-dark")


def test_a_plan(windows, plan):
    page = windows[1]["light"]
    page.goto(f"/plans/{plan.id}")
    expect(page.locator("#graph .node").first).to_be_visible()
    picture(page, "dashboard-plan")
