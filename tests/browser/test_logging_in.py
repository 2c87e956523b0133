"""Logging in and out with Keystone, in a browser."""

from __future__ import annotations

import re

import pytest
import requests
from playwright.sync_api import expect


@pytest.fixture
def window(people, serve, open_browser):
    """A window before a server that knows the users of the source's Keystone."""
    return open_browser(serve().url)


def log_in(page, user, password):
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_label("Project").fill("admin")
    page.get_by_role("button", name="Log in").click()


def test_a_person_logs_in_sees_what_the_role_allows_and_logs_out(window, cloud_pair):
    page = window
    page.goto("/clouds")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    log_in(page, "api-reader", "a-wrong-one")
    expect(page.get_by_role("alert").first).to_contain_text("does not accept")
    expect(page.get_by_label("User name")).to_have_value("api-reader")
    expect(page.get_by_label("Password")).to_have_value("")
    log_in(page, "api-reader", "a-password")
    page.wait_for_url("**/clouds")
    expect(page.locator(".who")).to_contain_text("api-reader")
    expect(page.get_by_role("button", name=re.compile("Read"))).to_have_count(0)

    (cookie,) = (one for one in page.context.cookies() if one["name"] == "pumphouse")
    assert cookie["httpOnly"]
    catalogue = f"{cloud_pair.source.url}/identity/v3/auth/catalog"
    token = {"X-Auth-Token": cookie["value"]}
    assert requests.get(catalogue, headers=token, timeout=30).status_code == 200
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    assert requests.get(catalogue, headers=token, timeout=30).status_code == 401
    page.go_back()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_an_operator_makes_a_plan_after_logging_in(window):
    page = window
    page.goto("/new")
    log_in(page, "api-operator", "a-password")
    page.wait_for_url("**/new")
    page.get_by_text("Write names or ids").click()
    page.get_by_label("Names or ids").fill("shop")
    page.get_by_role("button", name="Make the plan").click()
    page.wait_for_url("**/plans/p-*")
    expect(page.get_by_role("button", name="Start…")).to_be_visible()
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
