"""The gate: may the challenger become champion? It fails closed: what cannot be judged is never promoted."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from include.evaluation.metrics import Metrics
from include.evaluation.resampling import Gain, Interval, Resamples
from include.spec import Gate, Rule

# Limits such as 0.8 - 0.01 are not exact in binary: a value on the limit must pass.
_ROUNDING = 1e-12


class Outcome(StrEnum):
    PASS = "PASS"  # noqa: S105 - a verdict
    FAIL = "FAIL"
    NOT_EVALUATED = "NOT_EVALUATED"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the verdict is what it is: a stable code and a sentence for a person."""

    code: str
    message: str


class Result(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    WAIVED = "waived"


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison of the challenger's ``value`` on ``n`` rows with ``limit``, which may rest on a ``baseline``.

    For a check against the champion, ``gain`` is what is held against ``limit``.
    """

    name: str
    metric: str
    value: float
    interval: Interval | None
    limit: float
    baseline: float | None
    gain: Gain | None
    greater_is_better: bool
    n: int
    result: Result
    code: str
    message: str

    @property
    def passed(self) -> bool:
        """True unless the check failed."""
        return self.result is not Result.FAILED


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the verdict rests on: figures of all models on the same hold-out rows; None for what there is not."""

    challenger: Metrics | None
    champion: Metrics | None
    dummy: Metrics
    resamples: Resamples | None = None
    """Of the rules' metrics, for the challenger and, if there is one, the champion."""
    column_roc_auc: Mapping[str, float] = field(default_factory=dict)
    """What each feature reaches alone on these rows."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer with everything it rests on."""

    outcome: Outcome
    checks: tuple[Check, ...]
    reasons: tuple[Reason, ...]
    cold_start: bool

    @property
    def promotes(self) -> bool:
        """True for PASS only."""
        return self.outcome is Outcome.PASS

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        passed = sum(check.passed for check in self.checks)
        why = "; ".join(f"{reason.code}: {reason.message}" for reason in self.reasons)
        return f"{self.outcome}, {passed} of {len(self.checks)} checks passed. {why}"

    @property
    def markdown(self) -> str:
        """The verdict with its reasons and checks for a page that shows Markdown."""
        marks = {Result.FAILED: "**failed**"}
        checks = [f"- {marks.get(check.result, check.result)}: {check.message}" for check in self.checks]
        reasons = [f"- {reason.code}: {reason.message}" for reason in self.reasons]
        return "\n".join([f"Gate: **{self.outcome}**", "", *reasons, "", "Checks on the hold-out:", "", *checks])

    def to_json(self) -> str:
        """Everything as JSON; numbers that are not finite become null."""
        return json.dumps(_finite({**asdict(self), "summary": self.summary}), sort_keys=True, allow_nan=False)


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
    yield _beats_dummy(challenger, evidence.dummy, gate)
    for rule in gate.rules:
        if rule.floor is not None:
            yield _floor(rule, rule.floor, challenger, evidence.resamples)
        if evidence.champion is not None and evidence.resamples is not None:
            yield from _against_champion(rule, challenger, evidence.champion, evidence.resamples, gate, no_gain_needed)
    yield from _leakage_checks(challenger, evidence.column_roc_auc, gate)


def _beats_dummy(challenger: Metrics, dummy: Metrics, gate: Gate) -> Check:
    value, limit = challenger.roc_auc, dummy.roc_auc + gate.beats_dummy_by
    # With a margin of 0 a tie does not beat it.
    passed = value - limit >= -_ROUNDING and value > dummy.roc_auc
    interval = Interval(challenger.roc_auc_low, challenger.roc_auc_high)
    message = f"roc_auc {value:.4f} {'≥' if passed else '<'} {limit:.4f} (the dummy model has {dummy.roc_auc:.4f})"
    result, code = (Result.PASSED, "OK") if passed else (Result.FAILED, "NOT_BETTER_THAN_DUMMY")
    return Check(
        "beats_dummy",
        "roc_auc",
        value,
        interval,
        limit,
        dummy.roc_auc,
        None,
        greater_is_better=True,
        n=challenger.n,
        result=result,
        code=code,
        message=message,
    )


def _floor(rule: Rule, floor: float, challenger: Metrics, resamples: Resamples | None) -> Check:
    value = getattr(challenger, rule.metric)
    passed = (value - floor if rule.greater_is_better else floor - value) >= -_ROUNDING
    sign = ("≥" if passed else "<") if rule.greater_is_better else ("≤" if passed else ">")
    interval = resamples.interval("challenger", rule.metric) if resamples else None
    around = f" ({interval.low:.4f} to {interval.high:.4f})" if interval else ""
    return Check(
        f"{rule.metric}_floor",
        rule.metric,
        value,
        interval,
        floor,
        None,
        None,
        greater_is_better=rule.greater_is_better,
        n=challenger.n,
        result=Result.PASSED if passed else Result.FAILED,
        code="OK" if passed else "BELOW_FLOOR",
        message=f"{rule.metric} {value:.4f}{around} {sign} {floor:.4f}",
    )


def _against_champion(
    rule: Rule, challenger: Metrics, champion: Metrics, resamples: Resamples, gate: Gate, no_gain_needed: str
) -> Iterator[Check]:
    value, baseline = getattr(challenger, rule.metric), getattr(champion, rule.metric)
    gain = resamples.gain(rule.metric, value, baseline, gate.confidence)

    def check(kind: str, limit: float, result: Result, code: str, why: str) -> Check:
        change = f"{abs(gain.value):.4f} {'better' if gain.value >= 0 else 'worse'} than the champion's {baseline:.4f}"
        chance = f"gain {gain.low:+.4f} to {gain.high:+.4f}, p = {gain.p_value:.3g}, {challenger.n} rows"
        return Check(
            f"{rule.metric}_{kind}",
            rule.metric,
            value,
            resamples.interval("challenger", rule.metric),
            limit,
            baseline,
            gain,
            greater_is_better=rule.greater_is_better,
            n=challenger.n,
            result=result,
            code=code,
            message=f"{rule.metric} {value:.4f} is {change} ({chance}): {why}",
        )

    if rule.asks_for_a_gain:
        limit = max(rule.min_absolute_change or 0.0, (rule.min_relative_change or 0.0) * abs(baseline))
        if gain.bound > 0 and gain.value - limit >= -_ROUNDING:
            yield check("gain", limit, Result.PASSED, "OK", f"a gain of {limit:g} or more, and no chance")
        elif no_gain_needed:
            yield check("gain", limit, Result.WAIVED, "NO_GAIN_NEEDED", no_gain_needed)
        elif gain.bound > 0:
            yield check("gain", limit, Result.FAILED, "GAIN_TOO_SMALL", f"a gain of {limit:.4f} is asked for")
        else:
            confidence = f"{gate.confidence:.3g} confidence"
            yield check("gain", limit, Result.FAILED, "NOT_BETTER", f"no gain beyond chance at {confidence}")
    if rule.max_regression is not None:
        limit, loss = -rule.max_regression, f"a loss of more than {rule.max_regression:g}"
        if gain.bound - limit >= -_ROUNDING:
            yield check("regression", limit, Result.PASSED, "OK", f"{loss} is ruled out")
        elif gain.value < limit:
            yield check("regression", limit, Result.FAILED, "WORSE_THAN_CHAMPION", loss)
        else:
            yield check("regression", limit, Result.FAILED, "LOSS_NOT_RULED_OUT", f"{loss} cannot be ruled out")


def _leakage_checks(challenger: Metrics, column_roc_auc: Mapping[str, float], gate: Gate) -> Iterator[Check]:
    """The model, and each column that gives the label away by itself, held against what is too good to be true."""
    mend = "too good to be true: look for a copy of the label or a field written after the event"
    yield _ceiling("roc_auc_ceiling", challenger.roc_auc, gate.maximum_roc_auc, challenger.n, "roc_auc", mend)
    for name, value in column_roc_auc.items():
        if value > gate.maximum_column_roc_auc:
            what = f"roc_auc of column '{name}' alone"
            mend = "take it out of the features unless it is known when the row is observed"
            yield _ceiling(f"{name}_ceiling", value, gate.maximum_column_roc_auc, challenger.n, what, mend)


def _ceiling(name: str, value: float, limit: float, n: int, what: str, mend: str) -> Check:
    passed = not value > limit
    return Check(
        name,
        "roc_auc",
        value,
        None,
        limit,
        None,
        None,
        greater_is_better=False,
        n=n,
        result=Result.PASSED if passed else Result.FAILED,
        code="OK" if passed else "LEAKAGE",
        message=f"{what} {value:.4f} {'≤' if passed else '>'} {limit:.4f}{'' if passed else f'; {mend}'}",
    )


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
    if evidence.champion is not None and evidence.resamples is None:
        yield Reason("NO_RESAMPLES", "the challenger was not compared with the champion row by row")
    for check in checks:
        if not all(math.isfinite(number) for number in (check.value, check.limit, *_numbers(check.gain))):
            yield Reason("METRIC_MISSING", f"{check.name}: value {check.value}, limit {check.limit}")


def _numbers(gain: Gain | None) -> tuple[float, ...]:
    return (gain.value, gain.bound) if gain else ()


def _finite(value: Any) -> Any:
    """``value`` as JSON can hold it."""
    match value:
        case dict():
            return {key: _finite(one) for key, one in value.items()}
        case list() | tuple():
            return [_finite(one) for one in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
