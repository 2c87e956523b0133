"""What the benchmarks share: a large cloud in a process of its own, and the file that figures are written to.

``PUMPHOUSE_BENCHMARK_RESULTS`` names the file. The documentation's table is made from the committed one; what
a run does not measure stays in it.
``PUMPHOUSE_BENCHMARK_CLOUDS`` names the clouds.yaml of clouds that run already, for filling takes a while.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
# What drives the engine without a cloud is the unit tests'.
sys.path[:0] = [str(HERE), str(HERE.parent / "unit")]

Record = Callable[..., None]

LARGE = {"tenants": 10, "servers": 4150, "networks": 20, "volumes": 1500, "images": 100}
"""About 100,000 resources, a tenth of them in each tenant."""


@pytest.fixture(scope="session")
def results() -> Iterator[list[dict[str, Any]]]:
    """All figures of this run; put into the file when it ends."""
    figures: list[dict[str, Any]] = []
    yield figures
    name = os.environ.get("PUMPHOUSE_BENCHMARK_RESULTS")
    if name and figures:
        path = Path(name)
        rows = {row["what"]: row for row in json.loads(path.read_text())} if path.exists() else {}
        rows |= {row["what"]: row for row in figures}
        path.write_text(json.dumps(list(rows.values()), indent=1) + "\n")


@pytest.fixture
def record(results: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> Record:
    """Writes a figure down, and then holds it against its limit (the most it may be; None for none).

    One that may miss its limit says what stands in its way, and what the floor is.
    """

    def write(
        what: str, value: float, unit: str, *, limit: float | None = None, how: str = "", floor: str = ""
    ) -> None:
        met = limit is None or value <= limit
        if not met and floor:
            how = f"{how}; {floor}"
        results.append(
            {
                "what": what,
                "value": float(f"{value:.3g}"),
                "unit": unit,
                "limit": limit,
                "how": how,
                "date": datetime.now(UTC).date().isoformat(),
                "python": platform.python_version(),
            }
        )
        with capsys.disabled():
            asked = "" if limit is None else f" (at most {limit:g})"
            print(f"\n{what}: {value:.3g} {unit}{asked}{'' if met else ' MISSED'}")  # noqa: T201 - its purpose
        assert met or floor, f"{what}: {value:.3g} {unit}, at most {limit:g}"

    return write


@pytest.fixture(scope="session")
def large_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clouds.yaml with the clouds ``source``, which is large, and ``destination``, which is empty."""
    there = os.environ.get("PUMPHOUSE_BENCHMARK_CLOUDS")
    if there:
        yield Path(there)
        return
    folder = tmp_path_factory.mktemp("large")
    description = folder / "large.yaml"
    description.write_text(json.dumps({"generate": LARGE}))
    path = folder / "clouds.yaml"
    command = [sys.executable, "-m", "pumphouse.devcloud", "--cloud", "source", "--cloud", "destination"]
    command += ["--fill", f"source={description}", "--directory", str(folder), "--clouds-yaml", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline(), "the clouds did not start"
            yield path
        finally:
            process.terminate()
            process.wait(30)
