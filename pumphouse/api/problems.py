"""Errors as problem documents (RFC 9457), derived from the one error tree."""

from __future__ import annotations

import http
import inspect
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, current_app, make_response, request
from pydantic import Field, ValidationError
from werkzeug.exceptions import HTTPException

from pumphouse import errors
from pumphouse.api.documents import Document

LOG = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_URN = "urn:pumphouse:error:"
_PAGE = "pumphouse-problem-page"


class Problem(Document):
    """What went wrong, where, and what to do next (RFC 9457)."""

    type: str = Field(
        description="`urn:pumphouse:error:` and the error's name; `about:blank` where the status says all."
    )
    title: str = Field(description="What this kind of problem is.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened.")
    resource: str = Field(default="", description="The resource it happened to.")
    cloud: str = Field(default="", description="The cloud where it happened.")
    request_id: str = Field(default="", description="The cloud's request id, for the logs of its operators.")
    next_step: str = Field(default="", description="What can be done about it.")


def problem_of(error: errors.PumphouseError) -> Problem:
    """An error of the tree as a problem."""
    kind = type(error)
    return Problem(
        type=_URN + kind.__name__,
        title=title(kind),
        status=kind.http_status,
        detail=error.message,
        resource=error.resource,
        cloud=error.cloud,
        request_id=error.request_id,
        next_step=error.next_step,
    )


def problem_of_dict(found: Mapping[str, Any]) -> Problem:
    """The problem of an error that the store keeps."""
    return problem_of(errors.from_dict(found))


def title(kind: type[errors.PumphouseError]) -> str:
    """What a kind of error is, as its docstring says."""
    return (inspect.getdoc(kind) or kind.__name__).partition("\n")[0].rstrip(".")


def answer(problem: Problem) -> Response:
    """The problem as an answer."""
    response = make_response(problem.model_dump_json(), problem.status)
    response.content_type = MEDIA_TYPE
    if problem.status == http.HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="pumphouse"'
    return response


def invalid(error: ValidationError) -> Response:
    """What is wrong with a request, in words that name each place."""
    found = "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'the body'}: {one['msg']}"
        for one in error.errors(include_url=False, include_context=False, include_input=False)[:5]
    )
    return answer(problem_of(errors.InvalidRequest(found)))


def install(app: Flask) -> None:
    """Let every error of the application be a problem document."""
    app.register_error_handler(errors.PumphouseError, _known)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, _unexpected)


def show_pages(app: Flask, page: Callable[[Problem], Response]) -> None:
    """Let people who look at pages see their problems as pages, too. The API's own are always documents."""
    app.extensions[_PAGE] = page


def _told(problem: Problem) -> Response:
    page = current_app.extensions.get(_PAGE)
    wanted = request.accept_mimetypes.best_match(["application/json", "text/html"])
    if page is None or wanted != "text/html" or request.path.startswith("/v1/"):
        return answer(problem)
    shown: Response = page(problem)
    return shown


def _known(error: errors.PumphouseError) -> Response:
    if error.http_status >= 500:
        LOG.warning("%s: %s", type(error).__name__, error)
    return _told(problem_of(error))


def _of_http(error: HTTPException) -> Response:
    """What Flask refuses by itself: an unknown path, a wrong method, a body too large."""
    if error.response is not None:
        return error.response  # type: ignore[return-value]  # ours, of `invalid`
    status = error.code or 500
    response = _told(
        Problem(
            type="about:blank",
            title=http.HTTPStatus(status).phrase,
            status=status,
            detail=re.sub(r"\s+", " ", error.description or ""),
        )
    )
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    LOG.error("unexpected %s", type(error).__name__, exc_info=error)
    return _told(
        Problem(
            type="about:blank",
            title=http.HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
            status=500,
            detail=f"unexpected {type(error).__name__}",
            next_step="See the server's log, and report it.",
        )
    )


def documented(kinds: tuple[type[errors.PumphouseError], ...], statuses: tuple[int, ...]) -> dict[int, Any]:
    """The answers of an operation that has these errors, as OpenAPI describes them."""
    titles: dict[int, list[str]] = {status: [http.HTTPStatus(status).phrase] for status in statuses}
    for kind in kinds:
        titles.setdefault(kind.http_status, []).append(f"{kind.__name__}: {title(kind)}")
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
    return {
        status: {"description": ". ".join(found) + ".", "content": content}
        for status, found in sorted(titles.items())
    }
