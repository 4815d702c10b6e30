"""The admin API's description, made from the code: an OpenAPI 3.1 document, and a page.

Shapes come from the structs, words from their docstrings and the strings below their fields,
resources from ``resources``.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Final, cast

import msgspec

from lvsguard import __version__
from lvsguard.admin import protocol
from lvsguard.admin.openapi_text import ABOUT, page_head
from lvsguard.admin.resources import ALWAYS, DESCRIPTION, RESOURCES, STATUSES, Described

Json = dict[str, object]
_REFERENCE: Final = "#/components/schemas/{name}"


@cache
def document() -> bytes:
    """The OpenAPI document, as JSON for people and programs."""
    return json.dumps(_document(), indent=2).encode() + b"\n"


def page() -> str:
    """The reference page, in Markdown."""
    return "\n".join([page_head(), *_resource_rows(), "", *_status_rows(), "", *_words()]) + "\n"


def _document() -> Json:
    paths: dict[str, Json] = {}
    for one in RESOURCES:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    method, path = DESCRIPTION
    paths[path] = {
        method.lower(): {
            "operationId": "openapi",
            "summary": "This document.",
            "responses": {"200": _content("application/json", {"type": "object"}, "OpenAPI 3.1")}
            | _refusals(ALWAYS),
        }
    }
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "lvsguard admin API",
            "version": f"{protocol.VERSION}",
            "summary": f"Written by lvsguard {__version__}.",
            "description": ABOUT,
        },
        "paths": paths,
        "components": {"schemas": _schemas()},
    }


def _operation(one: Described) -> Json:
    operation: Json = {
        "operationId": one.name,
        "summary": one.what,
        "x-lvsguard-role": str(one.role),
        "responses": {
            "200": _content(one.form, _pointer(one.reply), _sentence(one.reply)),
            **_refusals((*ALWAYS, *one.refusals)),
        },
    }
    if one.query is not None:
        operation["parameters"] = list(_parameters(one.query))
    if one.body is not None:
        operation["requestBody"] = {
            "required": any(field.required for field in msgspec.structs.fields(one.body)),
            "content": {"application/json": {"schema": _pointer(one.body)}},
        }
    return operation


def _parameters(query: type[msgspec.Struct]) -> Iterator[Json]:
    schema = cast("dict[str, Json]", _schemas()[query.__name__])
    for field in msgspec.structs.fields(query):
        found = dict(cast("Json", schema["properties"][field.encode_name]))
        description = found.pop("description", "")
        yield {
            "name": field.encode_name,
            "in": "query",
            "required": field.required,
            "description": description,
            "schema": _without_null(found),
        }


def _without_null(schema: Json) -> Json:
    """A query has no null: what may be null is left out."""
    options = [o for o in cast("list[Json]", schema.get("anyOf", [])) if o != {"type": "null"}]
    return options[0] if len(options) == 1 else schema


def _refusals(codes: tuple[str, ...]) -> Json:
    texts: dict[int, list[str]] = {}
    for code in codes:
        status, meaning = STATUSES[code]
        texts.setdefault(status, []).append(f"`{code}`: {meaning}")
    return {
        str(status): _content("application/json", _pointer(protocol.Failure), "; ".join(lines))
        for status, lines in sorted(texts.items())
    }


def _content(kind: str, schema: Json, description: str) -> Json:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _pointer(struct: type[msgspec.Struct]) -> Json:
    return {"$ref": _REFERENCE.format(name=struct.__name__)}


def _structs() -> list[type[msgspec.Struct]]:
    """Those that resources name, in their order; what these are made of is found from them."""
    named = [s for one in RESOURCES for s in (one.query, one.body, one.reply) if s is not None]
    return list(dict.fromkeys([*named, protocol.Failure]))


@cache
def _schemas() -> Json:
    _, components = msgspec.json.schema_components(
        _structs(), schema_hook=_anything, ref_template=_REFERENCE
    )
    for name, schema in components.items():
        words = _field_words(_classes()[name])
        for key, one in schema.get("properties", {}).items():
            if key in words:
                one["description"] = words[key]
    return dict(sorted(components.items()))


def _anything(kind: type) -> Json:
    """The schema of ``object``, the fields of an event."""
    if kind is not object:
        raise NotImplementedError(f"{kind} has no JSON Schema: give it one here")
    return {"description": "Any JSON."}


@cache
def _classes() -> dict[str, type]:
    """Every struct and enum within the API's words, by its name."""
    found: dict[str, type] = {}

    def visit(kind: msgspec.inspect.Type) -> None:
        match kind:
            case msgspec.inspect.StructType(cls=cls, fields=fields):
                if cls.__name__ not in found:
                    found[cls.__name__] = cls
                    for field in fields:
                        visit(field.type)
            case msgspec.inspect.EnumType(cls=cls):
                found[cls.__name__] = cls
            case msgspec.inspect.ListType(item_type=item):
                visit(item)
            case msgspec.inspect.UnionType(types=types):
                for one in types:
                    visit(one)

    for struct in _structs():
        visit(msgspec.inspect.type_info(struct))
    return found


def _field_words(kind: type) -> dict[str, str]:
    """What the strings below the fields of a class and its bases say."""
    words: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if one.__module__.startswith("lvsguard."):
            words |= _own_words(one)
    return words


def _own_words(kind: type) -> dict[str, str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    words: dict[str, str] = {}
    name = ""
    for node in cast("ast.ClassDef", definition).body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=found)):
                name = found
            case ast.Assign(targets=[ast.Name(id=found)]):
                name = found
            case ast.Expr(value=ast.Constant(value=str(text))) if name:
                words[name] = _plain(text)
    return words


def _plain(text: str) -> str:
    text = " ".join(inspect.cleandoc(text).replace("``", "`").split())
    return re.sub(r"\bNone\b", "null", text)


def _sentence(kind: type) -> str:
    return _plain(kind.__doc__ or "")


def _resource_rows() -> Iterator[str]:
    yield "| request | role | body | reply | what |"
    yield "|---|---|---|---|---|"
    for one in RESOURCES:
        query = "" if one.query is None else f"?{_query(one.query)}"
        body = "" if one.body is None else _anchor(one.body)
        lines = ", one a line" if one.form is not one.form.JSON else ""
        yield (
            f"| `{one.method} {one.path}{query}` | {one.role} | {body} |"
            f" {_anchor(one.reply)}{lines} | {one.what} |"
        )
    method, path = DESCRIPTION
    yield f"| `{method} {path}` | read | | | This description, as an OpenAPI 3.1 document. |"


def _query(query: type[msgspec.Struct]) -> str:
    return "&".join(f"{name}=" for name in query.__struct_fields__)


def _anchor(kind: type) -> str:
    return f"[{kind.__name__}](#{kind.__name__.lower()})"


def _status_rows() -> Iterator[str]:
    yield f"Any answer that is not 2xx is a {_anchor(protocol.Failure)}, with one of these codes:"
    yield ""
    yield "| status | `code` | when |"
    yield "|---|---|---|"
    for code, (status, meaning) in STATUSES.items():
        yield f"| {status} | `{code}` | {meaning} |"


def _words() -> Iterator[str]:
    yield "## Documents"
    for name, kind in _classes().items():
        yield f"\n### {name}\n\n{_sentence(kind)}\n"
        words = _field_words(kind)
        if issubclass(kind, Enum):
            for member in kind:
                said = words.get(member.name, "")
                yield f"- `{member.value}`" + (f": {said}" if said else "")
            continue
        yield "| field | type | meaning |"
        yield "|---|---|---|"
        for field in msgspec.inspect.type_info(kind).fields:  # type: ignore[attr-defined]
            needed = "" if field.required else " (optional)"
            shape = _shape(field.type)
            yield f"| `{field.encode_name}` | {shape}{needed} | {words.get(field.name, '')} |"


def _shape(kind: msgspec.inspect.Type) -> str:
    match kind:
        case msgspec.inspect.StructType(cls=cls) | msgspec.inspect.EnumType(cls=cls):
            return _anchor(cls)
        case msgspec.inspect.ListType(item_type=item):
            return f"list of {_shape(item)}"
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(_shape(one) for one in types)
        case msgspec.inspect.StrType(max_length=most):
            return "string" if most is None else f"string, at most {most} characters"
        case msgspec.inspect.LiteralType(values=values):
            return " or ".join(f"`{value}`" for value in values)
        case msgspec.inspect.IntType(ge=low, le=high):
            return "integer" if high is None else f"integer, {low} to {high}"
        case msgspec.inspect.FloatType():
            return "number"
        case msgspec.inspect.BoolType():
            return "boolean"
        case msgspec.inspect.NoneType():
            return "null"
        case _:
            return "object"
