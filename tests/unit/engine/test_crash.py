"""kill -9 in the middle of a wait, then another process goes on."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from databases import Databases

_CHILD = Path(__file__).with_name("crash_child.py")


@pytest.mark.crash
def test_another_process_resumes_what_a_killed_one_left(databases: Databases, tmp_path: Path) -> None:
    database, log = databases.new(), tmp_path / "steps.log"
    with subprocess.Popen([sys.executable, _CHILD, database, log, "wait"]) as child:
        try:
            until = time.monotonic() + 60
            while not log.with_suffix(".polled").exists():
                assert child.poll() is None
                assert time.monotonic() < until
                time.sleep(0.02)
        finally:
            child.kill()
    subprocess.run([sys.executable, _CHILD, database, log, "go"], check=True, timeout=60)
    assert log.read_text().split() == ["a", "b", "b", "c"]
    engine = sa.create_engine(database)
    with engine.connect() as connection:
        states = connection.exec_driver_sql("SELECT state FROM flowdetails").scalars().all()
    engine.dispose()
    assert states == ["SUCCESS"]
