"""Tables of rows, with indexes and paging by marker that do not scan."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

Row = dict[str, Any]
Key = Hashable


class Order:
    """Keys in the order they came, with the place of each: going on from a marker costs nothing.

    A removed key leaves a gap; the list is packed when half of it is gaps.
    """

    __slots__ = ("_keys", "_places")

    def __init__(self) -> None:
        self._keys: list[Key | None] = []
        self._places: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: Key) -> bool:
        return key in self._places

    def add(self, key: Key) -> None:
        """Append; a key that is there keeps its place."""
        if key not in self._places:
            self._places[key] = len(self._keys)
            self._keys.append(key)

    def remove(self, key: Key) -> None:
        """Take a key out, if it is there."""
        place = self._places.pop(key, None)
        if place is None:
            return
        self._keys[place] = None
        if len(self._keys) > 32 and len(self._places) * 2 < len(self._keys):
            self._keys = list(self._places)
            self._places = {key: place for place, key in enumerate(self._places)}

    def walk(self, *, after: Key | None = None, reverse: bool = False) -> Iterator[Key]:
        """The keys, from the first.

        Or beginning behind ``after`` (KeyError when it is unknown), newest first when ``reverse``.
        """
        step = -1 if reverse else 1
        place = (len(self._keys) - 1 if reverse else 0) if after is None else self._places[after] + step
        while 0 <= place < len(self._keys):
            key = self._keys[place]
            if key is not None:
                yield key
            place += step


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """The declaration of a table.

    ``key`` gives a row's key (its ``id`` unless told otherwise); ``indexes`` are the fields that
    :meth:`Table.find` and :meth:`Table.page` can select by. For ``/_devcloud/state``: ``label`` names the
    fields that make a row's symbolic name, ``volatile`` the fields left out, ``chosen`` the fields of a row
    whose values the cloud itself chose at random, ``outlives`` the fields with ids of another table, by name,
    whose row may be gone, ``hidden`` leaves the whole table out.
    """

    name: str
    indexes: Sequence[str] = ()
    key: Callable[[Row], Key] = itemgetter("id")
    label: Sequence[str] = ("name",)
    volatile: Sequence[str] = ()
    chosen: Callable[[Row], Sequence[str]] = lambda _row: ()
    outlives: Mapping[str, str] = field(default_factory=dict)
    hidden: bool = False


@dataclass
class Table:
    """Rows by key, in order of creation.

    Rows are plain dicts; change indexed fields through :meth:`update` only.
    """

    spec: TableSpec
    _rows: dict[Key, Row] = field(default_factory=dict)
    _order: Order = field(default_factory=Order)
    _indexes: dict[str, dict[Hashable, Order]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._indexes = {name: {} for name in self.spec.indexes}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: Key) -> bool:
        return key in self._rows

    def __iter__(self) -> Iterator[Row]:
        return iter(list(self._rows.values()))

    def get(self, key: Key) -> Row | None:
        """The row, or None."""
        return self._rows.get(key)

    def __getitem__(self, key: Key) -> Row:
        return self._rows[key]

    def add(self, row: Row) -> Row:
        """Insert a row and return it; a key that is taken raises ValueError (check conflicts before)."""
        key = self.spec.key(row)
        if key in self._rows:
            raise ValueError(f"{self.spec.name}: the key {key!r} is taken")
        self._rows[key] = row
        self._order.add(key)
        for name, index in self._indexes.items():
            index.setdefault(row.get(name), Order()).add(key)
        return row

    def update(self, key: Key, changes: Mapping[str, Any] | None = None, **more: Any) -> Row:
        """Change fields of a row, keeping the indexes right; KeyError when there is no such row."""
        row = self._rows[key]
        for name, value in {**(changes or {}), **more}.items():
            index = self._indexes.get(name)
            if index is not None and row.get(name) != value:
                self._unindex(index, row.get(name), key)
                index.setdefault(value, Order()).add(key)
            row[name] = value
        return row

    def remove(self, key: Key) -> Row | None:
        """Delete a row and return it; None when there was none."""
        row = self._rows.pop(key, None)
        if row is None:
            return None
        self._order.remove(key)
        for name, index in self._indexes.items():
            self._unindex(index, row.get(name), key)
        return row

    @staticmethod
    def _unindex(index: dict[Hashable, Order], value: Hashable, key: Key) -> None:
        order = index.get(value)
        if order is not None:
            order.remove(key)
            if not order:
                del index[value]

    def find(self, **fields: Any) -> list[Row]:
        """The rows whose fields have these values, oldest first; the first field must be an index."""
        return list(self._matches(fields))

    def first(self, **fields: Any) -> Row | None:
        """The oldest row that :meth:`find` gives, or None."""
        return next(self._matches(fields), None)

    def _matches(self, fields: Mapping[str, Any]) -> Iterator[Row]:
        (first, value), *rest = fields.items()
        order = self._indexes[first].get(value)
        for key in order.walk() if order is not None else ():
            row = self._rows[key]
            if all(row.get(name) == wanted for name, wanted in rest):
                yield row

    def count(self, index: str, value: Hashable) -> int:
        """How many rows have this value of an indexed field."""
        order = self._indexes[index].get(value)
        return len(order) if order is not None else 0

    def walk(
        self, *, by: tuple[str, Hashable] | None = None, after: Key | None = None, reverse: bool = False
    ) -> Iterator[Row]:
        """Rows in order, newest first when ``reverse``.

        Of one index value when ``by`` is given, beginning behind the marker ``after``;
        KeyError when the marker is not among them. Take what you need and stop: nothing is scanned.
        """
        if by is None:
            order: Order | None = self._order
        else:
            order = self._indexes[by[0]].get(by[1])
        if order is None:
            if after is not None:
                raise KeyError(after)
            return
        for key in order.walk(after=after, reverse=reverse):
            yield self._rows[key]
