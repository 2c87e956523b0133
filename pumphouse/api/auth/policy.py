"""What can be allowed, and to whom by default: readers, operators and administrators."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from pumphouse.api.auth import User

if TYPE_CHECKING:
    from oslo_policy.policy import DocumentedRuleDefault, RuleDefault

PREFIX: Final = "pumphouse:"


class Role(StrEnum):
    """Who may do what by default. Each may do what those before it may."""

    READER = "reader"
    OPERATOR = "operator"
    ADMIN = "admin"


RULES: Final[Mapping[str, tuple[Role, str]]] = MappingProxyType(
    {
        "types:read": (Role.READER, "List the types of resources."),
        "clouds:read": (Role.READER, "List clouds, and what they held when they were last read."),
        "clouds:check": (Role.READER, "Ask a cloud what it offers."),
        "clouds:refresh": (Role.OPERATOR, "Read a cloud as a whole."),
        "operations:read": (Role.READER, "Show how far readings and plans that were asked for have come."),
        "plans:read": (Role.READER, "List and show plans and their graphs."),
        "plans:create": (Role.OPERATOR, "Read both clouds and make a plan."),
        "plans:delete": (Role.ADMIN, "Forget a plan that no migration needs."),
        "migrations:read": (Role.READER, "Show migrations, their steps, events and reports."),
        "migrations:create": (Role.OPERATOR, "Begin a migration."),
        "migrations:pause": (Role.OPERATOR, "Pause a migration."),
        "migrations:resume": (Role.OPERATOR, "Go on with a migration."),
        "migrations:cancel": (Role.OPERATOR, "Stop a migration, and take back what has not ended."),
        "migrations:cutover": (Role.OPERATOR, "Do what was left when a migration was prepared."),
        "migrations:retry": (Role.OPERATOR, "Do what a migration has not achieved."),
        "migrations:rollback": (Role.OPERATOR, "Take back all that a migration did."),
        "migrations:verify": (Role.OPERATOR, "Compare both clouds again."),
        "migrations:finalizable": (Role.OPERATOR, "See what a migration has left that could be removed."),
        "migrations:finalize": (Role.ADMIN, "Remove for good what a migration has left."),
        "evacuations:read": (Role.READER, "Show hypervisors that are being emptied, or were."),
        "evacuations:create": (Role.OPERATOR, "Empty a hypervisor inside its cloud."),
        "evacuations:stop": (Role.OPERATOR, "Stop emptying a hypervisor."),
        "waves:read": (Role.READER, "Show waves."),
        "waves:create": (Role.OPERATOR, "Plan the groups of a wave."),
        "waves:resume": (Role.OPERATOR, "Begin a wave or go on with it, and let a group begin."),
        "waves:pause": (Role.OPERATOR, "Pause a wave."),
        "waves:rollback": (Role.OPERATOR, "Take back all groups of a wave."),
        "metrics:read": (Role.READER, "Read the metrics."),
    }
)
"""Every rule, who has it by default, and what it allows."""


class AllowAll:
    """Whoever is let in may do everything."""

    def allows(self, _user: User, _rule: str) -> bool:
        """Yes."""
        return True


def list_rules() -> list[RuleDefault | DocumentedRuleDefault]:
    """The rules with their defaults, as oslo.policy's tools and its enforcer take them."""
    from oslo_policy.policy import RuleDefault

    roles: list[RuleDefault | DocumentedRuleDefault] = []
    above = ""
    for role in reversed(Role):
        roles.append(RuleDefault(role, f"role:{role}{above}", description=f"Who is {role}."))
        above = f" or rule:{role}"
    described = [
        # The operations are of one service, so a rule names what it allows and no path.
        RuleDefault(f"{PREFIX}{name}", f"rule:{role}", description=text)
        for name, (role, text) in RULES.items()
    ]
    return [*reversed(roles), *described]
