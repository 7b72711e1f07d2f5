"""The command line: ``python -m include COMMAND``; the Makefile calls it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from include.cli.console import error, errors
from include.errors import BadRequest, DataRejected, SourceAway
from include.settings import Settings, SettingsError
from include.spec import SpecError
from include.stack import StackError
from include.stack.environment import load_dotenv


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit status."""
    args = _parser().parse_args(arguments)
    load_dotenv()
    try:
        return _dispatch(args, Settings.from_environment())
    except (StackError, SettingsError, SpecError, BadRequest, DataRejected, SourceAway) as problem:
        error(str(problem))
        return 1
    except KeyboardInterrupt:
        errors.print("\nInterrupted. What was started goes on; `make down` stops it.")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="start the stack, ingest, retrain, predict, and show the outcome")
    run.add_argument("--source", help="a CSV or Parquet file, or a URI, to learn from")
    run.add_argument("--use-case", default="churn")
    source = commands.add_parser("source", help="say what a use case learns from, on a stack that is not started here")
    source.add_argument("uri", metavar="SOURCE", help="a CSV or Parquet file, or a URI, as the workers see it")
    source.add_argument("--use-case", default="churn")
    commands.add_parser("down", help="stop every process of the stack")
    status = commands.add_parser("status", help="show champion, last runs and open requests")
    status.add_argument("--json", action="store_true", help="for programs")
    logs = commands.add_parser("logs", help="show the end of the logs of the stack")
    logs.add_argument("names", nargs="*", metavar="name", help="such as scheduler or mlflow; all without one")
    logs.add_argument("-f", "--follow", action="store_true", help="go on showing what comes")
    commands.add_parser("clean", help="stop the stack and remove all of its state")
    init = commands.add_parser("init", help="draft a use case from a CSV or Parquet file")
    init.add_argument("name", metavar="NAME", help="lower-case letters, digits and _")
    init.add_argument("--from", dest="file", required=True, metavar="FILE", help="a CSV or Parquet file with a target")
    init.add_argument("--target", metavar="COLUMN", help="what to predict; guessed without it")
    init.add_argument("--id", metavar="COLUMN", help="what identifies a row; guessed without it")
    init.add_argument("--positive", metavar="VALUE", help="the target's value to find; the rarer one without it")
    init.add_argument("--into", metavar="FOLDER", help="where the use case folder goes; the first of all without it")
    check = commands.add_parser("check", help="try spec and features of a use case without Airflow")
    check.add_argument("name", metavar="NAME")
    check.add_argument(
        "--data", metavar="FILE", help="a CSV or Parquet file to try them on; the spec's source without it"
    )
    reproduce = commands.add_parser("reproduce", help="train a registered version again and compare the models")
    reproduce.add_argument("version", metavar="VERSION", help="its number in the registry")
    reproduce.add_argument("--use-case", default="churn", metavar="NAME")
    reproduce.add_argument(
        "--package-code", action="store_true", help="run the features.py of the package, if you trust the registry"
    )
    explain = commands.add_parser("explain", help="say why the champion scores one row as it does")
    explain.add_argument("name", metavar="NAME")
    explain.add_argument("--row", required=True, metavar="ROW", help="a .json file with one row, or a published id")
    explain.add_argument("--lime", action="store_true", help="ask LIME as well")
    card = commands.add_parser("card", help="show the model card of a registered version")
    card.add_argument("name", metavar="NAME")
    card.add_argument("version", metavar="VERSION", nargs="?", help="its number in the registry; the champion without")
    override = commands.add_parser("override", help="let one retrain judge without a champion that cannot be judged")
    override.add_argument("name", metavar="NAME")
    override.add_argument("--champion", required=True, metavar="VERSION", help="the version that cannot be judged")
    override.add_argument("--obstacle", required=True, metavar="CODE", help="why it cannot, as the verdict says")
    override.add_argument("--because", required=True, metavar="REASON", help="why its challenger may be judged alone")
    override.add_argument("--by", required=True, metavar="WHO", help="who answers for it")
    override.add_argument("--until", required=True, metavar="DATE", help="the last day on which it helps, in UTC")
    keys = commands.add_parser("keys", help="say who may call the scoring API").add_subparsers(
        dest="act", required=True
    )
    add = keys.add_parser("add", help="make a key and show it, once")
    add.add_argument("name", metavar="NAME", help="for whom it is")
    add.add_argument(
        "--scope", action="append", required=True, metavar="SCOPE", help="predict, feedback or admin; again for more"
    )
    keys.add_parser("list", help="show all keys, none of which can be used from here")
    keys.add_parser("revoke", help="let a key be used no more").add_argument("key", metavar="KEY", help="its id")
    notify = commands.add_parser("notify", help="send what was not sent yet of how the runs ended")
    notify.add_argument("name", metavar="NAME")
    notify.add_argument("--test", action="store_true", help="send a test through every channel instead")
    return parser


def _dispatch(args: argparse.Namespace, settings: Settings) -> int:
    """Call the command; each is imported only when it is called, since some are slow to import."""
    match args.command:
        case "run":
            from include.cli.run import run

            return run(settings, args.source, args.use_case)
        case "source":
            from include.cli.source import source

            return source(settings, args.uri, args.use_case)
        case "status":
            from include.cli.status import status

            return status(settings, as_json=args.json)
        case "down":
            from include.cli.stack import down

            return down(settings)
        case "logs":
            from include.cli.stack import logs

            return logs(settings, args.names, args.follow)
        case "init":
            from include.cli.draft import Wishes
            from include.cli.init import init

            return init(settings, args.name, args.file, Wishes(args.target, args.id, args.positive), args.into)
        case "reproduce":
            from include.cli.reproduce import reproduce

            return reproduce(settings, args.version, args.use_case, args.package_code)
        case "explain":
            from include.cli.explain import explain

            return explain(settings, args.name, args.row, local=args.lime)
        case "card":
            from include.cli.card import card

            return card(settings, args.name, args.version)
        case "override":
            from include.cli.override import override

            return override(settings, args.name, args.champion, args.obstacle, args.because, args.by, args.until)
        case "keys":
            from include.cli import keys

            match args.act:
                case "add":
                    return keys.add(settings, args.name, args.scope)
                case "revoke":
                    return keys.revoke(settings, args.key)
                case _:
                    return keys.show(settings)
        case "notify":
            from include.cli.notify import notify

            return notify(settings, args.name, test=args.test)
        case "check":
            from include.cli.check import check

            return check(settings, args.name, args.data)
        case _:
            from include.cli.stack import clean

            return clean(settings)


if __name__ == "__main__":
    sys.exit(main())
