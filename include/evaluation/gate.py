"""The gate: may the challenger become champion? It fails closed: what cannot be judged is never promoted."""

from __future__ import annotations

import math
from collections.abc import Iterator
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


def judge(evidence: Evidence, gate: Gate, *, no_gain_needed: str = "", not_evaluated: Reason | None = None) -> Verdict:
    """Judge the challenger against floors, a model that knows only the base rate, and the champion.

    Without a champion its rules do not apply and the verdict says ``COLD_START``; a champion that exists but could not
    be scored is told by ``not_evaluated``, as is any other reason of the caller's. ``no_gain_needed`` says why the
    spec asks for no gain this time (``gate.freshness``). Every check is made before the verdict is formed.
    """
    cold_start = evidence.champion is None
    checks: tuple[Check, ...] = ()
    if evidence.challenger is not None:
        checks = tuple(_checks(evidence.challenger, evidence, gate, no_gain_needed))
    obstacles = tuple(_obstacles(evidence, gate, checks, not_evaluated))
    failed = tuple(Reason(check.code, check.message) for check in checks if not check.passed)
    if obstacles:
        return Verdict(Outcome.NOT_EVALUATED, checks, obstacles, cold_start)
    if failed:
        return Verdict(Outcome.FAIL, checks, failed + _note(cold_start), cold_start)
    against = "the floors and the dummy model" if cold_start else "the floors, the dummy model and the champion"
    passed = Reason("ALL_CHECKS_PASSED", f"the challenger holds against {against}")
    gains = tuple(Reason("BETTER", c.message) for c in checks if c.gain and c.code == "OK" and c.name.endswith("_gain"))
    waived = (Reason("NO_GAIN_NEEDED", no_gain_needed),) if any(c.result is Result.WAIVED for c in checks) else ()
    return Verdict(Outcome.PASS, checks, (passed, *gains, *waived, *_note(cold_start)), cold_start)


def rule_metrics(gate: Gate) -> list[str]:
    """The metrics of the gate's rules, each once."""
    return sorted({rule.metric for rule in gate.rules})


def _note(cold_start: bool) -> tuple[Reason, ...]:
    return (Reason("COLD_START", "there is no champion to compare with"),) if cold_start else ()


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


def _obstacles(evidence: Evidence, gate: Gate, checks: tuple[Check, ...], given: Reason | None) -> Iterator[Reason]:
    challenger = evidence.challenger
    if given is not None:
        yield given
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
