"""What is looked at in what an application says to its driver, whichever driver it is."""

from typing import Any

from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook


def holds_password(user: str, fix: str, retest: str) -> Finding:
    """The finding that the password stands in the application's address.

    Args:
        user: the account in that address.
        fix: what to do about it, in the driver's own words.
        retest: how to see that it is done.
    """
    return Finding(
        "client-password",
        Severity.NOTE,  # where the address is kept cannot be seen from here
        "The application's address holds its password.",
        f"client_uri → a password for {user!r}",
        "An address is written into code, settings, logs and error messages, and the password "
        "goes with it.",
        "CWE-522",
        fix,
        retest,
    )


def takes_any_host(evidence: str, fix: str, retest: str) -> Finding:
    """The finding that the application takes a certificate that is made out to another host.

    Args:
        evidence: what the application says.
        fix: what to do about it, in the driver's own words.
        retest: how to see that it is done.
    """
    return Finding(
        "client-any-host",
        Severity.FIX,
        "The application accepts a certificate that is made out to another host.",
        evidence,
        "Then every certificate of the same authority will do, also that of a machine which "
        "an intruder holds.",
        "CWE-297",
        fix,
        retest,
    )


def why_tls(look: Any) -> str:
    """Why the application would have to use TLS, as any engine's look tells; empty if it need not.

    What cannot be seen is no reason.
    """
    try:
        if look.inside.tls:
            return "the server speaks TLS"
        return "the server listens beyond this machine" if look.is_exposed else ""
    except CouldNotLook:
        return ""
