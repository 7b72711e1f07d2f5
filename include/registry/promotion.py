"""Promotion: intent, alias, done, under one lock of the state database.

MLflow has no compare-and-set and the three writes are not atomic, so each promoter and each monitor first reconciles
what an earlier one left open: the alias tells whether an intent took effect.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from sqlalchemy import Engine

from include.failpoints import reach
from include.registry import versions
from include.state import promotions
from include.state.lock import hold
from include.state.runs import DRY_RUN, Run
from include.training.package import PackageRefused

log = logging.getLogger(__name__)


class ChampionChanged(Exception):
    """The champion is no longer the one that the candidate was compared with; the next run compares anew."""


@dataclass(frozen=True)
class Candidacy:
    """A registered version that passed the gate, and the champion it was judged against (None: a cold start)."""

    version: str
    compared_with: str | None
    run_id: str
    as_of: str
    model_sha256: str
    fingerprint: str
    data_version: str
    metrics: dict[str, Any]
    reasons: list[str]


def promote(engine: Engine, client: MlflowClient, use_case: str, candidacy: Candidacy) -> str | None:
    """Make the version champion and return the version it replaced.

    The same call again changes nothing. Raises ``ChampionChanged`` when somebody else promoted in between.
    """
    with hold(engine, f"promote {use_case}") as fence:
        _reconcile(engine, client, use_case)
        current = versions.alias(client, use_case)
        if current == candidacy.version:
            return candidacy.compared_with
        if current != candidacy.compared_with:
            raise ChampionChanged(
                f"version {candidacy.version} was compared with champion {candidacy.compared_with}, "
                f"but the champion is now {current}"
            )
        _move(engine, client, use_case, candidacy, current, fence)
    log.info("%s: version %s replaces %s as champion", use_case, candidacy.version, current)
    return current


def sound_champion(engine: Engine, client: MlflowClient, run: Run, cache: Path) -> str | None:
    """The champion, after open intents are closed; one whose package is damaged or gone gives way first.

    It gives way to the version that served last and is sound. When there is none it stays: what cannot be loaded serves
    nobody, and whoever loads it is told why. Packages are loaded from ``cache`` where they are whole there. A dry run
    moves nothing.
    """
    with hold(engine, f"promote {run.use_case}") as fence:
        _reconcile(engine, client, run.use_case)
        champion = versions.alias(client, run.use_case)
        if champion is None or run.run_mode == DRY_RUN:
            return champion
        damage = _damage(client, run.use_case, champion, cache)
        if damage is None:
            return champion
        for earlier in promotions.history(engine, run.use_case):
            if earlier.version != champion and not _damage(client, run.use_case, earlier.version, cache):
                again = Candidacy(
                    version=earlier.version,
                    compared_with=champion,
                    run_id=run.run_id,
                    as_of=earlier.as_of,
                    model_sha256=earlier.model_sha256,
                    fingerprint=earlier.fingerprint,
                    data_version=earlier.data_version,
                    metrics=earlier.metrics,
                    reasons=[f"CHAMPION_DAMAGED: version {champion} gives way: {damage}"],
                )
                _move(engine, client, run.use_case, again, champion, fence)
                log.error("%s: version %s is back as champion: %s", run.use_case, earlier.version, again.reasons[0])
                return earlier.version
    log.error("%s: champion %s is damaged and no earlier one is sound: %s", run.use_case, champion, damage)
    return champion


def _damage(client: MlflowClient, use_case: str, version: str, cache: Path) -> str | None:
    try:
        versions.fetch(client, use_case, version, cache)
    except PackageRefused as refusal:
        return str(refusal)
    return None


def _move(
    engine: Engine, client: MlflowClient, use_case: str, candidacy: Candidacy, current: str | None, fence: int
) -> None:
    """Intent, alias, done. The caller holds the lock and has compared."""
    intent = promotions.intend(
        engine,
        use_case=use_case,
        run_id=candidacy.run_id,
        version=candidacy.version,
        previous_version=current,
        model_sha256=candidacy.model_sha256,
        fingerprint=candidacy.fingerprint,
        data_version=candidacy.data_version,
        as_of=candidacy.as_of,
        metrics=candidacy.metrics,
        reasons=candidacy.reasons,
        fence=fence,
    )
    reach("promotion.intended")
    versions.set_alias(client, use_case, versions.CHAMPION, candidacy.version)
    reach("promotion.moved")
    promotions.finish(engine, intent)
    reach("promotion.done")


def _reconcile(engine: Engine, client: MlflowClient, use_case: str) -> None:
    """Close intents whose promoter died: ``done`` when the alias moved, else ``abandoned``."""
    for intent in promotions.open_intents(engine, use_case):
        took_effect = versions.alias(client, use_case) == intent.version
        promotions.finish(engine, intent.id, "done" if took_effect else "abandoned")
        log.warning(
            "%s: open intent for version %s is %s", use_case, intent.version, "done" if took_effect else "abandoned"
        )
