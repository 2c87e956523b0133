"""Pages for everybody: on a phone, in light and dark, with a screen reader, on paper."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The script of axe-core, in the version that package.json names."""
    place = tmp_path_factory.mktemp("axe")
    (place / "package.json").write_text((HERE / "package.json").read_text())
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
    try:
        subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"axe-core cannot be installed with npm: {error}")
        pytest.skip("npm cannot install axe-core")
    return (place / "node_modules" / "axe-core" / "axe.min.js").read_text()


def settle(page):
    """Wait until what comes after the page is there."""
    page.wait_for_load_state("load")
    for place, filled in ((".checked", ".checked table, .checked .empty"), ("#graph", "#graph .node")):
        if page.locator(place).count():
            page.locator(filled).first.wait_for()
    for one in page.locator("summary").all():
        one.click()


def serious(page, axe):
    """What axe-core finds on a page that matters: rules, and the first places."""
    page.evaluate(axe)
    found = page.evaluate("axe.run()")["violations"]
    return [
        (one["id"], [node["html"][:200] for node in one["nodes"][:3]])
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_page_has_a_serious_fault(open_browser, served, every_page, axe, colours):
    page = open_browser(served.url, color_scheme=colours, bypass_csp=True)
    faults = {}
    for path in every_page:
        page.goto(path)
        settle(page)
        found = serious(page, axe)
        if found:
            faults[path] = found
    assert not faults, json.dumps(faults, indent=1)


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_page_to_log_in_has_no_serious_fault(open_browser, serve, config_file, tmp_path, axe, colours):
    options = f"auth = token\ntoken_file = {tmp_path / 'token'}"
    config_file.write_text(config_file.read_text().replace("auth = none", options))
    page = open_browser(serve().url, color_scheme=colours, bypass_csp=True)
    page.goto("/login?token=wrong")
    assert page.get_by_role("alert").first.is_visible()
    assert serious(page, axe) == []


def test_no_page_scrolls_sideways_on_a_phone(open_browser, served, every_page):
    page = open_browser(served.url, width=360, height=740, has_touch=True, is_mobile=True)
    wide = {}
    for path in every_page:
        page.goto(path)
        settle(page)
        found = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if found[0] > 360 or found[1] > 360:
            wide[path] = found
    assert wide == {}


def test_no_page_is_large(open_browser, served, every_page):
    page = open_browser(served.url)
    for path in every_page:
        assert len(page.goto(path).body()) < 200_000, path


def test_a_report_is_printed_with_all_that_is_folded(open_browser, served, moved):
    page = open_browser(served.url)
    page.goto(f"/migrations/{moved}/report?outcome=changed")
    page.emulate_media(media="print")
    assert page.get_by_text("198.51.100.11").last.is_visible()
    assert page.locator(".top").is_hidden()
