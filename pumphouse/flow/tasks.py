"""A step as a TaskFlow task, and a unit as a flow.

The names of atoms are the resource's type, its source id and the step: ``server:4f…:create``. A step provides
a symbol of its own name and requires the one before it, and the last ones of what its resource needs within
the unit; so TaskFlow derives the order from the data. What other units made comes from the id map.
"""

from __future__ import annotations

import logging
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from taskflow import task
from taskflow.patterns import graph_flow

from pumphouse import errors
from pumphouse.context import Context, Deferred, Interrupted, Item
from pumphouse.flow.units import Unit
from pumphouse.model import Ref
from pumphouse.plan.document import Plan, PlannedResource
from pumphouse.registry import Registry
from pumphouse.steps import Create, Step, Verify, step_named, take_back

LOG = logging.getLogger(__name__)

NEXT_STEP = "Resolve that, then do what is missing with: pumphouse migration retry"
"""What to do about an error that says nothing better itself."""


class StepTask(task.Task):
    """One step of one resource."""

    def __init__(self, step: Step, *, requires: Sequence[str]) -> None:
        name = symbol(step.item.ref, step.name)
        super().__init__(name=name, provides=name, requires=requires)
        self.step = step

    def execute(self, **_needs: Any) -> Any:
        """Run the step. Its result is small JSON, or a Deferred, which the executor follows up."""
        result = self._named(self.step.perform)
        if isinstance(result, Deferred):
            return replace(result, poll=partial(self._named, result.poll))
        return result

    def _named(self, call: Callable[[], Any]) -> Any:
        """The result of a call, whose errors name the resource and what to do next."""
        resource = str(self.step.item.resource)
        try:
            return call()
        except errors.PumphouseError as error:
            error.resource = error.resource or resource
            error.next_step = error.next_step or NEXT_STEP
            raise
        except Interrupted:
            raise
        except Exception as error:  # noqa: BLE001 -- told as what it is
            trouble = unexpected(self.name, error, resource=resource)
        # Not as its cause, with which TaskFlow would keep the text.
        raise trouble

    def revert(self, *_args: Any, **_kwargs: Any) -> None:
        """Undo what the journal says of this run. What could not be undone is in the journal.

        Raises only Fenced, which leaves the flow as it is.
        """
        for entry in self.step.context.journal.open_entries(self.step.item.ref, self.step.name):
            trouble = take_back(self.step, entry)
            if trouble is not None:
                self.step.context.note(self.step.item.ref, f"could not be taken back: {trouble}")


def unexpected(where: str, error: BaseException, *, resource: str) -> errors.PumphouseError:
    """What to tell of an error that nobody raised on purpose. The log has where, and no text of it either."""
    if type(error).__module__ == "builtins" and isinstance(error, OSError) and error.strerror:
        # This machine's, such as a full disk. That libraries derive errors from it says nothing.
        file = f": {error.filename}" if error.filename else ""
        return errors.ResourceError(f"{error.strerror}{file}", resource=resource, next_step=NEXT_STEP)
    what = f"unexpected {type(error).__name__}"
    LOG.error("%s: %s\n%s", where, what, "".join(traceback.format_tb(error.__traceback__)))
    return errors.Unexpected(what, resource=resource)


def symbol(ref: Ref, step: str) -> str:
    """The name of an atom and of its result."""
    return f"{ref}:{step}"


def item(planned: PlannedResource, registry: Registry) -> Item:
    """A planned resource as steps see it."""
    return Item(
        kind=registry[planned.ref.type],
        resource=planned.resource,
        action=planned.action,
        destination_id=planned.destination_id,
        changed=planned.changed,
        shared=planned.shared,
        mover=planned.mover,
    )


def build_step(planned: PlannedResource, name: str, registry: Registry, context: Context) -> Step:
    """One step of a planned resource, by name. Raises KeyError for a step that its type does not have."""
    return step_named(registry[planned.ref.type], name)(context, item(planned, registry))


def compile_unit(unit: Unit, plan: Plan, registry: Registry, context: Context) -> graph_flow.Flow:
    """The flow of a unit: the same names and the same shape whenever it is compiled."""
    flow = graph_flow.Flow(unit.name)
    order = _Order(unit, plan, registry)
    tasks: list[StepTask] = []
    for ref in unit.refs:
        one = item(plan.by_ref[ref], registry)
        for position, step_class in enumerate(order.steps[ref]):
            tasks.append(StepTask(step_class(context, one), requires=order.before(ref, position)))
    flow.add(*tasks)
    return flow


class _Order:
    """What each step of a unit comes after.

    What a resource needs comes before its first step; but what it holds (a server its volumes) is carried
    while it rests: after its first step and before the one that makes it, or the second if none does. Of
    those that hold the same, one is made after the other is verified: a cloud attaches to one at a time.
    Steps that take turns at a holder come after those of all earlier turns.
    """

    def __init__(self, unit: Unit, plan: Plan, registry: Registry) -> None:
        self.steps = {ref: applying(plan.by_ref[ref], registry) for ref in unit.refs}
        self._needs: dict[Ref, list[Ref]] = {}
        self._held: dict[Ref, list[Ref]] = {}
        self._holders: dict[Ref, list[Ref]] = defaultdict(list)
        inside = set(unit.refs)
        for ref in unit.refs:
            holds = registry[ref.type].holds
            needs = [need for need in plan.by_ref[ref].needs if need in inside]
            self._needs[ref] = [need for need in needs if need.type not in holds]
            self._held[ref] = [need for need in needs if need.type in holds]
            for need in self._held[ref]:
                self._holders[need].append(ref)

    def before(self, ref: Ref, position: int) -> list[str]:
        """The symbols that the step at this position requires."""
        return list(dict.fromkeys([*self._in_order(ref, position), *self._earlier_turns(ref, position)]))

    def _earlier_turns(self, ref: Ref, position: int) -> Iterator[str]:
        turn = self.steps[ref][position].turn
        if turn is None:
            return
        for holder in self._holders[ref] or [ref]:
            for one in (holder, *self._held[holder]):
                for step in self.steps[one]:
                    if step.turn is not None and step.turn < turn:
                        yield symbol(one, step.name)

    def _in_order(self, ref: Ref, position: int) -> list[str]:
        steps = self.steps[ref]
        if position == 0:
            return [self._last(need) for need in self._needs[ref]] + [
                symbol(holder, self.steps[holder][0].name) for holder in self._holders[ref]
            ]
        own = [symbol(ref, steps[position - 1].name)]
        makes = next((at for at, step in enumerate(steps) if at and issubclass(step, Create)), 1)
        if position != makes:
            return own
        return own + [self._last(need) for need in self._held[ref]] + self._earlier(ref)

    def _earlier(self, ref: Ref) -> list[str]:
        """The verification of those before it that hold what it holds."""
        holders = (self._holders[need] for need in self._held[ref])
        before = dict.fromkeys(other for found in holders for other in found[: found.index(ref)][-1:])
        return [
            symbol(other, step.name)
            for other in before
            for step in self.steps[other]
            if issubclass(step, Verify)
        ]

    def _last(self, ref: Ref) -> str:
        return symbol(ref, self.steps[ref][-1].name)


def parse_symbol(name: str) -> tuple[Ref, str]:
    """The reference and the step of an atom's name."""
    ref, _, step = name.rpartition(":")
    return Ref.parse(ref), step


def applying(planned: PlannedResource, registry: Registry) -> list[type[Step]]:
    """The steps that have anything to do for a resource."""
    one = item(planned, registry)
    return [step for step in registry[planned.ref.type].steps if step.applies(one)]
