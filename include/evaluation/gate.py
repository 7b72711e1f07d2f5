"""The gate: may the challenger become champion? It fails closed: what cannot be judged is never promoted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from include.evaluation.checks import (
    beats_dummy,
    compiled_as_learned,
    independent_of_order,
    is_better,
    is_fair,
    is_no_worse,
    leakage,
    on_slices,
    reaches_floor,
    usable,
)
from include.evaluation.fairness import SMALLEST_P, Disparity, Fairness
from include.evaluation.metrics import Metrics
from include.evaluation.mitigation import Mitigation
from include.evaluation.resampling import Figure, Gain, Resamples
from include.evaluation.sanity import Sanity
from include.evaluation.slices import Slice
from include.evaluation.verdict import Check, Outcome, Reason, Result, Verdict
from include.spec import FairnessLimit, Gate, Rule


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
    slices: tuple[Slice, ...] = ()
    fairness: tuple[Fairness, ...] = ()
    mitigation: Mitigation | None = None
    """What the challenger's thresholds by group do on these rows, where it has some."""


def judge(
    evidence: Evidence,
    gate: Gate,
    *,
    no_gain_needed: str = "",
    override: Reason | None = None,
    not_evaluated: Sequence[Reason] = (),
) -> Verdict:
    """Judge the challenger against floors, a model that knows only the base rate, the champion, and between groups.

    Without a champion its rules do not apply and the verdict says ``COLD_START``. With one that cannot be judged
    nothing is, unless ``override`` says who lets the challenger be judged without it. ``no_gain_needed`` says why the
    spec asks for no gain this time (``gate.freshness``), ``not_evaluated`` whatever else forbids a verdict. Every check
    is made before the verdict is formed.
    """
    cold_start = evidence.champion is None and evidence.obstacle is None
    checks: tuple[Check, ...] = ()
    if evidence.challenger is not None:
        checks = tuple(_checks(evidence.challenger, evidence, gate, no_gain_needed))
    unjudged = (evidence.obstacle,) if evidence.obstacle and not override else ()
    outcome, reasons = Outcome.NOT_EVALUATED, (*unjudged, *not_evaluated, *_obstacles(evidence, gate, checks))
    if not reasons:
        failed = [Reason(check.code, check.message) for check in checks if check.failed]
        outcome = Outcome.FAIL if failed else Outcome.PASS
        reasons = (*(failed or _merits(evidence, checks, no_gain_needed)), *_notes(evidence, override))
    return Verdict(outcome, checks, reasons, cold_start, evidence.slices, evidence.fairness, evidence.mitigation)


def rule_metrics(gate: Gate) -> list[str]:
    """The metrics of the gate's rules, each once."""
    return sorted({rule.metric for rule in gate.rules})


def _merits(evidence: Evidence, checks: tuple[Check, ...], no_gain_needed: str) -> Iterator[Reason]:
    """Why the challenger passes, and what it passes by a hair."""
    against = "floors and dummy model" if evidence.champion is None else "floors, dummy model and champion"
    yield Reason("ALL_CHECKS_PASSED", f"the challenger holds against {against}")
    for check in checks:
        if check.gain and check.code == "OK" and check.name.endswith("_gain"):
            yield Reason("BETTER", check.message)
    if any(check.result is Result.WAIVED and check.gain for check in checks):
        yield Reason("NO_GAIN_NEEDED", no_gain_needed)
    noted = ("WITHIN_CHANCE", "SCORED_BY_SCIKIT_LEARN")
    yield from (Reason(check.code, check.message) for check in checks if check.code in noted)


def _notes(evidence: Evidence, override: Reason | None) -> Iterator[Reason]:
    """What a reader has to know of a verdict that was formed without the champion, or without some of the rows."""
    if evidence.champion is None and evidence.obstacle is None:
        yield Reason("COLD_START", "there is no champion to compare with")
    elif evidence.champion is None and override:
        yield override
    if evidence.mitigation is not None:
        yield Reason("MITIGATED", _told(evidence.mitigation))
    if small := _too_small(evidence):
        yield Reason("INSUFFICIENT", small)


def _told(found: Mitigation) -> str:
    own = found.thresholds
    each = "; ".join(f"{name} from {threshold:.3f} on" for name, threshold in own.groups.items())
    change = f"{own.constraint} by {' and '.join(own.by)} is {found.after:.4f} instead of {found.before:.4f}"
    return (
        f"a threshold for each group ({each}): {change}, a row is worth {found.profit_after - found.profit_before:+.3f}"
    )


def _too_small(evidence: Evidence) -> str:
    """The parts of the rows that are too small for a figure of theirs, with their sizes; empty where none is."""
    sizes = {part.name: part.n for part in evidence.slices if part.insufficient}
    for found in evidence.fairness:
        few = {name for disparity in found.disparities for name in disparity.insufficient}
        sizes |= {group.name: group.n for group in found.groups if group.name in few}
    return f"too few rows: {'; '.join(f'{name} ({n})' for name, n in sizes.items())}" if sizes else ""


def _checks(challenger: Metrics, evidence: Evidence, gate: Gate, no_gain_needed: str) -> Iterator[Check]:
    yield beats_dummy(challenger, evidence.dummy, gate)
    for rule in gate.rules:
        found = _figure(rule, challenger, evidence, gate)
        if rule.floor is not None:
            yield reaches_floor(rule, rule.floor, found)
        if rule.asks_for_a_gain and found.gain is not None:
            yield is_better(rule, found, found.gain, gate, no_gain_needed)
        if rule.max_regression is not None and found.gain is not None:
            yield is_no_worse(rule, rule.max_regression, found, found.gain)
        yield from on_slices(rule, evidence.slices)
    yield from _fairness(evidence, gate)
    if evidence.sanity is not None:
        yield from leakage(challenger, evidence.sanity, gate)
        yield independent_of_order(evidence.sanity, challenger.n)
        yield from usable(evidence.sanity.load_and_predict, gate.budget)
        if evidence.sanity.compiled is not None:
            yield compiled_as_learned(evidence.sanity.compiled)


def _fairness(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Every limit of fairness; all together they refuse a model whose groups do not differ once in so many times."""
    level = _fairness_level(evidence, gate)
    yield from (is_fair(one, limit, level) for one, limit in _limited(evidence, gate))


def _limited(evidence: Evidence, gate: Gate) -> list[tuple[Disparity, FairnessLimit]]:
    disparities = [disparity for found in evidence.fairness for disparity in found.disparities]
    return [(one, limit) for one in disparities if (limit := gate.fairness.limit(one.metric, one.by))]


def _fairness_level(evidence: Evidence, gate: Gate) -> float:
    """The p-value from which on down a value over its limit is no chance, whichever of all limits it is over."""
    judged = sum(one.n > 0 for one, _ in _limited(evidence, gate))
    return 1 - float(gate.fairness.confidence) ** (1 / max(judged, 1))  # Z. Sidak, JASA 62 (1967), 626-633


def _figure(rule: Rule, challenger: Metrics, evidence: Evidence, gate: Gate) -> Figure:
    """The rule's metric on all rows."""
    values = {"challenger": getattr(challenger, rule.metric)}
    if evidence.champion is not None:
        values["champion"] = getattr(evidence.champion, rule.metric)
    if evidence.resamples is None:
        return Figure(rule.metric, values["challenger"], challenger.n)
    return evidence.resamples.figure(rule.metric, values, challenger.n, gate.confidence)


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
    yield from _unmeasured(evidence, gate)
    for check in checks:
        numbers = (check.value, check.limit, *_numbers(check.gain))
        if check.result is not Result.INSUFFICIENT and not all(map(math.isfinite, numbers)):
            yield Reason("METRIC_MISSING", f"{check.name}: value {check.value}, limit {check.limit}")


def _unmeasured(evidence: Evidence, gate: Gate) -> Iterator[Reason]:
    """What is asked of parts of the rows and was not measured, or has too few rows where the spec waits for them."""
    for rule in gate.rules:
        for asked in rule.slices:
            parts = [part for part in evidence.slices if asked.names(part.values)]
            figures = [figure for part in parts for figure in part.figures]
            alone = evidence.champion is not None and any(figure.gain is None for figure in figures)
            if not parts or alone:
                which = asked.where or " and ".join(asked.by or ())
                how = "compared with the champion" if alone else "measured"
                yield Reason("SLICES_MISSING", f"{rule.metric}: the slices of {which} were not {how}")
    compared = [disparity for found in evidence.fairness for disparity in found.disparities]
    for limit in gate.fairness.limits:
        if not any(limit.names(one.metric, one.by) for one in compared):
            yield Reason("FAIRNESS_MISSING", f"{limit.metric}: the groups were not compared")
    if (level := _fairness_level(evidence, gate)) < SMALLEST_P and _limited(evidence, gate):
        needed = f"at gate.fairness.confidence {gate.fairness.confidence:g} a difference must have p <= {level:.2g}"
        yield Reason("CONFIDENCE_TOO_HIGH", f"{needed}, and {SMALLEST_P:.2g} is the least that can be told; lower it")
    if gate.slices.on_insufficient == "block" and (small := _too_small(evidence)):
        yield Reason("INSUFFICIENT", f"{small}; gate.slices.on_insufficient is block")


def _numbers(gain: Gain | None) -> tuple[float, ...]:
    return (gain.value, gain.bound) if gain else ()
