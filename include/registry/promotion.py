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
from include.state.lock import hold, require
from include.state.promotions import Promotion
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
    """Make the version champion and return the version it replaced, which may be gone from the registry.

    The same call again changes nothing. Raises ``ChampionChanged`` when somebody else promoted in between.
    """
    with hold(engine, _lock(use_case)) as fence:
        _reconcile(engine, client, use_case)
        current = versions.alias(client, use_case)
        if current == candidacy.version:
            return candidacy.compared_with
        if current != candidacy.compared_with:
            raise ChampionChanged(
                f"version {candidacy.version} was compared with champion {candidacy.compared_with}, "
                f"but the champion is now {current}"
            )
        replaced = current or _last(engine, use_case)
        _move(engine, client, use_case, candidacy, replaced, fence)
    log.info("%s: version %s replaces %s as champion", use_case, candidacy.version, replaced)
    return replaced


def sound_champion(engine: Engine, client: MlflowClient, run: Run, cache: Path) -> str | None:
    """The champion, after open intents are closed; one that is damaged or gone gives way first.

    It gives way to the version that served last, is registered and is sound. When there is none, a damaged one stays:
    what cannot be loaded serves nobody, and whoever loads it is told why; after one whose version or alias was deleted
    there is no champion, and the next challenger is judged as a first one. Packages are loaded from ``cache`` where
    they are whole there. A dry run moves nothing.
    """
    name = run.use_case
    with hold(engine, _lock(name)) as fence:
        _reconcile(engine, client, name)
        champion, last = versions.alias(client, name), _last(engine, name)
        if run.run_mode == DRY_RUN or (champion or last) is None:
            return champion
        if champion is None:
            why = (
                f"{promotions.GONE}: version {last} is champion no more: it or its alias was deleted from the registry"
            )
        elif damage := _damage(client, name, champion, cache):
            why = f"{promotions.DAMAGED}: version {champion} gives way: {damage}"
        else:
            return champion
        earlier = _last_sound(engine, client, name, champion, cache)
        if earlier is None:
            log.error("%s: no version that served is registered and sound; %s", name, why)
            return champion
        again = Candidacy(
            version=earlier.version,
            compared_with=champion,
            run_id=run.run_id,
            as_of=earlier.as_of,
            model_sha256=earlier.model_sha256,
            fingerprint=earlier.fingerprint,
            data_version=earlier.data_version,
            metrics=earlier.metrics,
            reasons=[why],
        )
        _move(engine, client, name, again, champion or last, fence)
    log.error("%s: version %s is back as champion: %s", name, earlier.version, why)
    return earlier.version


def _lock(use_case: str) -> str:
    return f"promote {use_case}"


def _last(engine: Engine, use_case: str) -> str | None:
    """The version that was promoted last, whatever became of it."""
    promotion = promotions.champion(engine, use_case)
    return promotion.version if promotion else None


def _last_sound(
    engine: Engine, client: MlflowClient, use_case: str, champion: str | None, cache: Path
) -> Promotion | None:
    """The newest promotion of another version than the champion that is registered and sound."""
    registered = {str(version.version): version for version in versions.registered(client, use_case)}
    for earlier in promotions.history(engine, use_case):
        if earlier.version == champion or (there := registered.get(earlier.version)) is None:
            continue
        if versions.is_of(there, earlier.model_sha256) and _damage(client, use_case, earlier.version, cache) is None:
            return earlier
    return None


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
    require(engine, _lock(use_case), fence)
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
