"""The gate: may the challenger become champion? It fails closed: what cannot be judged is never promoted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from include.evaluation.checks import (
    against_champion,
    beats_dummy,
    independent_of_order,
    leakage,
    reaches_floor,
    usable,
)
from include.evaluation.metrics import Metrics
from include.evaluation.resampling import Gain, Resamples
from include.evaluation.sanity import Sanity
from include.evaluation.verdict import Check, Outcome, Reason, Result, Verdict
from include.spec import Gate


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the verdict rests on: figures of all models on the same hold-out rows; None for what there is not."""

    challenger: Metrics | None
    champion: Metrics | None
    dummy: Metrics
    resamples: Resamples | None = None
    """Of the rules' metrics, for the challenger and, if there is one, the champion."""
    sanity: Sanity | None = None
    obstacle: Reason | None = None
    """Why there are no figures of the champion although there is one."""


def judge(
    evidence: Evidence,
    gate: Gate,
    *,
    no_gain_needed: str = "",
    override: Reason | None = None,
    not_evaluated: Sequence[Reason] = (),
) -> Verdict:
    """Judge the challenger against floors, a model that knows only the base rate, and the champion.

    Without a champion its rules do not apply and the verdict says ``COLD_START``. With one that cannot be judged
    nothing is, unless ``override`` says who lets the challenger be judged without it. ``no_gain_needed`` says why the
    spec asks for no gain this time (``gate.freshness``), ``not_evaluated`` whatever else forbids a verdict. Every check
    is made before the verdict is formed.
    """
    cold_start = evidence.champion is None and evidence.obstacle is None
    notes = _notes(evidence, override)
    checks: tuple[Check, ...] = ()
    if evidence.challenger is not None:
        checks = tuple(_checks(evidence.challenger, evidence, gate, no_gain_needed))
    unjudged = (evidence.obstacle,) if evidence.obstacle and not override else ()
    obstacles = (*unjudged, *not_evaluated, *_obstacles(evidence, gate, checks))
    failed = tuple(Reason(check.code, check.message) for check in checks if not check.passed)
    if obstacles:
        return Verdict(Outcome.NOT_EVALUATED, checks, obstacles, cold_start)
    if failed:
        return Verdict(Outcome.FAIL, checks, failed + notes, cold_start)
    against = "floors and dummy model" if evidence.champion is None else "floors, dummy model and champion"
    passed = Reason("ALL_CHECKS_PASSED", f"the challenger holds against {against}")
    gains = tuple(Reason("BETTER", c.message) for c in checks if c.gain and c.code == "OK" and c.name.endswith("_gain"))
    waived = (Reason("NO_GAIN_NEEDED", no_gain_needed),) if any(c.result is Result.WAIVED for c in checks) else ()
    return Verdict(Outcome.PASS, checks, (passed, *gains, *waived, *notes), cold_start)


def rule_metrics(gate: Gate) -> list[str]:
    """The metrics of the gate's rules, each once."""
    return sorted({rule.metric for rule in gate.rules})


def _notes(evidence: Evidence, override: Reason | None) -> tuple[Reason, ...]:
    """What a reader has to know of a verdict that was formed without the champion."""
    if evidence.champion is not None:
        return ()
    if evidence.obstacle is None:
        return (Reason("COLD_START", "there is no champion to compare with"),)
    return (override,) if override else ()


def _checks(challenger: Metrics, evidence: Evidence, gate: Gate, no_gain_needed: str) -> Iterator[Check]:
    yield beats_dummy(challenger, evidence.dummy, gate)
    for rule in gate.rules:
        if rule.floor is not None:
            yield reaches_floor(rule, rule.floor, challenger, evidence.resamples)
        if evidence.champion is not None and evidence.resamples is not None:
            yield from against_champion(rule, challenger, evidence.champion, evidence.resamples, gate, no_gain_needed)
    if evidence.sanity is not None:
        yield from leakage(challenger, evidence.sanity, gate)
        yield independent_of_order(evidence.sanity, challenger.n)
        yield from usable(evidence.sanity.load_and_predict, gate.budget)


def _obstacles(evidence: Evidence, gate: Gate, checks: tuple[Check, ...]) -> Iterator[Reason]:
    challenger = evidence.challenger
    if not gate.rules:
        yield Reason("NO_RULES", "the gate has no rules; add at least one to gate.rules")
    if challenger is None:
        yield Reason("NO_CHALLENGER_METRICS", "the challenger was not evaluated")
        return
    if challenger.n < gate.minimum_rows:
        yield Reason("TOO_FEW_ROWS", f"{challenger.n} rows, gate.minimum_rows is {gate.minimum_rows}")
    smaller = min(challenger.positives, challenger.n - challenger.positives)
    if smaller < gate.minimum_class_rows:
        yield Reason("TOO_FEW_CLASS_ROWS", f"{smaller} rows, gate.minimum_class_rows is {gate.minimum_class_rows}")
    for name, other in (("champion", evidence.champion), ("dummy", evidence.dummy)):
        if other is not None and (other.n, other.positives) != (challenger.n, challenger.positives):
            yield Reason("NOT_THE_SAME_ROWS", f"the {name} was evaluated on {other.n} rows, not {challenger.n}")
    if evidence.sanity is None:
        yield Reason("NO_SANITY", "the challenger was not looked at for leaks, nor loaded in a fresh process")
    if evidence.champion is not None and evidence.resamples is None:
        yield Reason("NO_RESAMPLES", "the challenger was not compared with the champion row by row")
    for check in checks:
        if not all(math.isfinite(number) for number in (check.value, check.limit, *_numbers(check.gain))):
            yield Reason("METRIC_MISSING", f"{check.name}: value {check.value}, limit {check.limit}")


def _numbers(gain: Gain | None) -> tuple[float, ...]:
    return (gain.value, gain.bound) if gain else ()
