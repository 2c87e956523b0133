"""JSON patches as Glance takes them: add, replace and remove, in the forms of v2.0 and v2.1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_OPS = ("add", "replace", "remove")


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One change: `op` is add, replace or remove, `name` the attribute, `value` None for remove."""

    op: str
    name: str
    value: Any = None


def operations(body: Any) -> list[Operation]:
    """The operations of a request's body. ValueError, with Glance's reason, when it is no such patch."""
    if not isinstance(body, list):
        raise ValueError("Request body must be a JSON array of operation objects.")  # noqa: TRY004 - a 400 all the same
    return [_operation(item) for item in body]


def _operation(item: Any) -> Operation:
    if not isinstance(item, Mapping):
        raise ValueError("Operations must be JSON objects.")  # noqa: TRY004 - a 400 all the same
    if "op" in item:
        op, path = item["op"], item.get("path")
    else:
        # The older form: {"replace": "/name", "value": ...}
        named = [word for word in _OPS if word in item]
        if len(named) != 1:
            raise ValueError("Unable to find `op` in JSON Schema change.")
        op, path = named[0], item[named[0]]
    if op not in _OPS:
        raise ValueError(f"Invalid operation: `{op}`. It must be one of the following: {', '.join(_OPS)}.")
    if path is None:
        raise ValueError("Unable to find 'path' in JSON Schema change")
    if op != "remove" and "value" not in item:
        raise ValueError(f'Operation "{op}" requires a member named "value".')
    return Operation(op=op, name=_attribute(str(path)), value=item.get("value"))


def _attribute(path: str) -> str:
    """The attribute that a JSON pointer (RFC 6901) of one segment names."""
    if not path.startswith("/"):
        raise ValueError(f'Pointer `{path}` does not start with "/".')
    name = path[1:]
    if not name or "/" in name:
        raise ValueError(f"Invalid JSON pointer for this resource: '{path}'")
    return name.replace("~1", "/").replace("~0", "~")
