"""How quickly the command line starts."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROUNDS = 9


def cpu(*words: str, state: Path) -> float:
    """CPU seconds of a command, the least of some rounds."""
    command = [str(Path(sys.executable).with_name("pumphouse")), *words]
    best = float("inf")
    for _ in range(ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "XDG_STATE_HOME": str(state)}
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


@pytest.mark.parametrize(("words", "limit"), [("--help", 0.4), ("migration list", 0.8)])
def test_a_command_starts(words, limit, tmp_path, record):
    used = cpu(*words.split(), state=tmp_path)
    record(f"pumphouse {words}", used, "s of CPU", limit=limit, how="the best of nine")
