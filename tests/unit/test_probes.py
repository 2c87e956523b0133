"""Commands that are run to see whether a server is well."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from pumphouse.moving import probes

BLOCK = 1 << 16


def ended(program: str) -> str:
    """What a program, given to Python, came to."""
    probe = probes.command((sys.executable, "-c", program), os.environ)
    while True:
        try:
            next(probe)
        except StopIteration as end:
            return str(end.value)
        time.sleep(0.01)


def test_the_last_line_of_a_failure_is_told_however_much_came_before() -> None:
    program = f"import sys; print('x' * {80 * BLOCK}); print('it is not there', file=sys.stderr); sys.exit(3)"
    assert ended(program) == "it exited with 3: it is not there"
    assert ended("import sys; sys.exit(4)") == "it exited with 4"
    assert ended(f"print('x' * {80 * BLOCK})") == ""


def test_a_command_that_prints_without_end_is_slowed_down(tmp_path: Path) -> None:
    count = tmp_path / "count"
    program = f"""
import os
with open({str(count)!r}, "wb", buffering=0) as count:
    while True:
        os.write(1, b"y\\n" * {BLOCK // 2})
        count.write(b".")
"""
    looks, probe = 4, probes.command((sys.executable, "-c", program), os.environ)
    for _ in range(looks):
        next(probe)
        time.sleep(0.5)
    probe.close()
    # One more is in the pipe, and one may be half written.
    assert 0 < count.stat().st_size <= looks * probes._BLOCKS + 2
