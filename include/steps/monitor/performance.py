"""The steps that follow how good the champion really is, and how a challenger does on the same traffic."""

from __future__ import annotations

import logging
from datetime import date, timedelta
from itertools import takewhile

import numpy as np
import pandas as pd

from include.data.served import FEEDBACK, PREDICTION, ROLE, SHADOW, VERSION, Served, empty, join_labels
from include.data.window import LABEL, OBSERVED
from include.monitoring import comparison
from include.monitoring import performance as measuring
from include.monitoring.baseline import SCORE
from include.monitoring.comparison import CHALLENGER, Comparison
from include.monitoring.performance import Reference, Window
from include.state import decisions, runs
from include.steps.ledger import Record, Work, step
from include.steps.monitor import watched
from include.steps.monitor.watched import Champion

log = logging.getLogger(__name__)

OUTCOMES = {"actual": "OK", "estimated": "ESTIMATED", "none": "INSUFFICIENT"}


@step
def measure_performance(work: Work, record: Record) -> Record:
    """Follow the champion over time: actual where labels are mature, estimated where not; look for a drop."""
    champion = watched.champion(work, record["champion"])
    rules, mature = work.spec.monitoring.performance, _mature(work)
    end = date.fromisoformat(record["watched"]["end"])
    earliest = min(mature, end) - timedelta(days=rules.windows * rules.window_days)
    since = max(date.fromisoformat(champion.baseline.until), earliest)
    rows = _answered(work, record, champion, since, end)
    reference = Reference.of(champion.baseline.judged)
    windows = measuring.measure(rows, reference, work.spec, since=since, end=end, mature=mature)
    shown = [window.to_json() for window in windows]
    newest = measuring.newest_actual(windows)
    outcome = "DROP" if newest and newest.alarm else OUTCOMES[(newest or windows[0]).basis if windows else "none"]
    reasons = [str(window) for window in windows] or [f"INSUFFICIENT: the champion knows all days before {since}"]
    watched.write(work, "performance.json", shown)
    evidence = {"champion": record["champion"], "rows": record["watched"]["rows"], "windows": shown}
    decisions.record(work.engine, work.run, "performance", outcome, reasons, evidence)
    runs.record(work.engine, work.run, None, performance=shown)
    log.log(logging.WARNING if outcome == "DROP" else logging.INFO, "performance: %s: %s", outcome, reasons[0])
    return {"drop": _drop(work, newest, windows) if newest and newest.alarm else None}


@step
def compare_versions(work: Work, record: Record) -> Record:
    """Report how a challenger in the shadow, or with a share of the traffic, does beside the champion."""
    tables = watched.served(work, record)
    found = _comparison(work, record, tables) if tables else None
    if found:
        watched.write(work, "comparison.json", found.to_json())
        log.info("%s", found)
    runs.record(work.engine, work.run, None, comparison=found and found.to_json())
    return {"comparison": found and found.outcome}


def _mature(work: Work) -> date:
    """The day before which rows were observed whose labels are due."""
    return date.fromisoformat(work.run.as_of) - watched.label_delay(work)


def _answered(work: Work, record: Record, champion: Champion, since: date, end: date) -> pd.DataFrame:
    """The rows that the champion scored, with score and label (NaN where none is known); of served ones its answers."""
    rows = watched.scored(work, champion, watched.observed(work, record, since, end), since)
    if SCORE not in rows:
        return pd.DataFrame({OBSERVED: rows[OBSERVED].head(0), SCORE: np.empty(0), LABEL: np.empty(0)})
    if VERSION in rows:
        return _with_labels(work, record, rows[watched.by_champion(rows, champion.version)])
    keys = [work.spec.id, OBSERVED]
    known = watched.lake(work, record).labels(date.fromisoformat(work.run.as_of))
    return rows.merge(known[[*keys, LABEL]], on=keys, how="left")


def _with_labels(work: Work, record: Record, answers: pd.DataFrame) -> pd.DataFrame:
    """Answers with the labels of the feed and those that callers sent back."""
    tables = watched.served(work, record)
    sent_back = tables.labels(work.run.as_of) if tables else empty(FEEDBACK, work.spec)
    fed = watched.lake(work, record).labels(date.fromisoformat(work.run.as_of))
    return join_labels(answers, fed, sent_back, work.spec)


def _drop(work: Work, newest: Window, windows: tuple[Window, ...]) -> Record:
    """What the decision needs of the drop; it began with the first of the windows in which it shows without a break."""
    actual = (window for window in windows if window.basis == "actual")
    *_, first = takewhile(lambda window: window.alarm, actual)
    known_from = date.fromisoformat(newest.first) + watched.label_delay(work)
    days = {"first": newest.first, "end": newest.end, "since": first.first, "known_from": known_from.isoformat()}
    return {**days, "reason": str(newest)}


def _comparison(work: Work, record: Record, tables: Served) -> Comparison | None:
    """The champion beside the version that answered last in the shadow or as a challenger; None without any."""
    rules, mature = work.spec.monitoring.performance, _mature(work)
    days = mature - timedelta(days=rules.windows * rules.window_days), mature, work.run.as_of
    answers, shadows = tables.answers(*days), tables.shadows(*days)
    others = pd.concat([shadows, answers[answers[ROLE] == CHALLENGER]])
    others = others[others[VERSION] != record["champion"]].sort_values([OBSERVED, PREDICTION])
    if others.empty:
        return None
    last = others.iloc[-1]
    others = others[(others[VERSION] == last[VERSION]) & (others[ROLE] == last[ROLE])]
    own = answers[(answers[VERSION] == record["champion"]) & (answers[OBSERVED] >= others[OBSERVED].min())]
    versions = record["champion"], str(last[VERSION])
    if last[ROLE] == SHADOW:
        pairs = _with_labels(work, record, own).merge(
            others[[PREDICTION, SCORE]].rename(columns={SCORE: SHADOW}), on=PREDICTION
        )
        return comparison.of_shadow(pairs, versions, work.spec)
    own, others = (_with_labels(work, record, side.reset_index(drop=True)) for side in (own, others))
    return comparison.of_canary(own, others, versions, work.spec)
