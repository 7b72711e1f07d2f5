"""The gate: may the challenger become champion? It fails closed: what cannot be judged is never promoted."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType

from include.evaluation.metrics import Metrics
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


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison of the challenger's ``value`` on ``n`` rows with ``limit``, which may rest on a ``baseline``."""

    name: str
    metric: str
    value: float
    limit: float
    baseline: float | None
    greater_is_better: bool
    n: int
    passed: bool
    code: str
    message: str


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
        checks = [f"- {'passed' if check.passed else '**failed**'}: {check.message}" for check in self.checks]
        reasons = [f"- {reason.code}: {reason.message}" for reason in self.reasons]
        return "\n".join([f"Gate: **{self.outcome}**", "", *reasons, "", "Checks on the hold-out:", "", *checks])

    def to_json(self) -> str:
        """Everything as JSON; numbers that are not finite become null."""
        plain = {**asdict(self), "summary": self.summary}
        plain["checks"] = [{k: _finite(v) for k, v in check.items()} for check in plain["checks"]]
        return json.dumps(plain, sort_keys=True, allow_nan=False)


def judge(
    challenger: Metrics | None,
    champion: Metrics | None,
    dummy: Metrics,
    gate: Gate,
    *,
    column_roc_auc: Mapping[str, float] = MappingProxyType({}),
    not_evaluated: Reason | None = None,
) -> Verdict:
    """Judge the challenger against floors, a model that knows only the base rate, and the champion.

    All metrics are of the same rows. Without a champion (``None``) the regression rules do not apply and the verdict
    says ``COLD_START``; a champion that exists but could not be scored is told by ``not_evaluated``, as is any other
    reason of the caller's. ``column_roc_auc`` is what each feature reaches alone on these rows. Every check is made
    before the verdict is formed.
    """
    cold_start = champion is None
    checks = tuple(_checks(challenger, champion, dummy, gate)) if challenger else ()
    if challenger:
        checks += tuple(_leakage_checks(challenger, column_roc_auc, gate))
    obstacles = tuple(_obstacles(challenger, champion, dummy, gate, checks, not_evaluated))
    failed = tuple(Reason(check.code, check.message) for check in checks if not check.passed)
    if obstacles:
        return Verdict(Outcome.NOT_EVALUATED, checks, obstacles, cold_start)
    if failed:
        return Verdict(Outcome.FAIL, checks, failed + _note(cold_start), cold_start)
    against = "the floors and the dummy model" if cold_start else "the floors, the dummy model and the champion"
    passed = Reason("ALL_CHECKS_PASSED", f"the challenger holds against {against}")
    return Verdict(Outcome.PASS, checks, (passed, *_note(cold_start)), cold_start)


def _note(cold_start: bool) -> tuple[Reason, ...]:
    return (Reason("COLD_START", "there is no champion to compare with"),) if cold_start else ()


def _checks(challenger: Metrics, champion: Metrics | None, dummy: Metrics, gate: Gate) -> Iterator[Check]:
    need = dummy.roc_auc + gate.beats_dummy_by
    beats = Rule(metric="roc_auc", threshold=gate.beats_dummy_by)
    yield _check("beats_dummy", beats, challenger, need, dummy.roc_auc, "NOT_BETTER_THAN_DUMMY")
    for rule in gate.rules:
        if rule.threshold is not None:
            yield _check(f"{rule.metric}_threshold", rule, challenger, rule.threshold, None, "BELOW_FLOOR")
        if rule.max_regression is not None and champion is not None:
            baseline = getattr(champion, rule.metric)
            limit = baseline - rule.max_regression if rule.greater_is_better else baseline + rule.max_regression
            yield _check(f"{rule.metric}_regression", rule, challenger, limit, baseline, "WORSE_THAN_CHAMPION")


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
    message = f"{what} {value:.4f} {'≤' if passed else '>'} {limit:.4f}{'' if passed else f'; {mend}'}"
    return Check(name, "roc_auc", value, limit, None, False, n, passed, "OK" if passed else "LEAKAGE", message)


def _check(name: str, rule: Rule, challenger: Metrics, limit: float, baseline: float | None, code: str) -> Check:
    value = getattr(challenger, rule.metric)
    distance = value - limit if rule.greater_is_better else limit - value
    passed = distance >= -_ROUNDING
    if name == "beats_dummy":
        passed = passed and value > baseline  # with a margin of 0 a tie does not beat it
    sign = ("≥" if passed else "<") if rule.greater_is_better else ("≤" if passed else ">")
    against = f" (baseline {baseline:.4f})" if baseline is not None else ""
    message = f"{rule.metric} {value:.4f} {sign} {limit:.4f}{against}"
    return Check(
        name=name,
        metric=rule.metric,
        value=value,
        limit=limit,
        baseline=baseline,
        greater_is_better=rule.greater_is_better,
        n=challenger.n,
        passed=passed,
        code="OK" if passed else code,
        message=message,
    )


def _obstacles(
    challenger: Metrics | None,
    champion: Metrics | None,
    dummy: Metrics,
    gate: Gate,
    checks: tuple[Check, ...],
    given: Reason | None,
) -> Iterator[Reason]:
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
    for name, other in (("champion", champion), ("dummy", dummy)):
        if other is not None and (other.n, other.positives) != (challenger.n, challenger.positives):
            yield Reason("NOT_THE_SAME_ROWS", f"the {name} was evaluated on {other.n} rows, not {challenger.n}")
    for check in checks:
        if not (math.isfinite(check.value) and math.isfinite(check.limit)):
            yield Reason("METRIC_MISSING", f"{check.name}: value {check.value}, limit {check.limit}")


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
