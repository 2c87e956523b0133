"""The one error tree.

::

    PumphouseError                    says what happened, where, and what to do next
    ├── UsageError                    the operator's input is wrong; nothing was written (exit status 2)
    │   ├── UnknownCloud              no such cloud in clouds.yaml
    │   ├── SameCloud                 source and destination are one cloud
    │   ├── UnknownResource           a scope names something that the source does not have
    │   ├── AmbiguousName             a scope names several things
    │   ├── UnknownMigration          no such migration, plan or operation in the store
    │   ├── BadPlan                   a plan file is damaged or of another version
    │   ├── StalePlan                 the clouds have changed since the plan was made
    │   ├── BadOverride               an override file cannot be read or has unknown keys
    │   ├── BadWave                   the description of a wave cannot be read or is wrong
    │   ├── BadConfig                 an option or a clouds.yaml entry is wrong
    │   ├── WrongState                the migration's state does not allow the request
    │   ├── NotRead                   the store has no inventory of the cloud yet
    │   ├── InvalidRequest            a request to the API is not as documented
    │   ├── LoginRequired             the API does not know who asks
    │   ├── NotPermitted              the API's policy does not let this user do this
    │   ├── TooMany                   the API is asked for more at the same time than it gives
    │   └── KeyReused                 an idempotency key came before, with another request
    ├── PlanBlocked                   the plan has blocked resources (exit status 4)
    ├── CloudError                    a cloud refused or failed a request (exit status 2: nothing was written)
    │   ├── BadRequest                400, 413, 415: the cloud does not accept the request
    │   ├── Unauthorized              401: credentials are wrong or the token is dead
    │   ├── Forbidden                 403: the operator's account may not do this
    │   ├── QuotaExceeded             a quota does not suffice
    │   ├── NotFound                  404
    │   ├── Conflict                  409: state, name or address
    │   ├── Unavailable               cannot be reached, overloaded or broken, also after retries
    │   └── Unsure                    the answer to a writing request was lost: it may have been applied
    ├── ResourceError                 a resource is not as it must be
    │   ├── ResourceFailed            it ended in an error state
    │   ├── WaitTimeout               it did not get where it should in time
    │   ├── VerificationFailed        it arrived, but a field or its data differs
    │   └── HealthCheckFailed         it arrived, but did not pass a check of the operator's
    ├── Unexpected                    a fault of pumphouse's own, or of a library's
    └── StoreError                    the store or a database failed
        ├── DatabaseError             a database cannot be read or written
        │   └── CannotOpen            the store's database cannot be opened
        ├── SchemaError               the store was made by a newer version
        ├── MigrationBusy             another process or migration holds what this one needs
        └── Fenced                    another process has taken this migration over
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar


class PumphouseError(Exception):
    """The base of every error that pumphouse raises on purpose.

    :param message: what happened, one line, without a full stop.
    :param next_step: what the operator can do about it, one sentence.
    :param resource: the resource it happened to, as ``type:id`` or a name.
    :param cloud: the name of the cloud where it happened.
    :param request_id: the service's request id, for its operators' logs.
    """

    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    """What the API answers with."""
    advice: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        next_step: str = "",
        resource: str = "",
        cloud: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step or self.advice
        self.resource = resource
        self.cloud = cloud
        self.request_id = request_id

    def __str__(self) -> str:
        where = ", ".join(
            part
            for part in (
                self.resource,
                f"cloud {self.cloud}" if self.cloud else "",
                f"request {self.request_id}" if self.request_id else "",
            )
            if part
        )
        text = f"{self.message} ({where})" if where else self.message
        return f"{text}. {self.next_step}" if self.next_step else text

    def to_dict(self) -> dict[str, Any]:
        """The error as small JSON, for events, the store and the API."""
        return {
            "error": type(self).__name__,
            "message": self.message,
            "resource": self.resource,
            "cloud": self.cloud,
            "request_id": self.request_id,
            "next_step": self.next_step,
        }


class UsageError(PumphouseError):
    """The operator's input is wrong. Nothing was written to any cloud."""

    http_status = 400
    exit_status = 2


class UnknownCloud(UsageError):
    """No such cloud in clouds.yaml."""

    http_status = 404


class SameCloud(UsageError):
    """Source and destination are one cloud."""


class UnknownResource(UsageError):
    """A scope names something that the source does not have."""

    http_status = 404


class AmbiguousName(UsageError):
    """A scope names several things at once."""

    http_status = 409


class UnknownMigration(UsageError):
    """No such migration, plan or operation in the store."""

    http_status = 404


class BadPlan(UsageError):
    """A plan file is damaged or of another version."""

    advice = "Make it again with: pumphouse plan ... -o plan.json"


class StalePlan(UsageError):
    """The clouds have changed since the plan was made."""

    http_status = 409
    advice = "Make a new plan, review it and apply that one."


class StaleListing(UsageError):
    """What was seen before something was asked for is not what there is now."""

    http_status = 409
    advice = "List it again, review that and ask for it."


class BadOverride(UsageError):
    """An override file cannot be read or has unknown keys."""

    advice = "Correct the file; the user guide's page on overrides tells its form."


class BadWave(UsageError):
    """The description of a wave cannot be read or is wrong."""

    advice = "Correct the file; the user guide's page on waves tells its form."


class BadConfig(UsageError):
    """An option or a clouds.yaml entry is wrong."""

    http_status = 500


class WrongState(UsageError):
    """The migration's state does not allow the request."""

    http_status = 409


class NotRead(UsageError):
    """The store has no inventory of the cloud yet."""

    http_status = 409


class InvalidRequest(UsageError):
    """A request to the API is not as documented."""

    advice = "See /v1/openapi.json for what it takes."


class LoginRequired(UsageError):
    """The API does not know who asks."""

    http_status = 401


class NotPermitted(UsageError):
    """The API's policy does not let this user do this."""

    http_status = 403
    advice = "Ask for the role, or use an account that has it."


class TooMany(UsageError):
    """The API is asked for more at the same time than it gives."""

    http_status = 429
    advice = "Try again a little later."


class KeyReused(UsageError):
    """An idempotency key came before, with another request."""

    http_status = 422
    advice = "Give each request an Idempotency-Key of its own."


class PlanBlocked(PumphouseError):
    """The plan has blocked resources; nothing was written."""

    http_status = 409
    exit_status = 4
    advice = "Resolve what blocks it, or leave it out, and plan again."


class CloudError(PumphouseError):
    """A cloud refused or failed a request.

    :param service: the service's type, such as ``compute``.
    :param method: the HTTP method.
    :param path: the path below the service's endpoint, without a query.
    :param status: the HTTP status, 0 if no answer came.
    """

    http_status = 502
    # In a migration it is a unit's outcome. A command ends with it only before anything was written.
    exit_status = 2

    def __init__(
        self,
        message: str,
        *,
        service: str = "",
        method: str = "",
        path: str = "",
        status: int = 0,
        next_step: str = "",
        resource: str = "",
        cloud: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(message, next_step=next_step, resource=resource, cloud=cloud, request_id=request_id)
        self.service = service
        self.method = method
        self.path = path
        self.status = status

    def to_dict(self) -> dict[str, Any]:
        """The error as small JSON, with the request that failed."""
        return super().to_dict() | {
            "service": self.service,
            "method": self.method,
            "path": self.path,
            "status": self.status,
        }


class BadRequest(CloudError):
    """400, 413, 415: the cloud does not accept the request."""

    advice = "Mend what the message names, or look into the service's log for this request; then try again."


class Unauthorized(CloudError):
    """401: credentials are wrong or the token is dead."""

    advice = "Check the credentials of this cloud in clouds.yaml."


class Forbidden(CloudError):
    """403: the operator's account may not do this."""

    advice = "Give the operator's account the admin role on this cloud."


class QuotaExceeded(CloudError):
    """A quota does not suffice."""

    advice = "Raise the quota on this cloud, then retry."


class NotFound(CloudError):
    """404: there is no such resource."""

    advice = "See whether somebody has removed it from this cloud, then try again."


class Conflict(CloudError):
    """409: the resource's state, name or address does not allow it."""

    advice = "See what stands in its way on this cloud, then try again."


class Unavailable(CloudError):
    """The service cannot be reached, is overloaded or broken, also after retries."""

    http_status = 503
    advice = "See that the service is up, then try again."


class Unsure(CloudError):
    """The answer to a writing request was lost: it may or may not have been applied."""

    advice = "Look whether it was applied before repeating it."


REFUSALS = (BadRequest, Unauthorized, Forbidden, QuotaExceeded, NotFound, Conflict)
"""The service answered that it has not applied the request, so there is nothing of ours to take back."""


class ResourceError(PumphouseError):
    """A resource is not as it must be."""

    http_status = 502


class ResourceFailed(ResourceError):
    """A resource ended in an error state."""

    advice = "Look into the service's logs for this resource, then retry."


class WaitTimeout(ResourceError):
    """A resource did not get where it should in time."""

    advice = "Look into the service's logs for this resource, or raise the timeout, then retry."


class VerificationFailed(ResourceError):
    """A resource arrived, but a field or its data differs."""

    advice = "See the report for what differs, then retry or roll back."


class HealthCheckFailed(ResourceError):
    """A resource arrived, but did not pass a check that the operator asked for."""

    advice = (
        "Its destination server is removed, and the source's brought back to the state in which it was. "
        "Mend what the check found, and retry; or correct the check in the override file, and migrate again."
    )


class Unexpected(PumphouseError):
    """A fault of pumphouse's own, or of a library's. Its text may hold secrets: it is not told."""

    advice = "Retry, and report it with the traceback that the log has: it is a fault of pumphouse's."


class StoreError(PumphouseError):
    """The store or a database failed."""

    http_status = 503


class DatabaseError(StoreError):
    """A database cannot be read or written."""


class CannotOpen(DatabaseError):
    """The store's database cannot be opened. Nothing was written to any cloud."""

    exit_status = 2
    advice = "Check the option url of [store], and that the database is up and yours to write."


class SchemaError(StoreError):
    """The store was made by a newer version."""


class MigrationBusy(StoreError):
    """Another process or migration holds what this one needs."""

    http_status = 409
    exit_status = 2


class Fenced(StoreError):
    """Another process has taken this migration over; this one must stop at once."""

    http_status = 409


def as_dict(error: BaseException | None) -> dict[str, Any] | None:
    """Any error as small JSON; None for none."""
    if error is None:
        return None
    if isinstance(error, PumphouseError):
        return error.to_dict()
    return {"error": type(error).__name__, "message": str(error)}


def from_dict(found: Mapping[str, Any]) -> PumphouseError:
    """The error that :func:`as_dict` told; one that the tree does not have is its root."""
    told = {name: str(found.get(name) or "") for name in ("resource", "cloud", "request_id", "next_step")}
    kind = kind_named(str(found.get("error"))) or PumphouseError
    return kind(str(found.get("message") or "it failed"), **told)


def kind_named(name: str) -> type[PumphouseError] | None:
    """The error of the tree with this name, if there is one."""

    def tree(kind: type[PumphouseError]) -> Iterator[type[PumphouseError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from tree(child)

    return next((kind for kind in tree(PumphouseError) if kind.__name__ == name), None)
