"""What the engine costs for each step. ``PUMPHOUSE_BENCHMARK_STEPS`` sets how many there are at most."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from overhead import run

STEPS = int(os.environ.get("PUMPHOUSE_BENCHMARK_STEPS", "20000"))


def per_step(folder: Path, steps: int) -> tuple[int, float]:
    """The number of steps and the CPU milliseconds of each; a fiftieth of the resources are networks."""
    cost = run(folder, servers=steps // 5, networks=steps // 20)
    return cost.steps, cost.seconds / cost.steps * 1000


@pytest.mark.timeout(3600)
def test_a_step_costs_the_same_however_many_there_are(tmp_path, record):
    _, small = min((per_step(tmp_path / str(number), 500) for number in range(3)), key=lambda one: one[1])
    steps, large = per_step(tmp_path / "large", STEPS)
    record(f"engine, growth per step from 500 to {steps:,} steps", large / small, "times", limit=1.3)
    record("engine, CPU per step", min(small, large), "ms", limit=5, how="journal, persistence and events")
