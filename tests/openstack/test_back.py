"""From the newer release to the older one."""

from __future__ import annotations

from checks import check
from listing import changes


def test_a_smaller_tenant_moves_from_the_newer_cloud_to_the_older_one(pair, tenant, tmp_path):
    back = pair.back(tmp_path)
    name = tenant(back)
    before = back.listings()
    back.migrate(name)
    assert back.last()["State"] == "SUCCEEDED"
    pair.record["back"] = {
        "name": name,
        "report": back.report(),
        "checks": check(back.moved(name, before["source"], back.listings())),
    }
    assert "Nothing to do" in back.migrate(name)
    back.roll_back(back.last()["ID"])
    after = back.listings()
    for side in after:
        assert changes(before[side], after[side]) == []
