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
        "name the database servers: where each is, or the command that brings it",
        "Installs nothing by itself. Ends with 1 if a server is missing that lesson 01 needs.",
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
    build = add(
        "build",
        _build,
        "make the table of lessons in README.md again, from exercises/course.toml",
        "Writes only what has changed.",
        "leftopen build --check",
    )
    build.add_argument("--check", action="store_true", help="write nothing; end with 1 if stale")
    return parser


def _add_data(add) -> None:
    data = add(
        "data",
        _data,
        "write the invented records of a case as Parquet files",
        "The people are invented and the identifiers cannot be real. The same seed gives the "
        "same bytes.",
        "leftopen data sensenets --people 2565724 --positions 6680348 --out data",
    )
    # The defaults are those of the committed sample; a test holds the two together.
    data.add_argument("case", choices=["sensenets"], help="the case")
    data.add_argument("--people", type=_count, default=2000, help="how many (default: %(default)s)")
    data.add_argument(
        "--positions", type=_count, default=5208, help="how many in all (default: %(default)s)"
    )
    data.add_argument(
        "--out", type=Path, default=Path("data"), help="the folder (default: %(default)s)"
    )
    data.add_argument(
        "--seed", type=_count, default=2019, help="a whole number (default: %(default)s)"
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

    rows = doctor.engines(start=False)
    print(doctor.text(rows))
    return int(any(row.stops for row in rows))


def _lab(args: argparse.Namespace) -> int:
    from leftopen import jupyter

    jupyter.run(args.rest)
    return 0


def _data(args: argparse.Namespace) -> int:
    from leftopen.synth import sensenets

    paths = sensenets.write(args.out, args.people, args.positions, seed=args.seed)
    for path in paths:
        print(path)
    return 0


def _build(args: argparse.Namespace) -> int:
    from leftopen import build

    stale = build.build(check=args.check)
    for path in stale:
        print(f"{path.name} is stale: run `make build`" if args.check else f"{path.name} written")
    return int(args.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
