"""Blueprints whose routes declare who may use them, what they answer and which errors they have.

The OpenAPI document, the check of the policy and the form of each answer are derived from that declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Response, current_app, make_response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.schema import Schema
from flask_openapi3.models.tag import Tag

from pumphouse import errors
from pumphouse.api import auth, problems
from pumphouse.api.documents import Document
from pumphouse.service import Pumphouse

V = TypeVar("V", bound=Callable[..., Any])
EXTENSION = "pumphouse"
_ALWAYS = (errors.InvalidRequest, errors.LoginRequired, errors.NotPermitted, errors.StoreError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a view gives where it is not simply a document with the status of its route."""

    document: Document | None = None
    text: str = ""
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an operation answers when all is well.

    ``text`` names other media types of it, each with what it is. ``headers`` are told in the document.
    """

    document: type[Document] | None = None
    status: int = 200
    description: str = ""
    text: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """As OpenAPI describes it."""
        content: dict[str, Any] = {}
        if self.document is not None:
            reference = f"#/components/schemas/{self.document.__name__}"
            content["application/json"] = {"schema": {"$ref": reference}}
        for media_type, what in self.text.items():
            content[media_type] = {"schema": {"type": "string", "description": what}}
        headers = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in self.headers.items()
        }
        found = {"description": self.description or "Done.", "content": content, "headers": headers}
        return {name: value for name, value in found.items() if value}


class Routes(APIBlueprint):
    """A blueprint of the API."""

    def __init__(self, name: str, import_name: str, about: str) -> None:
        super().__init__(name, import_name, url_prefix="/v1", abp_tags=[Tag(name=name, description=about)])

    def route_to(
        self,
        method: str,
        rule: str,
        *,
        allow: str,
        answer: Answer | type[Document],
        errors: tuple[type[errors.PumphouseError], ...] = (),
    ) -> Callable[[V], V]:
        """Declare an operation. Its name, summary and description are the view's.

        :param allow: the rule of the policy that the user must fulfil.
        :param errors: those it may have besides what every operation has.
        """
        known = answer if isinstance(answer, Answer) else Answer(document=answer)
        takes_body = method in {"post", "put", "patch"}
        statuses = (413, 415) if takes_body else ()

        def declare(view: V) -> V:
            @wraps(view)
            def rendered(**parameters: Any) -> Response:
                return _render(view(**parameters), known.status)

            auth.allow(allow)(rendered)
            if known.document is not None:
                self._describe(known.document)
            register = getattr(self, method)
            register(
                rule,
                operation_id=view.__name__,
                responses={
                    known.status: known.described(),
                    **problems.documented((*_ALWAYS, *errors), statuses),
                },
            )(rendered)
            return cast("V", rendered)

        return declare

    def _describe(self, document: type[Document]) -> None:
        schema = document.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
        for name, one in {**schema.pop("$defs", {}), document.__name__: schema}.items():
            self.components_schemas[name] = Schema(**one)


def service() -> Pumphouse:
    """The application's use cases."""
    return cast("Pumphouse", current_app.extensions[EXTENSION])


def _render(found: Any, status: int) -> Response:
    if isinstance(found, Response):
        return found
    if isinstance(found, Document):
        found = Reply(document=found)
    if not isinstance(found, Reply):
        raise TypeError(f"a view gave {type(found).__name__}")
    body = found.document.model_dump_json() if found.document is not None else found.text
    response = make_response(body, status)
    response.content_type = found.media_type
    response.headers.update(found.headers)
    return response
