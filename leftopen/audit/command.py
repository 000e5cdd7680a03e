"""The command ``leftopen audit``: the password, the audit, and the form in which it is told."""

import argparse
import getpass
import json
import os
import sys
from pathlib import Path

from leftopen.audit import run as audit
from leftopen.audit import sarif
from leftopen.audit.report import Report
from leftopen.audit.run import refuse_elsewhere
from leftopen.errors import LeftOpenError

VARIABLE = "LEFTOPEN_AUDIT_PASSWORD"


def run(args: argparse.Namespace) -> int:
    """Audit, print the report in the form that was asked for, and return the exit code.

    Raises:
        NotLoopback: the server is not on this machine.
        LeftOpenError: an argument cannot be used, or there is nobody to ask for the password.
    """
    server = args.mongodb or args.opensearch or args.postgres
    options = _options(args.client_option)
    # A login is for a server: without one, or with a dump, the audit refuses it, and nobody types.
    is_asked = bool(args.user and server and not args.dump)
    if is_asked:
        refuse_elsewhere(server)
    report = audit(
        server,
        backend=args.backend,
        dump=args.dump,
        token=_token(args.token) if args.token else "",
        user=args.user,
        password=_password(args.user) if is_asked else "",
        auth_source=args.auth_source,
        client_uri=args.client_uri,
        client_options=options,
        ca=args.ca,
        cert=args.cert,
        key=args.key,
        config=args.config,
        administrators=args.administrator,
        wanted=args.wanted,
    )
    print(_told(report, args.format))
    return report.exit_code


def _token(path: Path) -> str:
    """The token in a file. It is no option itself, because every process list shows those."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LeftOpenError(
            f"--token names {path}, which cannot be read: {error}. Give a file that holds it."
        ) from None


def _options(words: list[str]) -> dict[str, object]:
    """The driver's options, each given as ``name=value``.

    Raises:
        LeftOpenError: one is not of that form.
    """
    pairs = [word.partition("=") for word in words]
    if bad := [name for name, sign, _ in pairs if not (name and sign)]:
        raise LeftOpenError(
            f"{bad[0]!r} is no option of a driver. Write name=value, as verify_certs=false."
        )
    return {name: value for name, _, value in pairs}


def _told(report: Report, form: str) -> str:
    if form == "json":
        return json.dumps(report.as_dict(), indent=2, ensure_ascii=False)
    if form == "sarif":
        return json.dumps(sarif.to_sarif(report), indent=2, ensure_ascii=False)
    return repr(report)


def _password(user: str) -> str:
    if word := os.environ.get(VARIABLE):
        return word
    if not sys.stdin.isatty():
        raise LeftOpenError(
            f"There is no terminal to ask for the password of {user}. "
            f"Put it into the variable {VARIABLE}."
        )
    return getpass.getpass(f"Password of {user}: ")
