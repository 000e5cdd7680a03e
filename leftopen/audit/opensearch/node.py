"""Checks of the node itself: who is its administrator by certificate, and how old it is."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from leftopen.audit.checks import check
from leftopen.audit.holes import Hole, holes
from leftopen.audit.opensearch.look import SearchLook
from leftopen.audit.opensearch.rights import model
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt

_FIX = (
    "# opensearch.yml: the one certificate of the one person who needs it, name for name\n"
    'plugins.security.authcz.admin_dn: ["CN=admin,O=…"]\n'
    'plugins.security.nodes_dn: ["CN=node-1,O=…"]'
)
_RETEST = "grep -n -A1 -E 'admin_dn|nodes_dn' opensearch.yml"


@check("admin-dn")
def admin_dn(look: SearchLook) -> Iterator[Finding]:
    """Is the administrator's certificate one of its own, and the nodes' certificates named?"""
    admins, nodes = look.said("admin-dn"), look.said("nodes-dn")
    for name in admins.values if admins else ():
        if told := _is_the_nodes(look, name):
            yield Finding(
                "admin-dn",
                Severity.FIX if "may" in told else Severity.WARN,
                "The node's own certificate is an administrator's.",
                f"{admins.told}; {told}",
                "Who comes past every rule should be one person with one file. The node's key lies "
                "on the server, for every program that runs as the same account.",
                "CWE-269",
                _FIX,
                _RETEST,
            )
        elif "*" in name:
            yield Finding(
                "admin-dn",
                Severity.WARN,
                "An administrator's name holds a wildcard.",
                admins.told,
                "The plugin compares this name letter by letter, so the line names nobody that was "
                "meant. Where something else comes to read it as a pattern, it names everyone "
                "whom the authority has given a certificate.",
                "CWE-295",
                _FIX,
                _RETEST,
            )
    if nodes and any(value.strip("/") in ("*", ".*", "CN=*") for value in nodes.values):
        yield Finding(
            "admin-dn",
            Severity.WARN,
            "Every certificate of the authority is taken for a node's.",
            nodes.told,
            "A node is asked for no login. With this pattern a client's certificate opens the port "
            "of nodes too.",
            "CWE-295",
            _FIX,
            _RETEST,
        )
    if look.inside.is_off:
        raise NothingToLookAt("the security plugin is off, so no certificate is an administrator's")
    look.file  # noqa: B018 - the node shows these settings to nobody


def _is_the_nodes(look: SearchLook, name: str) -> str:
    """What makes this name that of the certificate which the server shows; empty if it is not."""
    try:
        handshake = look.inside.tls
    except CouldNotLook:
        return ""
    if handshake is None:
        return ""
    certificate = x509.load_der_x509_certificate(handshake.certificate)
    if _parts(certificate.subject.rfc4514_string()) != _parts(name):
        return ""
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        may = ExtendedKeyUsageOID.CLIENT_AUTH in uses
    except x509.ExtensionNotFound:
        may = True
    if may:
        return "the server shows this certificate, and it may be used by a client"
    return "the server shows this certificate; its extended key usage keeps it from clients so far"


def _parts(name: str) -> list[str]:
    """The parts of a distinguished name, in an order that does not matter."""
    return sorted(part.strip().lower() for part in name.replace("\\,", "\0").split(","))


@check("known-hole")
def known_hole(look: SearchLook) -> Iterator[Finding]:
    """Is the version one with a known hole, and does that hole bite here?"""
    product, version = look.program
    for hole in (h for h in holes(product) if h.is_in(version)):
        bites, seen = _bites(look, hole)
        yield Finding(
            "known-hole",
            Severity(hole.severity) if bites and look.lab is None else Severity.NOTE,
            f"{product} {version} has {hole.cve}: {hole.summary}.",
            f"GET / → {version}; {seen}",
            "An open cluster tells its version to anyone; a locked one to everyone with a login. "
            "So it must be one without known holes.",
            hole.cwe,
            f"# install {hole.newer}",
            f'OpenSearch({look.inside.label}).info()["version"]["number"]',
        )


def _bites(look: SearchLook, hole: Hole) -> tuple[bool, str]:
    """Whether what the hole needs is so here. What could not be seen counts as so."""
    if hole.bites != "fls":
        return True, "nothing else is needed"
    try:
        rights = [r for role in model(look).roles.values() for r in role.indices]
    except CouldNotLook as why:
        return True, f"whether it bites could not be seen: {why}"
    except NothingToLookAt as why:
        return False, str(why)
    used = any(right.fls or right.masked or right.dls for right in rights)
    return used, f"roles {'use' if used else 'do not use'} field or document level security"
