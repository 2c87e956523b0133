"""The state of a cloud as JSON that two runs, or two clouds, can compare.

Rows are sorted; ids become symbols (``networks:web``); times are left out; files are told by their digest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Container, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.files import sha256
from pumphouse.devcloud.table import Row, Table

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud

State = dict[str, Any]
VOLATILE = frozenset(
    {"created_at", "updated_at", "launched_at", "terminated_at", "revision_number"}
    # Attachments lie within volumes and servers and have no symbols.
    | {"attachment_id", "attached_at", "bdm_id"}
)
_VOLATILE_WITHIN = VOLATILE | {"host"}
"""In what lies within a row: the host of a volume's attachment is its server's, which the scheduler chose."""
_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
_ROUNDS = 4


def snapshot(cloud: DevCloud, *, raw: bool) -> State:
    """``{"tables": {name: [row, ...]}, "files": {"volumes:data": {"sha256", "size"}}}``.

    Called under the lock.
    """
    shown = {name: table for name, table in sorted(cloud.tables.items()) if not table.spec.hidden}
    symbols = {} if raw else _symbols(shown) | _gone(shown)
    tables: State = {}
    for name, table in shown.items():
        rows = [_plain(row) if raw else _replace(_stable(table, row), symbols) for row in table]
        if rows:
            tables[name] = rows if raw else sorted(rows, key=_text)
    files = {
        f"{kind}:{file_id if raw else symbols.get(file_id, file_id)}": {
            "sha256": sha256(path),
            "size": path.stat().st_size,
        }
        for kind, file_id, path in cloud.files.all()
    }
    return {"tables": tables, "files": dict(sorted(files.items()))}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _plain(value: Any, left_out: Container[str] = ()) -> Any:
    """The value in JSON's types; what has these names is left out, however deep it lies."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item, left_out) for key, item in value.items() if key not in left_out}
    if isinstance(value, list | tuple):
        return [_plain(item, left_out) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=_text)
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _stable(table: Table, row: Row) -> Row:
    left_out = VOLATILE | set(table.spec.volatile) | set(table.spec.chosen(row))
    return {key: _plain(value, _VOLATILE_WITHIN) for key, value in row.items() if key not in left_out}


def _replace(value: Any, symbols: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {_replace(key, symbols): _replace(item, symbols) for key, item in value.items()}
    if isinstance(value, list):
        replaced = [_replace(item, symbols) for item in value]
        # A list of nothing but ids is a set: a group's members, a port's security groups.
        return sorted(replaced) if value and all(_known(item, symbols) for item in value) else replaced
    if isinstance(value, str):
        return symbols.get(value) or _ID.sub(lambda match: symbols.get(match[0], match[0]), value)
    return value


def _known(value: Any, symbols: Mapping[str, str]) -> bool:
    return isinstance(value, str) and value in symbols


def _symbols(tables: Mapping[str, Table]) -> dict[str, str]:
    """Symbols by id.

    Rows of equal names are told apart by what they hold and what they refer to, not by their ids.
    """
    labels: dict[str, str] = {}
    contents: dict[str, Row] = {}
    for name, table in tables.items():
        for row in table:
            row_id = row.get("id")
            if isinstance(row_id, str):
                label = "/".join(str(row[part]) for part in table.spec.label if row.get(part))
                # A quota has its project's id, and no name of its own.
                if label not in ("", row_id) or row_id not in labels:
                    labels[row_id] = f"{name}:{label or row_id}"
                    contents[row_id] = _stable(table, row)
    labels = {row_id: _named(row_id, label, labels) for row_id, label in labels.items()}
    groups = _grouped(labels)
    colours = dict(labels)
    if any(len(group) > 1 for group in groups.values()):
        for _ in range(_ROUNDS):
            colours = {
                row_id: hashlib.sha256(_text(_replace(content, colours)).encode()).hexdigest()
                for row_id, content in contents.items()
            }
    symbols: dict[str, str] = {}
    for label, group in groups.items():
        if len(group) == 1:
            symbols[group[0]] = label
        else:
            for number, row_id in enumerate(sorted(group, key=lambda one: colours[one]), start=1):
                symbols[row_id] = f"{label}#{number}"
    return symbols


def _gone(tables: Mapping[str, Table]) -> dict[str, str]:
    """One symbol for all ids of what has been removed, though rows of another table still name it."""
    return {
        row[field]: f"{other}:gone"
        for table in tables.values()
        for field, other in table.spec.outlives.items()
        for row in table
        if row[field] and row[field] not in tables[other]
    }


def _named(row_id: str, label: str, labels: Mapping[str, str]) -> str:
    """The label with the labels of others, whose ids are in it: a project's has its domain's."""
    return _ID.sub(lambda one: one[0] if one[0] == row_id else labels.get(one[0], one[0]), label)


def _grouped(labels: Mapping[str, str]) -> dict[str, list[str]]:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for row_id, label in labels.items():
        groups[label].append(row_id)
    return groups
