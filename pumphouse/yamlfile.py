"""YAML files that a person wrote: read strictly, and what is wrong with one told in a line."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from pumphouse.errors import UsageError


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice; PyYAML itself would silently take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - the overridden method's signature
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                raise yaml.MarkedYAMLError(
                    problem=f"{key!r} is there twice", problem_mark=node.value[place][0].start_mark
                )
        return super().construct_mapping(node, deep=deep)


def load(path: Path, *, error: type[UsageError]) -> Any:
    """What a file holds; None for an empty one. Raises ``error`` if it cannot be read or is no good YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as failure:
        raise error(f"cannot read {path}: {failure.strerror}") from None
    except UnicodeDecodeError as failure:
        raise error(f"{path} is not YAML: {explain(failure)}") from None
    return parse(text, where=str(path), error=error)


def parse(text: str, *, where: str, error: type[UsageError]) -> Any:
    """What a text holds; None for an empty one. Raises ``error``, which names the place, if it is no YAML."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as failure:
        raise error(f"{where} is not YAML: {explain(failure)}") from None


def explain(failure: Exception) -> str:
    """Where a file is not YAML, and why."""
    mark = getattr(failure, "problem_mark", None)
    why = getattr(failure, "problem", None)
    if mark is None or not why:
        return " ".join(str(failure).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {why}"


def dump(value: Any) -> str:
    """JSON as YAML for a person to change."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text
