"""What the command line does besides moving a tenant: finalising, waves, emptying a hypervisor."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

GROUPS = """\
- name: pilot
  tenants: [lab]
- name: rest
  servers: [web-1]
  start: ask
"""


def picture(page, name):
    """For somebody to look at: only where a folder for them is named."""
    folder = os.environ.get("PUMPHOUSE_TEST_PICTURES")
    if folder:
        page.mouse.move(0, 0)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def badge_is(page, word):
    expect(page.locator("h1 .badge")).to_have_text(word, timeout=180_000)


@pytest.fixture
def dialog(page):
    return page.get_by_role("dialog")


def test_a_migration_is_finalised_once_what_goes_was_seen(page, served, moved, dialog):
    page.goto(f"/migrations/{moved}")
    page.get_by_role("link", name="Finalise…").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Finalise")
    picture(page, "finalize-first")
    page.get_by_label("Markers (the markers on").uncheck()
    page.get_by_role("button", name="Look for it").click()
    page.wait_for_url("**/finalize")
    expect(page.get_by_role("heading", level=2, name=re.compile("7 of 7 things would go"))).to_be_visible()
    web = page.get_by_role("row", name=re.compile("server web-1"))
    expect(web).to_contain_text("goes")
    expect(web).to_contain_text("what was written to it stays on the source")
    picture(page, "finalize-listing")
    page.get_by_role("button", name="Remove 7 things…").click()
    expect(dialog).to_contain_text("cannot be rolled back afterwards")
    picture(page, "finalize-dialog")
    page.keyboard.press("Enter")  # what has the focus takes nothing
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Remove 7 things…").click()
    dialog.get_by_role("button", name="Remove for good").click()
    page.wait_for_url("**/finalize", timeout=120_000)
    expect(page.get_by_text("All that you had seen go is gone.")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Remove"))).to_have_count(0)
    picture(page, "finalize-done")
    page.goto(f"/migrations/{moved}")
    expect(page.get_by_role("button", name="Roll back")).to_have_count(0)


def test_what_was_used_meanwhile_is_told(page, served, service, moved, wait_for):
    """And nothing goes by a listing that is not the last one."""
    page.goto(f"/migrations/{moved}/finalize")
    page.get_by_role("button", name="Look for it").click()
    page.wait_for_url("**/finalize")
    button = page.get_by_role("button", name=re.compile(r"Remove \d+ things…"))
    expect(button).to_be_visible()
    operation = service.operations.look_for_finalizable(moved, {"markers"})
    wait_for(lambda: service.operations.get(operation.id).state.ended)
    button.click()
    page.get_by_role("dialog").get_by_role("button", name="Remove for good").click()
    expect(page.get_by_text("is not the last listing")).to_be_visible()
    expect(page.get_by_text("List it again")).to_be_visible()


def test_a_wave_is_planned_begun_allowed_and_taken_back(page, served, service, dialog):
    page.goto("/waves")
    expect(page.get_by_text("No wave has been planned yet.")).to_be_visible()
    page.get_by_role("link", name="New wave").first.click()
    page.get_by_label("Name", exact=True).fill("night")
    page.get_by_label("Groups, in their order").fill("- name: [")
    picture(page, "wave-new")
    page.get_by_role("button", name="Plan it").click()
    expect(page.get_by_role("alert").filter(has_text="No wave was planned")).to_contain_text("not YAML")
    expect(page.get_by_label("Name", exact=True)).to_have_value("night")
    page.get_by_label("Groups, in their order").fill(GROUPS)
    page.get_by_label("Servers down at once").fill("2")
    page.get_by_label("root disks").select_option("volume")
    page.get_by_role("button", name="Plan it").click()
    page.wait_for_url("**/waves/w-*")
    badge_is(page, "planned")
    pilot, rest = (page.get_by_role("row", name=re.compile(f"^{name}")) for name in ("pilot", "rest"))
    expect(rest).to_contain_text("when you say so")
    expect(pilot).to_contain_text("1 server")
    picture(page, "wave-planned")
    assert {service.stored_plan(one.plan_id).disk_mode for one in service.wave("last").groups} == {"volume"}
    page.get_by_role("button", name="Begin").click()
    expect(dialog).to_contain_text("destination is written to")
    picture(page, "wave-dialog")
    dialog.get_by_role("button", name="Begin").click()
    expect(page.locator(".banner")).to_contain_text("Group rest waits for your word", timeout=180_000)
    badge_is(page, "waits")
    expect(pilot).to_contain_text("succeeded")
    picture(page, "wave-waits")
    page.get_by_role("button", name="Let it begin").click()
    expect(dialog).to_contain_text("gives it")
    dialog.get_by_role("button", name="Go on").click()
    badge_is(page, "succeeded")
    expect(rest).to_contain_text("succeeded")
    page.get_by_role("button", name="Roll back").click()
    dialog.get_by_role("button", name="Take it back").click()
    badge_is(page, "rolled back")
    picture(page, "wave-back")
    page.goto("/waves")
    expect(page.get_by_role("row", name=re.compile("^night"))).to_contain_text("rolled back")
    picture(page, "waves")


def test_a_wave_is_paused_in_the_middle(page, served, service, cloud_pair, dialog):
    cloud_pair.destination.timings["build"] = 8.0
    page.goto("/waves/new")
    page.get_by_label("Name", exact=True).fill("slow")
    page.get_by_label("Groups, in their order").fill("[{name: first, servers: [web-1]}]")
    page.get_by_role("button", name="Plan it").click()
    page.wait_for_url("**/waves/w-*")
    page.get_by_role("button", name="Begin").click()
    dialog.get_by_role("button", name="Begin").click()
    expect(page.locator("table .bar")).to_be_visible()
    picture(page, "wave-running")
    page.get_by_role("button", name="Pause").click()
    badge_is(page, "waits")
    cloud_pair.destination.timings["build"] = 0.02
    page.get_by_role("button", name="Resume").click()
    dialog.get_by_label("Leave what has failed").check()
    dialog.get_by_role("button", name="Go on").click()
    badge_is(page, "succeeded")


def test_what_was_asked_for_and_failed_can_be_changed(page, served):
    page.goto("/waves/new")
    page.get_by_label("Name", exact=True).fill("nobody")
    page.get_by_label("Groups, in their order").fill("- tenants: [nobody]")
    page.get_by_role("button", name="Plan it").click()
    expect(page.get_by_text("No wave was planned.")).to_be_visible()
    picture(page, "wave-failed")
    page.get_by_role("link", name="Change it, and ask again").click()
    expect(page.get_by_label("Groups, in their order")).to_have_value(re.compile("nobody"))
    expect(page.get_by_label("Name", exact=True)).to_have_value("nobody")


def test_a_hypervisor_is_emptied_and_that_can_be_stopped(page, served, cloud_pair, dialog):
    page.goto("/clouds")
    page.get_by_role("link", name="Hypervisors of source").click()
    row = page.get_by_role("row", name=re.compile("^compute-1"))
    expect(row).to_contain_text("enabled")
    picture(page, "hosts")
    row.get_by_role("link", name=re.compile("Empty")).click()
    expect(page.locator("tbody tr").first).to_contain_text("waiting")
    servers = page.locator("tbody tr").count()
    picture(page, "host")
    cloud_pair.source.holds.set(2)
    page.get_by_role("button", name=f"Move {servers} servers…").click()
    dialog.get_by_label("Servers at once").fill("1")
    picture(page, "host-dialog")
    dialog.get_by_role("button", name="Begin").click()
    page.wait_for_url("**/evacuations/e-*")
    badge_is(page, "being emptied")
    expect(page.get_by_role("row").filter(has_text="moving")).to_have_count(1)
    picture(page, "evacuation")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".banner")).to_contain_text("Stopping")
    cloud_pair.source.holds.release()
    badge_is(page, "stopped")
    picture(page, "evacuation-stopped")
    page.get_by_role("link", name="Go on…").click()
    page.get_by_role("button", name=re.compile(r"Move \d servers?…")).click()
    dialog.get_by_role("button", name="Begin").click()
    page.wait_for_url("**/evacuations/e-*")
    badge_is(page, "empty")
    expect(page.locator(".banner")).to_contain_text("its compute service is disabled")
    page.goto("/clouds/source/hosts")
    expect(page.get_by_role("row", name=re.compile("^compute-1.*disabled"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("e-.*stopped"))).to_be_visible()
