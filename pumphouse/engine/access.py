"""Acting inside a tenant's project, with roles that the operator's user is granted for the time being.

Servers, volumes and server groups belong to the project of the token that creates them. The grant is
journalled as temporary, so it is revoked when the migration ends, however it ends. Removing a role revokes
tokens, and adding one makes older ones too small, so the scoped token is taken after the grant.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from pumphouse.cloud_api import Service, remove
from pumphouse.clouds.cloud import Cloud
from pumphouse.context import Journal, JournalEntry
from pumphouse.model import Ref, Side

STEP = "grant"


class Access:
    """Grants on one of the clouds. One for each and run; threads share it.

    :param carried: whether a role assignment of this path is one that was carried, and so must stay.
    """

    def __init__(
        self, cloud: Cloud, journal: Journal, *, side: Side, carried: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._cloud = cloud
        self._side = side
        self._carried = carried
        self._journal = journal
        self._lock = threading.Lock()
        self._granted: set[str] = set()

    def __call__(self, project_id: str) -> Cloud:
        """The cloud with a token of this project. Raises CloudError."""
        if project_id == self._cloud.project_id:
            return self._cloud
        with self._lock:
            if project_id in self._granted:
                return self._cloud.within(project_id)
            changed = [self._grant(project_id, role) for role in sorted(self._cloud.access().role_ids or ())]
            self._granted.add(project_id)
            return self._cloud.within(project_id, fresh=any(changed))

    def revoke(self, entry: JournalEntry) -> None:
        """Take a grant back; fine if it, its user or its project is gone."""
        path = path_of(entry)
        if not self._carried(path):
            remove(self._cloud, Service.IDENTITY, f"/{path}")
        with self._lock:
            self._granted.discard(entry.detail["project_id"])

    def _grant(self, project_id: str, role: str) -> bool:
        """Give the operator one of its own roles; whether it was given now."""
        user = self._cloud.user_id
        path = f"/{_path(project_id, role, user)}"
        ref = Ref("project", f"{project_id}/{role}")
        earlier = [one for one in self._journal.open_entries(ref, STEP) if one.side is self._side]
        there = self._cloud.exists(Service.IDENTITY, path)
        if there and not earlier:
            return False
        entry = self._journal.intend(
            ref,
            STEP,
            self._side,
            detail={"project_id": project_id, "role_id": role, "user_id": user},
            temporary=True,
        )
        if not there:
            self._cloud.put(Service.IDENTITY, path)
        self._journal.made(entry, role)
        return not there


def path_of(entry: JournalEntry) -> str:
    """What a grant is: the path of a role assignment, which is also the id of that."""
    return _path(entry.detail["project_id"], entry.detail["role_id"], entry.detail["user_id"])


def _path(project_id: str, role: str, user: str) -> str:
    return f"projects/{project_id}/users/{user}/roles/{role}"
