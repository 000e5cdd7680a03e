"""The routes of a service: read from its OpenAPI description, and filled with values to try.

The description is OpenAPI 3 (OpenAPI Specification 3.1, sections 4.8.9 to 4.8.12) or Swagger 2.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from leftopen.audit.backend.web import records

METHODS = ("get", "head", "options", "post", "put", "patch", "delete")
CHANGING = ("POST", "PUT", "PATCH", "DELETE")
_LOGIN = re.compile(r"(log|sign)[-_]?in|token|session|auth(enticate|orize)?$", re.IGNORECASE)
_PLACE = re.compile(r"\{([^{}:]+)(?::[^{}]*)?\}")
_MOST_VALUES, _MOST_TRIES = 4, 8


@dataclass(frozen=True)
class Param:
    """A parameter: its name, and what the description says of its values."""

    name: str
    schema: Mapping[str, Any]
    required: bool = True

    @property
    def kind(self) -> str:
        """``integer``, ``number``, ``boolean``, ``string``, or empty where it is not said."""
        kinds = [self.schema, *self.schema.get("anyOf", ())]
        return next((str(k["type"]) for k in kinds if k.get("type") not in (None, "null")), "")

    def told(self) -> list[Any]:
        """Values that the description itself names or allows."""
        schema = self.schema
        named = [schema[key] for key in ("example", "default", "minimum") if schema.get(key)]
        return [*schema.get("enum", ()), *schema.get("examples", ()), *named]


@dataclass(frozen=True)
class Route:
    """One method of one path.

    Attributes:
        method: in capitals.
        path: with the names of its parameters in braces, as ``/people/{person}``.
        places: its parameters in the path, in their order.
        query: its parameters in the query.
        secured: whether the description says that it asks for a login.
        streams: whether the description says that it sends events.
        operation: all that the description says of it.
    """

    method: str
    path: str
    places: tuple[Param, ...] = ()
    query: tuple[Param, ...] = ()
    secured: bool = False
    streams: bool = False
    operation: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """As ``GET /people/{person}``."""
        return f"{self.method} {self.path}"

    @property
    def is_login(self) -> bool:
        """Whether it is where people log in."""
        return self.method == "POST" and bool(_LOGIN.search(self.path.rstrip("/").split("/")[-1]))


def read(description: Mapping[str, Any], base: str = "") -> list[Route]:
    """The routes of a description; what is not of its form is passed over.

    Args:
        description: OpenAPI or Swagger.
        base: what stands before every path in the service's address, and so is left out here.
    """
    found = []
    before = _base(description)
    before = "" if before == base else before
    everywhere = bool(description.get("security"))
    for path, entry in _dicts(description.get("paths")):
        for method, operation in _dicts(entry):
            if method.lower() in METHODS and path.startswith("/"):
                listed = [*_list(entry, "parameters"), *_list(operation, "parameters")]
                params = [_resolve(description, p) for p in listed]
                whole = before + path
                own = operation.get("security")
                found.append(
                    Route(
                        method.upper(),
                        whole,
                        tuple(_param(params, name, "path") for name in _PLACE.findall(whole)),
                        tuple(
                            _param(params, p["name"], "query")
                            for p in params
                            if p.get("in") == "query" and "name" in p
                        ),
                        bool(own) if own is not None else everywhere,
                        "event-stream" in str(operation.get("responses", "")),
                        operation,
                    )
                )
    return found


def _dicts(value: object) -> Iterator[tuple[str, dict]]:
    for key, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, dict):
            yield str(key), inner


def _list(entry: Mapping, key: str) -> list:
    value = entry.get(key)
    return value if isinstance(value, list) else []


def _base(description: Mapping[str, Any]) -> str:
    """What stands before every path: Swagger's basePath, or the path of the first server."""
    servers = _list(description, "servers")
    url = servers[0].get("url", "") if servers and isinstance(servers[0], dict) else ""
    return (str(description.get("basePath") or urlsplit(str(url)).path)).rstrip("/")


def _resolve(description: Mapping[str, Any], value: Any) -> dict:
    """A part of the description; a reference (``#/components/…``) is followed, once."""
    if isinstance(value, dict) and str(value.get("$ref", "")).startswith("#/"):
        found: Any = description
        for step in value["$ref"][2:].split("/"):
            found = found.get(step, {}) if isinstance(found, dict) else {}
        value = found
    return value if isinstance(value, dict) else {}


def _param(params: list[dict], name: str, where: str) -> Param:
    told = next((p for p in params if p.get("name") == name and p.get("in") == where), {})
    schema = told.get("schema", told)
    required = where == "path" or bool(told.get("required"))
    return Param(name, schema if isinstance(schema, dict) else {}, required)


def login_fields(description: Mapping[str, Any], route: Route) -> tuple[dict[str, dict], str]:
    """The fields that a login asks for, each with its schema, and ``json`` or ``form``.

    Both are empty where the description does not say.
    """
    body = _resolve(description, (route.operation or {}).get("requestBody"))
    for kind, entry in _dicts(body.get("content")):
        schema = _resolve(description, entry.get("schema"))
        if properties := dict(_dicts(schema.get("properties"))):
            wanted = schema.get("required") or list(properties)
            fields = {name: s for name, s in properties.items() if name in wanted}
            return fields, "json" if "json" in kind else "form"
    return {}, ""


class Pool:
    """Values that were seen in answers, by which further routes can be asked for.

    Args:
        claims: what the token says of its owner; these values come first.
    """

    def __init__(self, claims: Mapping[str, Any]) -> None:
        self._claims = dict(claims)
        self._bodies: dict[str, Any] = {}

    def add(self, route: Route, body: Any) -> None:
        """Keep what a route answered."""
        if body is not None:
            self._bodies.setdefault(route.path, body)

    def seen(self, param: Param, parent: str) -> list[Any]:
        """Values that were seen for a parameter, those of its parent's records first.

        Args:
            param: the parameter.
            parent: the path before it, as ``/people``.
        """
        short = re.sub(r"_?id$", "", param.name, flags=re.IGNORECASE)
        keys = {param.name, short} - {""}
        found: list[Any] = []
        rows = records(self._bodies.get(parent.rstrip("/")))
        for key in (*keys, f"{short}_id", "id"):
            found += [row[key] for row in rows if key in row]
        for body in self._bodies.values():
            found += [row[key] for row in records(body)[:50] for key in keys if key in row]
            for name, values in body.items() if isinstance(body, dict) else ():
                if name.lower() in {f"{key}s" for key in keys} and isinstance(values, list):
                    found += values
        return [v for v in dict.fromkeys(map(_plain, found)) if v is not None and fits(param, v)]

    def candidates(self, param: Param, parent: str, last: bool) -> list[Any]:
        """A few values to try for a parameter, the likeliest first."""
        own = [self._claims[key] for key in (param.name,) if key in self._claims]
        if last and "sub" in self._claims:
            own += subjects(str(self._claims["sub"]))
        fallback = [1, 2] if param.kind in ("integer", "number") else ["1", "a"]
        if "date" in str(param.schema.get("format", "")) or "date" in str(
            param.schema.get("anyOf")
        ):
            fallback = ["2020-08-15T00:00:00Z"]
        listed = [*own, *self.seen(param, parent), *param.told(), *fallback]
        values = [_plain(v) for v in listed]
        return list(dict.fromkeys(v for v in values if v is not None and fits(param, v)))[
            :_MOST_VALUES
        ]

    def addresses(self, route: Route) -> list[str]:
        """The path of a route with values in it, in the order in which to try them."""
        options, last = [], len(route.places) - 1
        for n, param in enumerate(route.places):
            parent = route.path.partition("{" + param.name)[0]
            options.append(self.candidates(param, parent, n == last))
        needed = [p for p in route.query if p.required]
        query = {p.name: (self.candidates(p, "", False) or ["a"])[0] for p in needed}
        # The last parameter changes fastest: it is the one most likely to be unknown.
        tries = islice(product(*options), _MOST_TRIES)
        return [fill(route, values, query) for values in tries]


def fill(route: Route, values: tuple[Any, ...], query: Mapping[str, Any] | None = None) -> str:
    """A route's path with values in the place of its parameters."""
    rest = iter(values)
    path = _PLACE.sub(lambda _: quote(str(next(rest)), safe=""), route.path)
    return f"{path}?{urlencode(query)}" if query else path


def subjects(word: str) -> list[Any]:
    """What a token's subject may stand for: itself, and the number at its end."""
    found = re.search(r"(\d+)$", word)
    return [word, *([int(found[1])] if found else [])]


def fits(param: Param, value: Any) -> bool:
    """Whether a value is of the kind that the parameter asks for."""
    if param.kind in ("integer", "number"):
        return str(value).lstrip("-").isdigit()
    return param.kind in ("", "string") or isinstance(value, bool)


def _plain(value: Any) -> Any:
    """A value that can stand in a path, or ``None``."""
    return (
        value
        if isinstance(value, str | int) and not isinstance(value, bool) and value != ""
        else None
    )
