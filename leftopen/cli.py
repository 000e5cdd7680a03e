"""The command ``leftopen``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from leftopen.errors import LeftOpenError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after ``leftopen``; by default those of this process.

    Returns:
        0 when all is well, 1 when the command found something wrong, 2 for an error, which is
        told in one line, and 130 after Ctrl-C (128 + SIGINT, as shells count).
    """
    words = list(sys.argv[1:] if argv is None else argv)
    rest: list[str] = []
    if words[:1] == ["lab"] and not {"-h", "--help"} & set(words):
        words, rest = words[:1], words[1:]  # all that JupyterLab may be asked for
    parser = _parser()
    args = parser.parse_args(words)
    if args.command is None:
        parser.print_help()
        return 0
    args.rest = rest
    try:
        return args.run(args)
    except LeftOpenError as error:
        print(f"leftopen: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # as in `leftopen doctor | head -1`: nobody reads on, which is no error
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="leftopen",
        description="A course of notebooks: databases that stood open, and how to close them.",
        epilog="`leftopen COMMAND --help` says more about each.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def add(name: str, run, short: str, more: str, example: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=short,
            description=f"{short[0].upper()}{short[1:]}. {more}",
            epilog=f"example:\n  {example}",
            formatter_class=_Help,
            allow_abbrev=False,
        )
        command.set_defaults(run=run)
        return command

    add(
        "doctor",
        _doctor,
        "say what this machine has and what it lacks",
        "Each missing part comes with the exact next step. Ends with 1 only where lesson 01 "
        "cannot run.",
        "leftopen doctor",
    )
    add(
        "engines",
        _engines,
        "bring the search server, and name all servers: where each is, or how to get it",
        "OpenSearch is brought once, by Maven, where Java and Maven are; nothing else is "
        "installed. Ends with 1 if a server is missing that lesson 01 needs.",
        "leftopen engines",
    )
    add(
        "lab",
        _lab,
        "open the course in JupyterLab, on this machine alone",
        "Further options go to JupyterLab (`jupyter lab --help` lists them). An address that is "
        "not loopback is refused.",
        "leftopen lab --port=9999 --no-browser",
    )
    _add_data(add)
    _add_audit(add)
    build = add(
        "build",
        _build,
        "make the exercises from solutions/, and README's table from exercises/course.toml",
        "Runs each untouched exercise, and writes only what has changed.",
        "leftopen build 07 --solutions",
    )
    build.add_argument(
        "only", nargs="?", default="", help="the beginning of a notebook's name; all without it"
    )
    build.add_argument("--check", action="store_true", help="write nothing; end with 1 if stale")
    build.add_argument(
        "--solutions", action="store_true", help="run the solutions too, and keep their outputs"
    )
    who = add(
        "learner",
        _learner,
        "say who you are, so that the exercises ask for values of your own",
        "Any name will do; it stays on this machine. Without a name it says the present one. The "
        "variable LEFTOPEN_LEARNER goes before it.",
        "leftopen learner ada",
    )
    who.add_argument("name", nargs="?", help="1 to 80 characters")
    return parser


def _add_data(add) -> None:
    data = add(
        "data",
        _data,
        "write the invented records of a case as Parquet files",
        "The people are invented and the identifiers cannot be real. The same seed gives the "
        "same bytes. `leftopen data CASE --help` says how much may be asked for.",
        "leftopen data sensenets --people 2565724 --positions 6680348 --out data",
    )
    cases = data.add_subparsers(dest="case", metavar="CASE", title="cases", required=True)
    # The defaults are those of the committed samples; a test holds the two together.
    for name, short, wanted, seed in (
        (
            "sensenets",
            "people, and where they were seen on one day",
            {"people": 2000, "positions": 5208},
            2019,
        ),
        (
            "smart_city",
            "residents, face scans, phones, watchlist, alarms",
            {"people": 400, "days": 89},
            2019,
        ),
        (
            "tongren",
            "residents, visitors, and the doors that they passed",
            {"residents": 2000, "days": 3},
            2020,
        ),
    ):
        case = cases.add_parser(name, help=short, allow_abbrev=False)
        for what, default in wanted.items():
            case.add_argument(
                f"--{what}", type=_count, default=default, help="how many (default: %(default)s)"
            )
        case.add_argument(
            "--out", type=Path, default=Path("data"), help="the folder (default: %(default)s)"
        )
        case.add_argument(
            "--seed", type=_count, default=seed, help="a whole number (default: %(default)s)"
        )


def _add_audit(add) -> None:
    audit = add(
        "audit",
        _audit,
        "look at a database server on this machine, a service or a dump, and say what stands open",
        "It only looks, and at loopback addresses alone; of a service it also tries a few wrong "
        "logins, of an account that does not exist. A password is asked for, or read from the "
        "variable LEFTOPEN_AUDIT_PASSWORD; it is no option, because every process list shows "
        "those. Ends with 0 if nothing is to be fixed (notes may be there), with 1 if a finding "
        "of severity fix or warn is, and with 2 if a check could not look and nothing was found.",
        "leftopen audit --mongodb mongodb://127.0.0.1:27017 --user ops --ca ca.pem",
    )
    server = audit.add_mutually_exclusive_group()
    server.add_argument("--mongodb", metavar="URI", help="the address of a MongoDB server")
    server.add_argument("--opensearch", metavar="URL", help="the address of a search cluster")
    server.add_argument("--postgres", metavar="URL", help="the address of a PostgreSQL server")
    server.add_argument(
        "--dump",
        type=Path,
        metavar="FOLDER",
        help="a folder with a dump or a backup; it is read, and nothing is connected to",
    )
    audit.add_argument(
        "--backend",
        metavar="URL",
        help="the address of an HTTP service; alone, or beside its server",
    )
    audit.add_argument(
        "--token",
        type=Path,
        metavar="FILE",
        help="a file with a bearer token of that service, of somebody with few rights",
    )
    audit.add_argument(
        "--user", default="", help="an administrator's account; without it much cannot be looked at"
    )
    audit.add_argument(
        "--auth-source",
        default="admin",
        metavar="DATABASE",
        help="where that account is (default: %(default)s)",
    )
    audit.add_argument("--ca", type=Path, help="the authority that clients trust (PEM)")
    audit.add_argument(
        "--cert",
        type=Path,
        help="a client's certificate (PEM), and its key; OpenSearch: the admin certificate",
    )
    audit.add_argument(
        "--key",
        type=Path,
        help="that key, where it has a file of its own; --backend alone: what signs its tokens",
    )
    audit.add_argument(
        "--config",
        type=Path,
        help="opensearch.yml or elasticsearch.yml, which is read; --backend alone: openapi.json",
    )
    audit.add_argument(
        "--client-uri",
        default="",
        metavar="URI",
        help="the address that an application uses: read, never connected to. "
        "Write *** in the place of its password",
    )
    audit.add_argument(
        "--client-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what the application says to opensearch-py besides, as verify_certs=false; may be "
        "repeated",
    )
    audit.add_argument(
        "--administrator",
        action="append",
        default=[],
        metavar="NAME",
        help="a further account that people administer with; may be repeated",
    )
    audit.add_argument(
        "--wanted",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="an address beyond loopback at which the server is meant to listen, or a path that "
        "the service is meant to answer for everyone; may be repeated",
    )
    audit.add_argument(
        "--format",
        choices=["table", "json", "sarif"],
        default="table",
        help="table for people, sarif (2.1.0) for CI (default: %(default)s)",
    )


class _Help(argparse.RawDescriptionHelpFormatter):
    """Wraps the description, and leaves the example as it is written."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("example:"):
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def _count(word: str) -> int:
    try:
        number = int(word)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number from 0 up")
    return number


def _doctor(_: argparse.Namespace) -> int:
    from leftopen import doctor

    rows = doctor.report()
    print(doctor.text(rows))
    print(doctor.verdict(rows))
    return int(any(row.stops for row in rows))


def _engines(_: argparse.Namespace) -> int:
    from leftopen import doctor

    if problem := doctor.bring_opensearch():
        print(problem, file=sys.stderr)
    rows = doctor.engines(start=False)
    print(doctor.text(rows))
    return int(any(row.stops for row in rows))


def _lab(args: argparse.Namespace) -> int:
    from leftopen import jupyter

    jupyter.run(args.rest)
    return 0


def _data(args: argparse.Namespace) -> int:
    if args.case == "smart_city":
        from leftopen.synth import smart_city

        paths = smart_city.write(args.out, args.people, args.days, seed=args.seed)
    elif args.case == "tongren":
        from leftopen.synth import tongren

        paths = tongren.write(args.out, args.residents, args.days, seed=args.seed)
    else:
        from leftopen.synth import sensenets

        paths = sensenets.write(args.out, args.people, args.positions, seed=args.seed)
    for path in paths:
        print(path)
    return 0


def _audit(args: argparse.Namespace) -> int:
    from leftopen.audit import command

    return command.run(args)


def _learner(args: argparse.Namespace) -> int:
    from leftopen import learner, progress

    if args.name is not None:
        progress.write_learner(learner.check_name(args.name))
    print(learner.current())
    return 0


def _build(args: argparse.Namespace) -> int:
    from leftopen import build

    stale = build.build(check=args.check, only=args.only, run_solutions=args.solutions)
    for path in stale:
        print(f"{path.name} is stale: run `make build`" if args.check else f"{path.name} written")
    return int(args.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
