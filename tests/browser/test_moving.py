"""A tenant is moved, paused, taken back and moved again: all of it in a browser."""

from __future__ import annotations

import json
import re
import socket

import pytest
import requests
from playwright.sync_api import expect
from serving import done_over

SCOPE = {"scope": {"kind": "tenant", "names": ["shop"]}}


def begin(served):
    return done_over(served.url, "/v1/migrations", {"plan": SCOPE})["migration_id"]


def state_is(page, word):
    expect(page.locator("h1 .badge")).to_have_text(word, timeout=180_000)


def button(page, name):
    return page.locator("#migration").get_by_role("button", name=name, exact=True)


def look_at_the_report(page):
    page.get_by_role("link", name=re.compile("units")).click()
    expect(page.get_by_role("row", name=re.compile("server web-1"))).to_contain_text("done")
    page.go_back()
    page.get_by_role("link", name="Report").click()
    expect(page.locator("h1 .badge")).to_have_text("verified")
    expect(page.locator(".gantt li")).not_to_have_count(0)
    page.get_by_label("Outcome").select_option("changed")
    page.get_by_role("button", name="Filter").click()
    changed = page.locator("tbody tr")
    expect(changed).to_have_count(1)
    changed.locator("summary").click()
    expect(changed).to_contain_text("203.0.113.11")
    with page.expect_download() as table:
        page.get_by_role("link", name="CSV").click()
    assert table.value.path().read_text().startswith("type,id,name")


def test_a_person_moves_a_tenant_from_choosing_it_to_the_report(page):
    page.goto("/clouds")
    expect(page.get_by_text("Neither cloud has been read yet.")).to_be_visible()
    source = page.locator(".cloud", has=page.get_by_role("heading", name="Source"))
    expect(source.get_by_role("row", name=re.compile("compute 2.1"))).to_be_visible()
    source.get_by_role("button", name="Read it").click()
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=re.compile("^shop")))
    expect(row).to_contain_text("5 servers")
    expect(row).to_contain_text("never")
    row.get_by_role("link", name=re.compile("Plan")).click()

    expect(page.locator("#chosen")).to_contain_text("shop")
    page.get_by_role("button", name="Make the plan").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("tenant")
    page.wait_for_url("**/plans/p-*")
    expect(page.locator(".tile", has_text="create")).to_contain_text(re.compile(r"\d\d"))
    expect(page.get_by_text("203.0.113.11 will be another address")).to_have_count(2)
    page.get_by_label("Type").select_option("server")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(".planned tbody tr")).to_have_count(5)
    page.locator("#graph-find").fill("web-1")
    page.locator("#graph-find").press("Enter")
    expect(page.locator(".detail")).to_contain_text("web-1")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save as a file").click()
    assert '"format": "pumphouse-plan"' in saved.value.path().read_text()

    page.get_by_role("button", name="Start…").click()
    page.get_by_label("Name", exact=True).fill("the web shop")
    page.get_by_label("Steps at once").fill("4")
    page.get_by_label("Copies at once").fill("2")
    page.get_by_label("MiB per second").fill("512")
    page.get_by_role("button", name="Start it").click()
    page.wait_for_url("**/migrations/m-*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("the web shop")
    expect(page.locator("#migration .facts").first).to_contain_text("512")
    state_is(page, "succeeded")
    expect(page.locator(".tile", has_text="Done")).to_contain_text("100 %")
    assert page.locator("#graph .node.good").count() > 40
    page.get_by_role("combobox", name="Show").select_option("ends")
    expect(page.locator(".log")).not_to_contain_text("compares it")
    expect(page.locator(".log")).to_contain_text("migration succeeded")

    look_at_the_report(page)
    page.goto("/")
    expect(page.get_by_role("row").filter(has_text="the web shop")).to_contain_text("succeeded")


def test_a_plan_that_was_saved_comes_back(page, plan):
    with_plan = {"name": "plan.json", "mimeType": "application/json"}
    page.goto("/plans")
    form = page.locator("form.take")
    content = json.dumps(plan.to_dict()).encode()
    form.locator("input").set_input_files(with_plan | {"buffer": content})
    form.get_by_role("button", name="Take it in").click()
    page.wait_for_url("**/plans/p-*")
    assert not page.url.endswith(plan.id)
    expect(page.locator(".tile", has_text="create")).to_contain_text(re.compile(r"\d\d"))
    page.goto("/plans")
    form.locator("input").set_input_files(with_plan | {"buffer": b"something else"})
    form.get_by_role("button", name="Take it in").click()
    expect(page.get_by_text("no plan")).to_be_visible()


def test_root_disks_of_single_servers_travel_otherwise(page, served):
    page.goto("/new?kind=server&names=web-1&names=web-2")
    page.get_by_text("Root disks of single servers otherwise").click()
    page.get_by_label("snapshot", exact=True).fill("web-2")
    page.get_by_role("button", name="Make the plan").click()
    page.wait_for_url("**/plans/p-*")
    page.get_by_label("Type").select_option("server")
    page.get_by_role("button", name="Filter").click()
    rows = page.locator(".planned tbody tr")
    expect(rows.filter(has_text="web-1")).to_contain_text("what was written to it stays on the source")
    expect(rows.filter(has_text="web-2")).not_to_contain_text("stays on the source")


def test_what_is_wrong_with_a_choice_is_said_beside_it(page):
    page.goto("/new")
    page.get_by_text("Write names or ids").click()
    page.get_by_label("Names or ids").fill("no-such-tenant")
    page.get_by_text("What shall be otherwise").click()
    page.get_by_label("Overrides").fill("projects: [no")
    page.get_by_role("button", name="Make the plan").click()
    alert = page.get_by_role("alert").filter(has_text="No plan was made")
    expect(alert).to_contain_text("not YAML")
    expect(page.get_by_label("Names or ids")).to_have_value("no-such-tenant")
    page.get_by_label("Overrides").fill("")
    page.get_by_role("button", name="Make the plan").click()
    expect(alert).to_contain_text("no-such-tenant")
    expect(alert).to_contain_text("What to do:")
    page.get_by_role("link", name="Change it, and ask again").click()
    expect(page.locator("#chosen")).to_contain_text("no-such-tenant")


def test_a_plan_is_made_while_its_page_tells_how_far_it_is(page, cloud_pair):
    cloud_pair.source.faults.add("delay", method="GET", path="*/servers/detail*", seconds=8.0)
    page.goto("/new")
    page.get_by_text("Write names or ids").click()
    page.get_by_label("Names or ids").fill("shop")
    page.get_by_role("button", name="Make the plan").click()
    page.wait_for_url("**/operations/o-*")
    expect(page.locator(".types li").filter(has_text="destination")).to_contain_text(
        re.compile(r"[1-9]\d* resources")
    )
    where = page.url
    page.goto("/plans")
    page.get_by_role("link", name="Making a plan").click()
    assert page.url == where
    page.wait_for_url("**/plans/p-*")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Plans")


def test_a_cloud_that_cannot_be_read_is_told_beside_its_button(page, cloud_pair):
    cloud_pair.source.faults.add("status", method="GET", path="*/servers/detail*", code=403, times=0)
    page.goto("/clouds")
    source = page.locator(".cloud", has=page.get_by_role("heading", name="Source"))
    source.get_by_role("button", name="Read it").click()
    expect(page.locator("#messages")).to_contain_text("req-")
    expect(source.get_by_role("button", name="Read it")).to_be_enabled()


def test_a_migration_is_paused_resumed_and_rolled_back(page, served, cloud_pair):
    before = cloud_pair.destination.state()["tables"].get("servers", [])
    cloud_pair.destination.timings["build"] = 8.0
    page.goto(f"/migrations/{begin(served)}")
    expect(page.locator(".steps")).to_contain_text("server", timeout=120_000)
    expect(page.locator("#graph .node.busy").first).to_be_visible()
    button(page, "Pause").click()
    state_is(page, "paused")
    cloud_pair.destination.timings["build"] = 0.02
    dialog = page.get_by_role("dialog")
    button(page, "Resume").click()
    dialog.get_by_label("Steps at once").fill("3")
    dialog.get_by_role("button", name="Go on").click()
    state_is(page, "succeeded")
    expect(page.locator("#migration .facts").first).to_contain_text("Steps at once3")
    button(page, "Roll back").click()
    expect(dialog).to_contain_text("Everything that it made on destination is removed")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    state_is(page, "succeeded")
    button(page, "Roll back").click()
    dialog.get_by_role("button", name="Roll it back").click()
    state_is(page, "rolled back")
    assert cloud_pair.destination.state()["tables"].get("servers", []) == before
    expect(button(page, "Retry")).to_be_visible()
    expect(button(page, "Roll back")).to_have_count(0)


def test_a_server_that_fails_is_told_with_what_to_do_and_tried_again(page, served, cloud_pair):
    cloud_pair.destination.faults.add("server_error", path="web-1")
    page.goto(f"/migrations/{begin(served)}")
    state_is(page, "partly done")
    failed = page.locator(".failures li").filter(has_text="web-1")
    expect(failed).to_contain_text("failed")
    expect(failed).to_contain_text("What to do:")
    expect(page.locator("#graph .node.bad")).to_have_count(1)
    page.get_by_role("combobox", name="Show").select_option("problems")
    expect(page.locator(".log li").first).to_be_visible()
    expect(page.locator(".log")).to_contain_text("web-1")
    cloud_pair.destination.faults.clear()
    button(page, "Retry").click()
    page.get_by_role("dialog").get_by_label("Steps at once").fill("3")
    page.get_by_role("dialog").get_by_role("button", name="Try again").click()
    state_is(page, "succeeded")
    expect(page.locator(".failures")).to_have_count(0)
    expect(page.locator("#migration .facts").first).to_contain_text("Last run begun")
    expect(page.get_by_text("the last run")).to_be_visible()


def test_a_request_that_a_cloud_refused_is_told_with_its_id(page, served, cloud_pair):
    cloud_pair.destination.faults.add("status", method="POST", path="*/servers", code=403, times=0)
    page.goto(f"/migrations/{begin(served)}")
    expect(page.locator(".failures")).to_contain_text("req-", timeout=180_000)


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_page_goes_on_when_the_server_is_back(serve, open_browser, cloud_pair, port):
    served = serve("--listen", f"127.0.0.1:{port}")
    cloud_pair.destination.timings["build"] = 20.0
    page = open_browser(served.url)
    page.goto(f"/migrations/{begin(served)}")
    live = page.locator("#migration")
    expect(page.locator(".steps")).to_contain_text("server", timeout=120_000)
    expect(live).to_have_attribute("data-connection", "live")
    served.stop()
    expect(page.get_by_text("The server cannot be reached")).to_be_visible()
    cloud_pair.destination.timings["build"] = 0.02
    serve("--listen", f"127.0.0.1:{port}")
    state_is(page, "succeeded")
    expect(page.get_by_text("The server cannot be reached")).to_be_hidden()
    expect(live).to_have_attribute("data-connection", "live")


def test_a_page_without_a_stream_asks_instead(page, served):
    page.route(re.compile("/events"), lambda route: route.fulfill(status=429, body=""))
    page.goto(f"/migrations/{begin(served)}")
    expect(page.locator("#migration")).to_have_attribute("data-connection", "polling")
    state_is(page, "succeeded")


def test_a_laptop_that_wakes_up_shows_what_happened_meanwhile(page, served, wait_for):
    page.clock.install()
    id = begin(served)
    page.goto(f"/migrations/{id}")
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    wait_for(
        lambda: requests.get(f"{served.url}/v1/migrations/{id}", timeout=60).json()["state"] == "SUCCEEDED"
    )
    # Nothing ticks while it sleeps; then an hour has passed at once.
    page.clock.fast_forward(3_600_000)
    page.clock.resume()
    state_is(page, "succeeded")
