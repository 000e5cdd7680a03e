"""Checks of who gets in without a login: to documents, to names, by an anonymous role, by a page of
another site; and of the addresses at which the server listens."""

import contextlib
from collections.abc import Iterator

from leftopen.audit.checks import check
from leftopen.audit.opensearch.look import ELSEWHERE, Door, SearchLook, is_system
from leftopen.audit.opensearch.rights import Model, can_touch_data, model
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt, beyond

OWN_INDEX = "own_index"
"""The plugin's own role for everyone: an index of one's own name."""
_ON = (
    "# opensearch.yml (in elasticsearch.yml: xpack.security.enabled: true)\n"
    "plugins.security.disabled: false\n"
    "plugins.security.ssl.transport.pemcert_filepath: pki/server.pem\n"
    "plugins.security.ssl.transport.pemkey_filepath: pki/server-key.pem\n"
    "plugins.security.ssl.transport.pemtrustedcas_filepath: pki/ca.pem"
)
_NO_ANONYMOUS = (
    "# opensearch-security/config.yml, then securityadmin.sh -f config.yml -t config\n"
    "config:\n  dynamic:\n    http:\n      anonymous_auth_enabled: false"
)


def stranger(door: Door) -> str:
    """The line that makes a stranger's client."""
    return f"OpenSearch({door.label}{', verify_certs=False' if door.tls else ''})"


@check("security-off")
def security_off(look: SearchLook) -> Iterator[Finding]:
    """Is nobody asked for a login, because the security plugin is off or not there?"""
    evidence, retest = [], "GET /"
    off = next((door for door in _doors(look) if door.is_off), None)
    if off is not None:
        evidence.append(f"GET / without login, at {off.label} → 200")
        evidence.append("GET /_plugins/_security/health → nothing there")
        retest = f"{stranger(off)}.info()"
    if look.off is not None and (off is not None or look.target.config):
        evidence.append(look.off.told)
    if evidence:
        yield Finding(
            "security-off",
            Severity.FIX,
            "The cluster asks nobody for a login.",
            "; ".join(evidence),
            "Without its security plugin every client is an administrator: it can read, change "
            "and delete every index, and the cluster's settings.",
            "CWE-306",
            f"{_ON}\n# and an administrator of your own in opensearch-security/internal_users.yml",
            f"{retest}  # wanted: 401 Unauthorized",
        )
    look.inside  # noqa: B018 - whether anything answers at all


def _doors(look: SearchLook) -> list[Door]:
    """The doors; none where a configuration file was given, and no server answers."""
    try:
        return look.doors
    except CouldNotLook:
        if look.target.config:
            return []
        raise


@check("anonymous-read")
def anonymous_read(look: SearchLook) -> Iterator[Finding]:
    """Are documents given to anyone?"""
    for door in look.doors:
        if sample := look.readable(door):
            index, count = sample
            yield Finding(
                "anonymous-read",
                Severity.FIX,
                "Anyone can read the documents.",
                f"GET /{index}/_search without login, at {door.label} → a document, of {count:,}",
                "Who can read one document can copy them all, with a web browser. A copy cannot "
                "be called back.",
                "CWE-306",
                _NO_ANONYMOUS if door.has_plugin else _ON,
                f'{stranger(door)}.search(index="{index}")  # wanted: 401 or 403',
            )
            return
    if look.inside.is_off:
        raise NothingToLookAt("the cluster is open, and holds no document to read")


@check("anonymous-list")
def anonymous_list(look: SearchLook) -> Iterator[Finding]:
    """Are the names of indices told to anyone?"""
    for door in look.doors:
        names = [name for name in door.indices or [] if not is_system(name)]
        if names:
            more = f" and {len(names) - 6} more" if len(names) > 6 else ""
            yield Finding(
                "anonymous-list",
                Severity.FIX,
                "Anyone can list the indices.",
                f"GET /_cat/indices without login, at {door.label} → {', '.join(names[:6])}{more}",
                "The list is the first thing that a scanner asks for. It says whose data these "
                "are, how many, and since when.",
                "CWE-306",
                _NO_ANONYMOUS if door.has_plugin else _ON,
                f"{stranger(door)}.cat.indices()  # wanted: 401 or 403",
            )
            return


@check("anonymous-role")
def anonymous_role(look: SearchLook) -> Iterator[Finding]:
    """Is a client without a login let in, and what may it then do?"""
    said = look.said("anonymous-roles")
    if said and look.target.config:
        yield _anonymous(Severity.WARN, said.told, "give everyone what these roles allow", "GET /")
    door = next((d for d in look.doors if d.who is not None and not d.is_off), None)
    if look.inside.is_off:
        raise NothingToLookAt("the cluster asks nobody for a login, so no role is needed")
    if door is None:
        return
    roles = [role for role in door.who.get("roles", []) if role != OWN_INDEX]
    severity, allowed = _breadth(look, door, roles)
    name = door.who.get("user_name") or door.who.get("username") or "anonymous"
    evidence = f"GET /_plugins/_security/authinfo without login, at {door.label} → {name}, roles: "
    evidence += ", ".join(roles) or "none of its own"
    yield _anonymous(severity, evidence, allowed, f"{stranger(door)}.info()")


def _breadth(look: SearchLook, door: Door, roles: list[str]) -> tuple[Severity, str]:
    """How much the anonymous roles allow, as far as it can be seen."""
    if not roles:
        return Severity.NOTE, "let everyone in, and allow nothing but the cluster's name"
    try:
        known: Model = model(look)
    except (CouldNotLook, NothingToLookAt):
        known = None
    if known is not None:
        broad = [t for r in roles if (t := can_touch_data(known.roles.get(r), is_system))]
        if broad:
            return Severity.FIX, f"let everyone {'; '.join(broad)}"
    if sample := look.readable(door):
        return Severity.FIX, f"let everyone read {sample[0]}"
    return Severity.WARN, f"give everyone the role {', '.join(roles)}"


def _anonymous(severity: Severity, evidence: str, allowed: str, retest: str) -> Finding:
    return Finding(
        "anonymous-role",
        severity,
        f"Clients without a login are let in: the settings {allowed}.",
        evidence,
        "A role for nobody in particular is a role for everyone who finds the address. Nobody can "
        "be held to what they did with it.",
        "CWE-284",
        _NO_ANONYMOUS + "\n# and no mapping of opendistro_security_anonymous_backendrole:\n"
        "DELETE _plugins/_security/api/rolesmapping/<role>\n"
        "# in elasticsearch.yml: no xpack.security.authc.anonymous.roles",
        f"{retest}  # wanted: 401 Unauthorized",
    )


@check("cors-open")
def cors_open(look: SearchLook) -> Iterator[Finding]:
    """May the pages of any site read the cluster with a visitor's browser?"""
    evidence, credentials = "", False
    on, origin, with_login = (look.said(w) for w in ("cors", "cors-origin", "cors-credentials"))
    if on and on.is_on and origin and any(_any_origin(v) for v in origin.values):
        evidence = f"{on.told}; {origin.told.partition(' → ')[2]}"
        credentials = bool(with_login and with_login.is_on)
    doors = _doors(look)
    for door in doors:
        allowed = door.cors.get("access-control-allow-origin", "")
        if allowed in ("*", ELSEWHERE):
            evidence = f"GET / with Origin: {ELSEWHERE}, at {door.label} → allow-origin: {allowed}"
            credentials = door.cors.get("access-control-allow-credentials") == "true"
    if evidence:
        is_open = any(door.is_off or door.sample for door in doors)
        yield Finding(
            "cors-open",
            Severity.FIX if credentials or is_open else Severity.WARN,
            "The pages of any site may read the cluster through a visitor's browser"
            + (", with the visitor's login." if credentials else "."),
            evidence + ("; allow-credentials: true" if credentials else ""),
            "A page that somebody in your network opens can then ask the cluster, and send the "
            "answers away. The network's walls do not help: the browser stands inside them.",
            "CWE-942",
            "# opensearch.yml\nhttp.cors.enabled: false\n"
            '# or the one site that needs it: http.cors.allow-origin: "https://board.example"\n'
            "# http.cors.allow-credentials: false",
            f"curl -ski -H 'Origin: {ELSEWHERE}' {_place(look)}/  # wanted: no allow-origin",
        )
    look.inside  # noqa: B018 - whether anything answers at all


def _any_origin(value: str) -> bool:
    """``*``, or a regular expression between slashes that takes anything."""
    return value == "*" or (value.startswith("/") and value.strip("/") in (".*", "https?:\\/\\/.*"))


def _place(look: SearchLook) -> str:
    return "{lab.inside.uri}" if look.lab else look.target.uri


@check("bound-everywhere")
def bound_everywhere(look: SearchLook) -> Iterator[Finding]:
    """Does the server listen beyond the addresses that are wanted?"""
    what, addresses = "host", look.listens_at
    if not _unwanted(look, addresses):
        with contextlib.suppress(CouldNotLook):  # who may not ask for it sees one door
            what, addresses = "transport-host", look.transport_listens_at
    if _unwanted(look, addresses):
        doors = _doors(look)
        closed = bool(doors) and doors[-1].status in (0, 401, 403) and doors[-1].clear is None
        closed = closed and not (what == "transport-host" and look.off)
        said = look.said(what) if look.lab or look.target.config else None
        yield Finding(
            "bound-everywhere",
            Severity.WARN if closed else Severity.FIX,
            "The server listens on addresses beyond this machine.",
            said.told if said else f"it listens at {', '.join(addresses)}",
            "Each address is a door. Behind one that nobody needs, a missing login, an old version "
            "or a weak password becomes a case.",
            "CWE-668",
            *_narrower(look, what),
        )
    look.inside  # noqa: B018 - whether anything answers at all


def _unwanted(look: SearchLook, addresses: list[str]) -> list[str]:
    return [address for address in beyond(addresses) if address not in look.target.wanted]


def _narrower(look: SearchLook, what: str) -> tuple[str, str]:
    """Fix and re-test for a door that listens beyond this machine."""
    file = "# opensearch.yml, elasticsearch.yml\n"
    if what == "transport-host":
        fix = "transport.host: 127.0.0.1\n# or _local_, or the one private address of other nodes"
        port, in_lab = 9300, "lab.transport_is_exposed"
    else:
        fix = "network.host: 127.0.0.1\n# or _local_, or the one private address that applications "
        fix += "come from"
        port, in_lab = look.target.port, "lab.outside.is_open"
    if look.lab:
        return file + fix, f"{in_lab}  # wanted: False"
    return file + fix, f"ss -ltn 'sport = :{port}'  # wanted: 127.0.0.1 alone"
