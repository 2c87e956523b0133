"""The fault matrix: whatever a request answers, the run gets over it or that part is taken back.

``make test-faults`` runs all cases, ``make test`` some of them. See faults.py for what is looked at.
"""

from __future__ import annotations

import pytest

from .faults import Fails, Lab
from .harness import Pair

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.fixture(scope="session")
def lab(filled_pair: Pair) -> Lab:
    return Lab(filled_pair)


def test_a_request_that_fails(pair: Pair, lab: Lab, fails: Fails) -> None:
    wrong = lab.run(fails)
    assert not wrong, "\n".join(wrong)
