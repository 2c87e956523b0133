"""Tables that are derived from the code, so that they cannot differ from it.

``resource-types``
    One section for each resource type: what it is, its steps, its fields and what happens to each.
``override-sections``
    The sections of an override file and the fields that each renames.
``error-tree``
    Every error, its exit status and the advice it gives.
``event-kinds``
    Every event and its fields.
``figures``
    What the benchmarks measured, from the file that they wrote.

Options and commands have directives of their own, in oslo.config (``show-options``) and cliff
(``autoprogram-cliff``).
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from pumphouse.errors import PumphouseError
from pumphouse.events import Event
from pumphouse.fields import Field, Role
from pumphouse.model import Side
from pumphouse.registry import Registry
from pumphouse.resource import Adopt, ResourceType


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a list-table. A cell is one paragraph of reStructuredText."""
    yield from (".. list-table::", "   :header-rows: 1", "")
    for row in (header, *rows):
        for number, cell in enumerate(row):
            yield f"   {'  ' if number else '* '}- {cell}"
    yield ""


def heading(text: str, underline: str) -> Iterator[str]:
    """The lines of a section's heading."""
    yield from (text, underline * len(text), "")


def described(thing: object) -> Iterator[str]:
    """The lines of a docstring."""
    yield from (inspect.getdoc(thing) or "").splitlines()
    yield ""


class Derived(SphinxDirective):
    """A directive that stands for reStructuredText made from the code."""

    has_content: ClassVar[bool] = False

    def run(self) -> list[nodes.Node]:
        """The nodes of the text."""
        return self.parse_text_to_nodes("\n".join(self.lines()), allow_section_headings=True)

    def lines(self) -> Iterator[str]:
        """The text, line by line."""
        raise NotImplementedError


class ResourceTypes(Derived):
    """Every resource type, in the order in which they are made."""

    def lines(self) -> Iterator[str]:
        """A table of all, then a section for each."""
        kinds = Registry.load().values()
        yield from table(
            ("Type", "Service", "Belongs to a"),
            ((f"`{kind.name}`_", kind.service, kind.scope) for kind in kinds),
        )
        for kind in kinds:
            yield from heading(kind.name, "-")
            yield from described(type(kind))
            if kind.steps:
                yield from (f"Something of the same identity on the destination {_ADOPTED[kind.adopt]}.", "")
                yield from (f"Its steps: {'; '.join(_steps(kind))}.", "")
            else:
                yield from (
                    "It is not made on the destination: plan and report list it as work for people.",
                    "",
                )
            yield from table(("Field", "What happens", "Notes"), map(_field, kind.fields))


_ADOPTED = {
    Adopt.ALWAYS: "is used as it is",
    Adopt.SAME: "is used if each field is the same, and is a conflict else",
    Adopt.SET: "is changed to what is wanted",
    Adopt.NEVER: "is a conflict",
}


def _steps(kind: ResourceType) -> Iterator[str]:
    for step in kind.steps:
        yield f"``{step.name}`` {step.doing}" + (
            " (it writes to the source)" if step.writes is Side.SOURCE else ""
        )


def _field(field: Field) -> tuple[str, str, str]:
    what = {
        Role.COPY: "id rewritten" if "" in field.refs else "copied",
        Role.SECRET: "copied, and never kept or shown",
        Role.DROP: "left out",
    }[field.role]
    return f"``{field.name}``", what, "; ".join(_notes(field))


def _notes(field: Field) -> Iterator[str]:
    if field.key:
        yield "part of its identity"
    for path, target in sorted(field.refs.items()):
        yield f"``{path}`` refers to `{target}`_" if path else f"refers to `{target}`_"
    if field.since:
        yield f"from microversion {field.since}"
    if field.extension:
        yield f"with the extension ``{field.extension}``"
    if field.fixed and not field.key:
        yield "cannot be changed afterwards"
    if field.mapping:
        yield f"renamed by ``{field.mapping}`` of the override file"
    if field.why:
        yield field.why


class OverrideSections(Derived):
    """Every section that maps names."""

    def lines(self) -> Iterator[str]:
        """One table."""
        renamed: dict[str, list[str]] = {}
        for kind in Registry.load().values():
            for field in kind.carried():
                if field.mapping:
                    renamed.setdefault(field.mapping, []).append(f"``{kind.name}.{field.name}``")
        rows = ((f"``{section}``", ", ".join(fields)) for section, fields in sorted(renamed.items()))
        yield from table(("Section", "Fields that it renames"), rows)


class ErrorTree(Derived):
    """Every error, parents first."""

    def lines(self) -> Iterator[str]:
        """One table."""
        yield from table(
            ("Error", "Meaning", "Exit status", "Advice"),
            (
                (
                    f"{'— ' * depth}``{kind.__name__}``",
                    (inspect.getdoc(kind) or "").partition("\n")[0],
                    str(kind.exit_status),
                    kind.advice,
                )
                for depth, kind in _descend(PumphouseError, 0)
            ),
        )


def _descend(kind: type[PumphouseError], depth: int) -> Iterator[tuple[int, type[PumphouseError]]]:
    yield depth, kind
    for child in kind.__subclasses__():
        if child.__module__ == PumphouseError.__module__:
            yield from _descend(child, depth + 1)


class EventKinds(Derived):
    """Every event."""

    def lines(self) -> Iterator[str]:
        """A section for each, by name."""
        for name, kind in sorted(Event.kinds.items()):
            yield from heading(name, "-")
            yield from described(kind)
            yield from table(
                ("Field", "Type"),
                ((f"``{field.name}``", f"``{field.type}``") for field in dataclasses.fields(kind)),
            )


FIGURES = Path(__file__).parents[1] / "operator" / "performance.json"


class Figures(Derived):
    """What ``make bench`` wrote down."""

    def lines(self) -> Iterator[str]:
        """One table, in the order of measuring."""
        yield from table(
            ("What", "Measured", "At most", "How"),
            (
                (
                    row["what"],
                    f"{row['value']:g} {row['unit']}".strip(),
                    "—" if row["limit"] is None else f"{row['limit']:.3g}" + _missed(row),
                    "; ".join(filter(None, (row["how"], f"{row['date']}, Python {row['python']}"))),
                )
                for row in json.loads(FIGURES.read_text())
            ),
        )


def _missed(row: Mapping[str, Any]) -> str:
    return "" if row["value"] <= row["limit"] else " **missed**"


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls to load the extension."""
    app.add_directive("resource-types", ResourceTypes)
    app.add_directive("override-sections", OverrideSections)
    app.add_directive("error-tree", ErrorTree)
    app.add_directive("event-kinds", EventKinds)
    app.add_directive("figures", Figures)
    # The code may have changed although no page has.
    app.connect("env-get-outdated", _outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _outdated(_app: Sphinx, _env: object, _added: object, _changed: object, _removed: object) -> list[str]:
    return sorted(DERIVED_PAGES)


DERIVED_PAGES = frozenset(
    {
        "operator/errors",
        "operator/events",
        "operator/options",
        "operator/performance",
        "user/commands",
        "user/overrides",
        "user/resources",
    }
)
