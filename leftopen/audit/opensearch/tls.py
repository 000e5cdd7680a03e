"""Checks of the wire: whether it is closed, and whether the certificate is worth checking."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from leftopen import loopback
from leftopen.audit import certificates, wire
from leftopen.audit.checks import check
from leftopen.audit.opensearch.client import parse
from leftopen.audit.opensearch.look import SearchLook
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt

DEMO = {
    "a8249041967ba9f0e03e406f536d6ac3d516b37c204d6295222a80aeffa0168f": "root-ca.pem",
    "8571ce6051973cf893233258001eaf81a03c23c9b7894b0ff3323f293e1eb026": "esnode.pem",
    "c7953a3bdf5d41d9f8f27fd3d7a686ea638449835d805f12882b7da8b7c6b541": "kirk.pem",
}
"""SHA-256 of the demo certificates, and the files as which they are installed: worked out from the
class ``democonfig.Certificates`` of the security plugin 2.19.4.0, which holds them."""
DEMO_ISSUER = "Example Com Inc. Root CA"
"""The common name of their authority; its private key, like theirs, is public."""
_ADMIN = "CN=kirk"
_PING = b"ES\xff\xff\xff\xff"
"""A message of the transport protocol that says nothing, and is sent back (``TcpHeader`` in
OpenSearch's source: the marker ES, and the length -1 for a ping)."""
_OLD = {"sslv2hello", "sslv3", "tlsv1", "tlsv1.0", "tlsv1.1"}
_REQUIRE = (
    "# opensearch.yml (in elasticsearch.yml: xpack.security.http.ssl.*)\n"
    "plugins.security.ssl.http.enabled: true\n"
    "plugins.security.ssl.http.pemcert_filepath: pki/server.pem\n"
    "plugins.security.ssl.http.pemkey_filepath: pki/server-key.pem\n"
    "plugins.security.ssl.http.pemtrustedcas_filepath: pki/ca.pem"
)
_CERTIFICATE = (
    "# opensearch.yml: the files of a certificate {}\n"
    "plugins.security.ssl.http.pemcert_filepath: pki/server.pem\n"
    "plugins.security.ssl.http.pemkey_filepath: pki/server-key.pem"
)


@check("no-tls")
def no_tls(look: SearchLook) -> Iterator[Finding]:
    """Does the server speak plain HTTP alone?"""
    said = look.said("tls") if look.target.config else None
    evidence = [said.told] if said and not said.is_on else []
    with contextlib.suppress(CouldNotLook):
        if look.inside.tls is None:
            tried = f"GET / in plain HTTP at {look.inside.label} → {look.inside.clear}"
            evidence.append(f"{tried}; TLS handshake → refused")
    if evidence:
        yield Finding(
            "no-tls",
            Severity.FIX if look.is_exposed else Severity.NOTE,
            "The server speaks plain HTTP alone."
            + ("" if look.is_exposed else " It listens on this machine, so no network sees it."),
            "; ".join(evidence),
            "On a network, whoever sits on the way reads every document that passes, and the "
            "password too: HTTP Basic sends it with each request.",
            "CWE-319",
            _REQUIRE,
            f"curl -s -o /dev/null -w '%{{http_code}}' {_in_clear(look)}  # wanted: 000",
        )
    look.inside  # noqa: B018 - whether anything answers at all


def _in_clear(look: SearchLook) -> str:
    port = "{lab.inside.port}" if look.lab else look.target.port
    return f"http://{look.target.host}:{port}/"


@check("plaintext-beside-tls")
def plaintext_beside_tls(look: SearchLook) -> Iterator[Finding]:
    """Is a port answered in clear as well as inside TLS: that of clients, or that of nodes?"""
    certificates.must_speak(look.inside.tls)
    evidence = []
    if look.inside.clear is not None:
        evidence.append(f"GET / in plain HTTP at {look.inside.label} → {look.inside.clear}")
    port = int(str(look.node["transport"]["publish_address"]).rpartition(":")[2])
    if _sends_back(look.target.host, port):
        evidence.append("a transport ping in clear, at the port of nodes → sent back")
    if evidence:
        yield Finding(
            "plaintext-beside-tls",
            Severity.FIX if look.is_exposed else Severity.WARN,
            "The server speaks TLS, and still answers in clear.",
            "; ".join(evidence),
            "A node or a client that forgets TLS is served all the same, and nobody notices. Over "
            "the port of nodes every document passes, and who speaks there is asked for no login.",
            "CWE-319",
            "PUT _cluster/settings\n"
            '{"persistent": {"plugins.security_config.ssl_dual_mode_enabled": false}}\n'
            "# and no plugins.security.ssl_only in opensearch.yml; then a restart",
            'client.cluster.get_settings()["persistent"]  # wanted: no ssl_dual_mode_enabled',
        )


def _sends_back(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), loopback.connect(host, port, wire.SECONDS) as sock:
        sock.settimeout(0.5)
        sock.sendall(_PING)
        return _six(sock) == _PING
    return False


def _six(sock: socket.socket) -> bytes:
    data = b""
    while len(data) < len(_PING) and (chunk := sock.recv(len(_PING) - len(data))):
        data += chunk
    return data


@check("old-tls")
def old_tls(look: SearchLook) -> Iterator[Finding]:
    """Does the server accept TLS 1.0 or 1.1, or would its configuration?"""
    said = look.said("protocols")
    listed = [v for v in said.values if v.lower() in _OLD] if said else []
    accepted: list[str] = []
    with contextlib.suppress(CouldNotLook):
        if look.inside.tls is not None:
            accepted = certificates.old_versions(look.target)
    evidence = [f"handshake with TLS {' and '.join(accepted)} alone → accepted"] if accepted else []
    evidence += [said.told] if said and listed else []
    if evidence:
        yield Finding(
            "old-tls",
            Severity.FIX if accepted else Severity.WARN,
            f"The server accepts TLS {' and '.join(accepted)}."
            if accepted
            else f"The configuration allows {', '.join(listed)}. Only Java's own list, in its file "
            "java.security, keeps them out.",
            "; ".join(evidence),
            "Both are withdrawn since 2021 (RFC 8996): they rest on MD5 and SHA-1.",
            "CWE-327",
            '# opensearch.yml\nplugins.security.ssl.http.enabled_protocols: ["TLSv1.2", "TLSv1.3"]',
            certificates.s_client(look.target, "-tls1_1 -cipher ALL:@SECLEVEL=0")
            + "  # wanted: alert protocol version",
        )
    certificates.must_speak(look.inside.tls)


@check("certificate-untrusted")
def certificate_untrusted(look: SearchLook) -> Iterator[Finding]:
    """Does the server's certificate lead to the authority that clients trust?"""
    certificates.must_speak(look.inside.tls)
    return certificates.untrusted(
        look.target,
        _authorities(look),
        _CERTIFICATE.format("signed by your authority"),
        certificates.s_client(look.target),
    )


def _authorities(look: SearchLook) -> str | None:
    """The file of authorities that clients trust, from the first that knows one."""
    if look.target.ca:
        return look.target.ca
    if look.target.client_uri and Path(ca := parse(look.target).ca).is_file():
        return ca
    return str(look.lab.certificates.ca) if look.lab is not None else None


@check("certificate-wrong-name")
def certificate_wrong_name(look: SearchLook) -> Iterator[Finding]:
    """Is the certificate made out to the name that clients dial?"""
    dialled = ["127.0.0.1", "localhost"] if look.lab else [look.target.host]
    if look.target.client_uri:
        dialled = [parse(look.target).host]
    return certificates.wrong_name(
        certificates.shown(look.inside.tls),
        dialled,
        _CERTIFICATE.format(f"with subjectAltName {dialled[0]}"),
        f"{certificates.s_client(look.target)} -verify_hostname {dialled[0]}",
    )


@check("certificate-expiry")
def certificate_expiry(look: SearchLook) -> Iterator[Finding]:
    """Has the certificate expired, or will it soon?"""
    return certificates.running_out(
        certificates.shown(look.inside.tls),
        "Clients that check do not connect any more, and people turn the check off to go on.",
        "# a new certificate in the same files, then, without a restart, where\n"
        "# plugins.security.ssl_cert_reload_enabled is true:\n"
        "PUT _plugins/_security/api/ssl/http/reloadcerts",
        f"{certificates.s_client(look.target, '')} | openssl x509 -noout -enddate",
    )


@check("demo-certificate")
def demo_certificate(look: SearchLook) -> Iterator[Finding]:
    """Is it one of the certificates that everyone has, with their keys?"""
    evidence = []
    with contextlib.suppress(CouldNotLook, NothingToLookAt):
        if how := is_demo(certificates.shown(look.inside.tls)):
            evidence.append(f"certificate that the server shows → {how}")
    admins = look.said("admin-dn")
    evidence += [admins.told] if admins and any(_ADMIN in v for v in admins.values) else []
    evidence += [e for e in (_trusted_demo(look),) if e]
    if evidence:
        yield Finding(
            "demo-certificate",
            Severity.FIX,
            "The security plugin's demo certificates are in use.",
            "; ".join(evidence),
            "They come with the plugin, their private keys too. With the key of kirk anyone is the "
            "administrator of a cluster that trusts them, and with that of the node anyone can "
            "stand between.",
            "CWE-321",
            "# certificates of an authority of your own, then in opensearch.yml:\n"
            f"{_REQUIRE.partition(chr(10))[2]}\n"
            'plugins.security.authcz.admin_dn: ["CN=admin,O=…"]\n'
            "plugins.security.allow_unsafe_democertificates: false",
            f"{certificates.s_client(look.target, '')} | openssl x509 -noout -issuer"
            "  # wanted: your own",
        )
    certificates.must_speak(look.inside.tls)


def is_demo(certificate: x509.Certificate) -> str:
    """By what a certificate is known to be of the demo; empty where it is not."""
    digest = certificate.fingerprint(hashes.SHA256()).hex()
    if digest in DEMO:
        return f"SHA-256 {digest[:16]}…, that of {DEMO[digest]}"
    issuers = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    if any(name.value == DEMO_ISSUER for name in issuers):
        return f"issuer {DEMO_ISSUER}"
    return ""


def _trusted_demo(look: SearchLook) -> str:
    """The file of authorities that the server trusts, where the demo's is in it."""
    said = look.said("authorities")
    with contextlib.suppress(CouldNotLook, OSError, ValueError):
        for name in said.values if said else ():
            pem = (look.folder / name).read_bytes()
            if any(is_demo(one) for one in x509.load_pem_x509_certificates(pem)):
                return f"{said.told}, and that file holds {DEMO_ISSUER}"
    return ""
