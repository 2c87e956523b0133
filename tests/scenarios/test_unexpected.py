"""What no step expects ends its unit alone, and is told as what it is."""

from __future__ import annotations

import errno
import logging

import pytest

from pumphouse.registry import Registry
from pumphouse.store.states import MigrationState, UnitState


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (ZeroDivisionError("the password is 1234"), ("Unexpected", "unexpected ZeroDivisionError")),
        (OSError(errno.ENOSPC, "No space left"), ("ResourceError", "No space left")),
    ],
    ids=["a-fault", "a-full-disk"],
)
def test_its_error_names_the_resource_and_what_to_do(site, tmp_path, monkeypatch, caplog, raised, told):
    def fail(*_):
        raise raised

    with monkeypatch.context() as patch:
        patch.setattr(type(Registry.load()["server_group"]), "create", fail)
        record = site.migrate()
    assert record.state is MigrationState.PARTIAL
    units = site.app.units(record.id)
    failed = [one for one in units if one.state is UnitState.FAILED]
    assert failed
    for unit in failed:
        assert (unit.error["error"], unit.error["message"]) == told
        assert unit.error["resource"].startswith("server_group ")
        assert unit.error["next_step"]
        assert "1234" not in f"{unit.error} {unit.reason}"
    assert "1234" not in caplog.text
    assert b"1234" not in b"".join(one.read_bytes() for one in (tmp_path / "store").iterdir())
    assert any(one.state is UnitState.SUCCEEDED for one in units)
    logged = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
    assert any("in fail" in one for one in logged) is (told[0] == "Unexpected")
    assert site.app.retry(record.id).state is MigrationState.SUCCEEDED
