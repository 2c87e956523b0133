"""The frame of every page, the login, and the history of migrations."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from pumphouse.api.auth.token import read_token
from pumphouse.model import Scope, ScopeKind
from pumphouse.plan.document import Plan
from pumphouse.service.plans import save_plan
from pumphouse.store.states import MigrationState


@pytest.fixture
def remember(service):
    """Puts migrations into the store, in a state: ``remember("shop", "SUCCEEDED")``."""

    def put(tenant, state="PLANNED", **options):
        scope = Scope(kind=ScopeKind.TENANT, names=(tenant,))
        plan = save_plan(
            service.store, Plan(source="source", destination="destination", scope=scope, resources=())
        )
        record = service.store.migrations.create(
            name=options.pop("name", f"tenant {tenant}"),
            plan_id=plan.id,
            source="source",
            destination="destination",
            subjects=[f"id-of-{tenant}"],
            **options,
        )
        if state != "PLANNED":
            service.store.migrations.set_state(record.id, MigrationState.RUNNING)
            service.store.migrations.set_state(record.id, MigrationState(state), reason="it was so")
        return record.id

    return put


def names(page):
    return page.locator("tbody th a").all_inner_texts()


def test_before_the_first_migration_the_page_says_how_to_begin(page):
    page.goto("/")
    expect(page.get_by_text("Nothing has been migrated yet")).to_be_visible()


def test_migrations_are_found_by_state_tenant_and_text(page, remember):
    remember("shop", "SUCCEEDED")
    remember("shop", "FAILED", name="the second try")
    remember("blog", "SUCCEEDED")
    page.goto("/")
    assert names(page) == ["tenant blog", "the second try", "tenant shop"]
    page.get_by_label("State").select_option("FAILED")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("it was so")
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Tenant").fill("shop")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(2)
    assert names(page) == ["the second try", "tenant shop"]
    page.get_by_label("Name or id").fill("SECOND")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Name or id").fill("no such thing")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No migration is like that.")).to_be_visible()


def test_older_ones_are_on_pages_of_their_own(page, remember):
    for number in range(53):
        remember(f"t{number:02}")
    page.goto("/")
    expect(page.locator("tbody tr")).to_have_count(50)
    page.get_by_role("link", name="Older").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    assert names(page) == ["tenant t02", "tenant t01", "tenant t00"]
    page.get_by_role("link", name="Newest").click()
    expect(page.locator("tbody tr")).to_have_count(50)


def test_the_list_follows_what_happens(page, remember, service):
    id = remember("shop", "RUNNING")
    page.goto("/")
    expect(page.locator("tbody")).to_contain_text("running")
    service.store.migrations.set_state(id, MigrationState.SUCCEEDED)
    service.store.events.append([_changed(id, "SUCCEEDED")])
    expect(page.locator("tbody")).to_contain_text("succeeded")


def _changed(id, state):
    from pumphouse.events import MigrationChanged

    return MigrationChanged(migration=id, state=state)


def test_a_theme_that_was_chosen_stays(page):
    page.goto("/")
    button = page.get_by_role("button", name=re.compile("Theme"))
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(244, 247, 248)"
    button.click()  # light
    button.click()  # dark
    expect(button).to_contain_text("dark")
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 23, 28)"


def test_a_page_is_used_by_keyboard_alone(page, remember):
    remember("shop", "SUCCEEDED")
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    for _ in range(10):
        focused = page.evaluate("document.activeElement.textContent.trim()")
        if focused == "tenant shop":
            break
        page.keyboard.press("Tab")
    width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert float(width.removesuffix("px")) >= 2
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("tenant shop")


def test_a_page_that_is_not_there_says_what_to_do(page):
    answer = page.goto("/migrations/m-none")
    assert answer.status == 404
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("What to do:")).to_be_visible()
    page.get_by_role("link", name="All migrations").click()
    expect(page.get_by_role("heading", name="Migrations", level=1)).to_be_visible()
    assert page.goto("/nowhere").status == 404
    expect(page.get_by_text("What to do:")).to_be_visible()


def test_a_link_with_the_token_logs_in_once(open_browser, serve, config_file, tmp_path):
    file = tmp_path / "token"
    token = read_token(file)
    config_file.write_text(
        config_file.read_text().replace("auth = none", f"auth = token\ntoken_file = {file}")
    )
    page = open_browser(serve().url)
    page.goto("/?state=FAILED")
    expect(page.get_by_label("Token")).to_be_focused()
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert").filter(has_text="not the token")).to_be_visible()
    page.goto(f"/login?token={token}")
    expect(page.get_by_role("heading", name="Migrations", level=1)).to_be_visible()
    assert token not in page.url
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()
