"""The source of a use case as ``make run`` sees it: chosen, checked against its columns, and how far it reaches."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from include import spec as specs
from include.cli.console import say
from include.data import contract
from include.data import sources as data_sources
from include.data.calendar import today
from include.data.fetch import store_of
from include.settings import Settings
from include.spec import URI_ADVICE, UseCase, holds_password
from include.stack import StackError
from include.state import publications, sources
from include.state.database import connect


def register_source(settings: Settings, source: str, use_case: str = "churn") -> None:
    """Read from ``source`` from now on.

    Raises ``StackError`` when it does not exist or must not be mixed in, ``DataRejected`` when it does not fit.
    """
    uri = _absolute(source)
    spec = specs.find(use_case, settings.use_case_folders)
    engine = connect(settings.state_url)
    if holds_password(uri):
        raise StackError(f"SOURCE {URI_ADVICE}.")
    match data_sources.kind_of(uri):
        case "sql":
            data_sources.newest_day(uri, spec)
        case "simulator":
            data_sources.parse_simulator(uri)
        case "daily":
            store_of(uri)
        case "replay":
            _refuse_file(uri, spec, sources.get(engine, use_case))
    try:
        sources.choose(engine, use_case, uri)
    except sources.SourceMixed as refusal:
        raise StackError(str(refusal)) from refusal


def _refuse_file(uri: str, spec: UseCase, chosen: sources.SourceRow | None) -> None:
    """Refuse a file that is not there, does not fit, or is another one than when it was replayed."""
    if "://" not in uri:
        if not Path(uri).is_file():
            raise StackError(f"SOURCE: there is no file {uri}.")
        contract.read(Path(uri), spec)
    data_sources.refuse_changed(uri, chosen.sha256 if chosen and chosen.uri == uri else None)


def source(settings: Settings, uri: str, use_case: str) -> int:
    """Say what a use case reads from now on, where no ``make run`` does: beside a stack of containers."""
    register_source(settings, uri, use_case)
    say(f"{use_case} reads from {_absolute(uri)}.")
    return 0


def newest_as_of(settings: Settings, use_case: str) -> date:
    """The day after the newest day that the source can give; never before what is already published."""
    spec = specs.find(use_case, settings.use_case_folders)
    engine = connect(settings.state_url)
    uri = sources.uri_of(engine, spec)
    published = publications.latest(engine, use_case, "data")
    known = date.fromisoformat(published.as_of) if published else date.min
    match data_sources.kind_of(uri):
        case "replay" if published:
            return known
        case "simulator":
            return max(today(), known)
        case kind:
            newest = data_sources.newest_day(uri, spec)
            end = newest + timedelta(days=1) if newest else today()
            # A file of a day is whole; what has the times of its rows in it must not be read before they have come.
            return max(known, end if kind == "daily" else min(end, today()))


def _absolute(source: str) -> str:
    return source if ":" in source.split("/")[0] else str(Path(source).expanduser().resolve())
