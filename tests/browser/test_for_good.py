"""Removing for good what a migration has left, in a browser."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect


def picture(page, name):
    """For somebody to look at: only where a folder for them is named."""
    folder = os.environ.get("PUMPHOUSE_TEST_PICTURES")
    if folder:
        page.mouse.move(0, 0)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


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
