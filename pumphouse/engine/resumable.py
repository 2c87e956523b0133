"""An engine that ends SUSPENDED, not REVERTED, when atoms were left unfinished.

TaskFlow decides how a run ended by looking for atoms that could run next. An atom that is RUNNING is not
one of them; so when the last atoms of a flow are cancelled, TaskFlow takes the flow for REVERTED, and the
next run does all of it again from the start. Here such a flow is SUSPENDED, and is resumed where it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from concurrent.futures import Executor
from functools import cached_property
from typing import Any

from taskflow import states
from taskflow.engines.action_engine.engine import ParallelActionEngine
from taskflow.exceptions import InvalidState
from taskflow.flow import Flow
from taskflow.persistence.backends.impl_sqlalchemy import SQLAlchemyBackend
from taskflow.persistence.models import FlowDetail
from taskflow.storage import Storage

_UNFINISHED = frozenset({states.RUNNING, states.REVERTING})


class _Storage(Storage):
    """TaskFlow's storage, which keeps no progress: that would be two more writes for each step."""

    def set_task_progress(self, task_name: str, progress: float, details: Any = None) -> None:
        """Nothing. Steps tell their progress in events."""


class ResumableEngine(ParallelActionEngine):
    """TaskFlow's parallel engine for atoms that can be interrupted.

    After ``run()`` the flow's state is SUCCESS, REVERTED (it raised the failure), FAILURE (a revert
    failed) or SUSPENDED: run the same flow detail again to go on.
    """

    @cached_property
    def storage(self) -> Storage:
        """The atoms' states and results, in memory and in the database."""
        return _Storage(
            self._flow_detail,
            backend=self._backend,
            scope_fetcher=lambda atom: self._runtime.fetch_scopes_for(atom) if self._compiled else None,
        )

    def run(self, timeout: float | None = None) -> None:
        """Run the flow to its end or to its suspension. Raises the failure of a flow that reverted."""
        try:
            super().run(timeout)
        except Exception:
            # Suspended in the middle of a revert: the failure is told when the revert is complete.
            if self.storage.get_flow_state() != states.SUSPENDED:
                raise

    def suspend(self) -> None:
        """Start no more atoms. Safe at any moment.

        While the engine is only getting ready this does nothing, so interrupt the executor too.
        """
        if self.compilation is not None:
            # TaskFlow refuses it in the middle of getting ready.
            with contextlib.suppress(InvalidState):
                super().suspend()

    def _change_state(self, state: str) -> None:
        if state == states.REVERTED and self._unfinished():
            state = states.SUSPENDED
        if state == states.SUSPENDED and self.storage.get_flow_state() == states.RUNNING:
            # Interrupted without having been told to suspend; TaskFlow knows no direct way.
            super()._change_state(states.SUSPENDING)
        super()._change_state(state)

    def _unfinished(self) -> bool:
        names = [detail.name for detail in self._flow_detail]
        return any(state in _UNFINISHED for state, _ in self.storage.get_atoms_states(names).values())


def load_engine(
    flow: Flow,
    *,
    detail: FlowDetail,
    backend: SQLAlchemyBackend,
    executor: Executor,
    store: Mapping[str, Any] | None = None,
) -> ResumableEngine:
    """An engine for this flow, ready to run or to resume from what ``detail`` says.

    :param detail: the flow's record, saved already in a log book of ``backend``.
    :param executor: shared; the engine does not shut it down.
    :param store: values for the atoms' arguments; kept with the flow, so nothing secret.
    """
    engine = ResumableEngine(flow, detail, backend, {"executor": executor, "gather_statistics": False})
    if store:
        engine.storage.inject(dict(store))
    return engine
