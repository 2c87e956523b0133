"""The matrices: their clouds, their cases (all of them or a sample), and the line that sums them up."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .faults import SAMPLE, Fails, Lab
from .harness import Pair, open_pair
from .reference import Begun, Reference, Write, make_change, make_reference


class Kind(NamedTuple):
    """What there is a case for, each: a part of a reference, which is a fixture."""

    reference: str
    part: str
    type: Callable[..., Any]


KINDS = {
    "writes": Kind("reference", "writes", Write),
    "slow_writes": Kind("reference", "slow_writes", Write),
    "undo_writes": Kind("reference", "undo_writes", Write),
    "slow_undo_writes": Kind("reference", "slow_undo_writes", Write),
    "steps": Kind("reference", "steps", Begun),
    "changes": Kind("change", "writes", Write),
    "undo_changes": Kind("change", "undo_writes", Write),
}
COMMITS = range(3, 1000, 29)
"""So many transactions have been committed."""
CASES = pytest.StashKey[dict[str, list[dict[str, Any]]]]()
BEGUN = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--matrix", choices=["sample", "all", "faults"], default="sample", help="which of their cases"
    )


# -- the cases: the process that hands out the tests counts them once, and tells the others


def pytest_configure(config: pytest.Config) -> None:
    config.stash[BEGUN] = time.monotonic()
    if config.getoption("--matrix") == "sample":
        return
    told = getattr(config, "workerinput", {}).get("matrix")
    count = _count_faults if config.getoption("--matrix") == "faults" else _count
    config.stash[CASES] = count() if told is None else json.loads(told)


def _count() -> dict[str, list[Any]]:
    with tempfile.TemporaryDirectory(prefix="pumphouse-") as place, open_pair(Path(place)) as pair:
        reference = make_reference(pair)
        found = {"reference": reference, "change": make_change(pair, reference)}
    return {
        name: [asdict(one) for one in getattr(found[kind.reference], kind.part)]
        for name, kind in KINDS.items()
    }


def _count_faults() -> dict[str, list[Any]]:
    with tempfile.TemporaryDirectory(prefix="pumphouse-") as place, open_pair(Path(place)) as pair:
        return {"fails": [asdict(case) for case in Lab(pair).cases()]}


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A hook of pytest-xdist."""
    if CASES in node.config.stash:
        node.workerinput["matrix"] = json.dumps(node.config.stash[CASES])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``@pytest.mark.cases("writes", every=2, sample=3)`` gives a test its ``case``.

    That is each second one of the reference's writes; three of them in a sample, or none.
    """
    if "fails" in metafunc.fixturenames:
        told = metafunc.config.stash.get(CASES, {}).get("fails")
        fails = list(SAMPLE) if told is None else [Fails(**one) for one in told]
        metafunc.parametrize("fails", fails, ids=str)
        return
    mark = metafunc.definition.get_closest_marker("cases")
    if mark is None:
        return
    (kind,), options = mark.args, mark.kwargs
    if metafunc.config.getoption("--matrix") == "sample":
        cases: list[Any] = [f"sample-{number}" for number in range(options.get("sample", 0))]
    elif kind == "commits":
        cases = list(COMMITS)
    elif kind == "once":
        cases = ["once"]
    else:
        cases = [KINDS[kind].type(**one) for one in metafunc.config.stash[CASES][kind]]
    metafunc.parametrize("case", cases[:: options.get("every", 1)], ids=str, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What has no case in a sample is no test then."""
    if config.getoption("--matrix") == "sample":
        marks = {item: item.get_closest_marker("cases") for item in items}
        without = [item for item, mark in marks.items() if mark and not mark.kwargs.get("sample")]
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Any:
    """One of the reference's writes or steps, or a number. The seed of the tests' order chooses a sample."""
    if not str(request.param).startswith("sample-"):
        return request.param
    kind = request.node.get_closest_marker("cases").args[0]
    chosen = random.Random(f"{request.config.getoption('randomly_seed', 0)} {request.node.name}")
    if kind == "commits":
        return chosen.choice(COMMITS)
    return chosen.choice(getattr(request.getfixturevalue(KINDS[kind].reference), KINDS[kind].part))


# -- the clouds


@pytest.fixture(scope="session")
def filled_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with open_pair(tmp_path_factory.mktemp("pair")) as pair:
        yield pair


@pytest.fixture
def pair(filled_pair: Pair) -> Iterator[Pair]:
    """The pair as it was filled. What a case has started is killed after it."""
    filled_pair.restore(filled_pair.begin)
    yield filled_pair
    filled_pair.kill()


@pytest.fixture(scope="session")
def reference(filled_pair: Pair) -> Reference:
    return make_reference(filled_pair)


@pytest.fixture(scope="session")
def change(filled_pair: Pair, reference: Reference) -> Reference:
    return make_change(filled_pair, reference)


# -- summing up


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How many cases and failures, and how each failing one is run again."""
    if config.getoption("--matrix") == "sample":
        return
    cases: defaultdict[str, set[str]] = defaultdict(set)
    failed: defaultdict[str, set[str]] = defaultdict(set)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport) and (report.when == "call" or report.failed):
                matrix, _, test = report.nodeid.rpartition("matrix/")[2].partition(".py::")
                cases[matrix].add(test)
                if report.failed:
                    failed[matrix].add(test)
    seconds = time.monotonic() - config.stash[BEGUN]
    for matrix in sorted(cases):
        terminalreporter.section(matrix.removeprefix("test_") + " matrix")
        for test in sorted(failed[matrix]):
            terminalreporter.line(f"failed, and run again with: PYTEST_ARGS=\"-k '{test}'\"")
        count = f"{len(cases[matrix])} cases, {len(failed[matrix])} failures"
        terminalreporter.line(f"{count}, in {seconds / 60:.1f} minutes")
