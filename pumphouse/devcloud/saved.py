"""A cloud as it was at one moment, to come back to: tests begin many times from the same cloud."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pumphouse.devcloud.files import Files
from pumphouse.devcloud.table import Table
from pumphouse.devcloud.tokens import TokenStore

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud


@dataclass(frozen=True, kw_only=True)
class Saved:
    """What :meth:`DevCloud.save` keeps. It can be restored any number of times."""

    tables: dict[str, Table]
    tokens: TokenStore
    passwords: bytes
    files: Files

    @classmethod
    def of(cls, cloud: DevCloud, directory: Path) -> Self:
        """A copy of all; called under the lock."""
        files = Files(directory)
        files.take_over(cloud.files)
        return cls(
            tables=copy.deepcopy(dict(cloud.tables)),
            tokens=copy.deepcopy(cloud.tokens),
            passwords=cloud.passwords.save(),
            files=files,
        )

    def back(self, cloud: DevCloud) -> dict[str, Table]:
        """Put files, passwords and tokens back; the tables, copied. Called under the lock."""
        cloud.files.take_over(self.files)
        cloud.passwords.restore(self.passwords)
        cloud.tokens = copy.deepcopy(self.tokens)
        return copy.deepcopy(self.tables)
