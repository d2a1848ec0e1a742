"""The OpenAPI document, made from the pages themselves: every twin, with its parameters."""

from collections.abc import Iterable, Mapping

import msgspec

import tocsin
from tocsin.web.errors import ErrorBody
from tocsin.web.page import Page
from tocsin.web.tables import schema_of

_ROLES = {"public": "nobody in particular", "view": "viewer", "respond": "responder"}


def document(pages: Iterable[Page]) -> dict[str, object]:
    """Return the document of all pages that have twins."""
    pages = [page for page in pages if page.table or page.record]
    types = [page.record_type for page in pages if page.record_type]
    _, schemas = msgspec.json.schema_components(
        [ErrorBody, *types], ref_template="#/components/schemas/{name}", schema_hook=_anything
    )
    paths: dict[str, object] = {}
    for page in pages:
        path = "/overview" if page.path == "/" else page.path
        paths[f"{path}.json"] = {"get": _operation(page, "application/json")}
        if page.table:
            paths[f"{path}.csv"] = {"get": _operation(page, "text/csv")}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tocsin", "version": tocsin.__version__},
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas,
        },
    }


def _anything(_: type) -> dict[str, object]:
    """Return the schema of what may be any JSON, such as the fields of an alert."""
    return {"description": "Any JSON."}


def _operation(page: Page, media: str) -> Mapping[str, object]:
    error = {
        "type": "object",
        "properties": {"error": {"$ref": "#/components/schemas/ErrorBody"}},
        "required": ["error"],
    }
    return {
        "operationId": f"{page.name}_{media.rpartition('/')[2]}",
        "summary": f"{page.name.capitalize()}; needs the role "
        f"{_ROLES.get(page.permission, page.permission)} or more.",
        "parameters": [
            {
                "name": one.name,
                "in": "query",
                "description": one.description,
                "schema": {"type": "string"} | ({"enum": list(one.values)} if one.values else {}),
            }
            for one in page.parameters
        ]
        + [
            {"name": part, "in": "path", "required": True, "schema": {"type": "string"}}
            for part in _parts(page.path)
        ],
        "responses": {
            "200": {
                "description": "What the page shows.",
                "content": {media: _content(page, media)},
            },
            "default": {
                "description": "What is wrong.",
                "content": {"application/json": {"schema": error}},
            },
        },
    }


def _content(page: Page, media: str) -> dict[str, object]:
    if media == "text/csv":
        return {"schema": {"type": "string"}}
    if page.table:
        return {"schema": schema_of(page.columns)}
    if page.record_type:
        return {"schema": {"$ref": f"#/components/schemas/{page.record_type.__name__}"}}
    return {"schema": {"type": "object"}}


def _parts(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]
