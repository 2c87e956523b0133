"""What the newer release does not take."""

from __future__ import annotations

import pytest
from listing import changes
from tenant import identity, images


def test_an_image_that_the_destination_refuses_costs_no_other_and_is_reported(pair, tenant):
    name = tenant(pair, two_images)
    before = pair.listings()
    try:
        images.refused(pair.site("destination", name), pair.clouds["destination"])
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is a refusal
        refusal = error
    else:
        pytest.skip("the destination takes it")
    assert "415" in str(refusal)
    for one in pair.clouds["destination"].image.images(name="broken-table"):
        pair.clouds["destination"].image.delete_image(one)

    printed = pair.migrate(name, status=3)
    assert pair.last()["State"] == "PARTIAL"
    assert "broken-table" in printed
    assert "415" in printed
    there = pair.listings()["destination"]["images"].values()
    made = {one["name"]: one["status"] for one in there if one["id"] not in before["destination"]["images"]}
    assert made == {images.BOOTED: "active"}
    pair.record["refused"] = [line for line in printed.splitlines() if "415" in line]
    pair.roll_back(pair.last()["ID"])
    after = pair.listings()
    for side in after:
        assert changes(before[side], after[side]) == []


def two_images(site):
    identity.project(site, "alice")
    tenant = site.login("alice")
    images.booted(site, tenant)
    images.refused(site, tenant)
