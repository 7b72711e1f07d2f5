"""One published row scored through the scoring API: how ``make run`` shows that the new champion answers."""

from __future__ import annotations

import shlex

from include import spec as specs
from include.cli.console import error, heading, line
from include.data import tables
from include.settings import Settings
from include.stack import StackError
from include.stack.processes import restart
from include.stack.scoring_api import ScoringApi, published_route
from include.stack.secrets import api_key_file
from include.state import promotions, publications
from include.state.database import connect

TABLE = "customers"


def show_prediction(settings: Settings, use_case: str) -> bool:
    """Print what the champion answers to one published row, and how to ask that; False when it does not answer.

    While no version was ever promoted there is nothing to ask, which is no fault.
    """
    heading("Scoring API")
    champion = promotions.champion(connect(settings.state_url), use_case)
    if champion is None:
        line("has nothing to answer with: no version was promoted yet")
        return True
    key = _published_id(settings, use_case)
    try:
        with ScoringApi.of(settings, use_case) as api:
            if api.is_unknown():
                restart(settings, "api", line)
            answer = api.predict_published(key, champion.version)
    except StackError as problem:
        error(f"{problem}\nIts log: make logs NAME=api")
        return False
    decision = "act on it" if answer.decision else "leave it"
    line(
        f"{key}: score {answer.score:.3f}, {decision}; by version {answer.version}, in {answer.milliseconds:.1f} ms "
        f"(prediction {answer.prediction_id})"
    )
    line("the same with its reasons, from a shell:")
    line(_curl(settings, f"{api.url}{published_route(key)}"))
    return True


def _published_id(settings: Settings, use_case: str) -> str:
    """The id of the first published row."""
    spec = specs.find(use_case, settings.use_case_folders)
    publication = publications.latest(connect(settings.state_url), use_case, "data")
    if publication is None:
        raise LookupError(f"{use_case} has a champion and no published row")
    uri = tables.table_uri(settings.lake_uri, use_case, TABLE)
    rows = tables.batches(uri, publication.versions[TABLE], columns=[spec.id], rows=1)
    return str(next(rows)[spec.id][0].as_py())


def _curl(settings: Settings, url: str) -> str:
    """A command that reads the key where it is kept, so that it does not stand on a screen or in a history."""
    key = f"Authorization: Bearer $(cat {shlex.quote(str(api_key_file(settings)))})"
    kind = "Content-Type: application/json"
    return f'curl -s -H "{key}" -H "{kind}" -d \'{{"reasons": true}}\' {shlex.quote(url)}'
