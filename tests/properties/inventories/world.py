"""A cloud in the making: what its builders add resources to."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from hypothesis import strategies as st
from names import names

from pumphouse.model import Ref, Resource
from pumphouse.registry import Registry

_NAMESPACE = uuid.UUID("0f6d2f0a-6a0e-4c0b-9a5c-6d2b1c1f7a11")
_UNDASHED = frozenset({"domain", "project", "user", "group", "role"})
REGISTRY = Registry.load()


class World:
    """Resources by type, and the choices that hypothesis makes for them.

    :param orderly: everything is in a state in which it can be moved, and told apart from all else.
    """

    def __init__(self, draw: Any, *, orderly: bool) -> None:
        self.draw = draw
        self.orderly = orderly
        self.resources: dict[Ref, Resource] = {}
        self._counts: Counter[str] = Counter()
        self._taken: set[tuple[Any, ...]] = set()

    # -- choosing

    def some(self, low: int, high: int) -> range:
        """As many as hypothesis says."""
        return range(self.draw(st.integers(low, high)))

    def one(self, choices: Iterable[Any]) -> Any:
        """One of these."""
        return self.draw(st.sampled_from(tuple(choices)))

    def maybe(self, choices: Iterable[Any]) -> Any:
        """One of these, or None; None if there are none."""
        return self.one((None, *choices))

    def several(self, choices: Sequence[Any], *, most: int = 3) -> list[Any]:
        """Some of these, each once, in any order."""
        if not choices:
            return []
        places = st.lists(st.integers(0, len(choices) - 1), max_size=most, unique=True)
        return [choices[place] for place in self.draw(places)]

    def oddly(self, usual: Any, *odd: Any) -> Any:
        """The usual value, or in a world that is not orderly perhaps an odd one."""
        return usual if self.orderly else self.one((usual, *odd))

    def name(self, *within: Any) -> str:
        """A name that nothing else has ``within`` the same; any name if nothing is given.

        In an orderly world names differ by more than the case of their letters.
        """
        name: str = self.draw(names)
        while within and (*within, self._key(name)) in self._taken:
            name += str(len(self._taken))
        return self.keep(name, *within)

    def keep(self, name: str, *within: Any) -> str:
        """The name, which nothing else will get ``within`` the same."""
        self._taken.add((*within, self._key(name)))
        return name

    def _key(self, name: str) -> str:
        return name.casefold() if self.orderly else name

    def unlike(self, *within: Any) -> str:
        """A name that only an orderly world keeps apart from others within the same."""
        return self.name(*within) if self.orderly else self.name()

    # -- adding

    def new_id(self, kind: str) -> str:
        """An id in the form of its service. Its order tells nothing of the order of making."""
        self._counts[kind] += 1
        made = uuid.uuid5(_NAMESPACE, f"{kind} {self._counts[kind]}")
        return made.hex if kind in _UNDASHED else str(made)

    def add(
        self,
        kind: str,
        name: str,
        *,
        project: str | None = None,
        identity: str = "",
        facts: dict[str, Any] | None = None,
        without: Collection[str] = (),
        **fields: Any,
    ) -> str:
        """Add a resource; its id. What is not told of its fields is as a body without them means.

        :param without: fields that the cloud does not tell of this one.
        """
        known = {field.name: field.default for field in REGISTRY[kind].carried()}
        assert fields.keys() <= known.keys(), (kind, fields.keys() - known.keys())
        told = {"name": name} | ({"project_id": project} if project else {})
        whole = known | {one: value for one, value in told.items() if one in known} | fields
        whole = {one: value for one, value in whole.items() if one not in without}
        ref = Ref(kind, identity or self.new_id(kind))
        assert ref not in self.resources, ref
        self.resources[ref] = Resource(
            ref=ref, name=name, project_id=project, fields=whole, facts=facts or {}
        )
        return ref.id

    # -- looking

    def of(self, kind: str, **facts: Any) -> list[Resource]:
        """The resources of a type that have these facts."""
        return [
            one
            for one in self.resources.values()
            if one.ref.type == kind and all(one.facts.get(name) == value for name, value in facts.items())
        ]

    def ids(self, kind: str) -> list[str]:
        """The ids of a type."""
        return [one.ref.id for one in self.of(kind)]

    def projects(self) -> list[str]:
        """The projects' ids."""
        return self.ids("project")
