"""The checks of the gate: each holds one figure of the challenger against one limit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from include.evaluation.fairness import Disparity
from include.evaluation.metrics import Metrics
from include.evaluation.resampling import Figure, Gain, Interval
from include.evaluation.sanity import CompiledScores, LoadAndPredict, Sanity
from include.evaluation.slices import Slice
from include.evaluation.verdict import Check, Result
from include.spec import Budget, FairnessLimit, Gate, Rule

# Limits such as 0.8 - 0.01 are not exact in binary: a value on the limit must pass.
_ROUNDING = 1e-12
SAME = 1e-9
"""How far two answers to one row may be apart: a sum may be taken in another order."""


def beats_dummy(challenger: Metrics, dummy: Metrics, gate: Gate) -> Check:
    """Against a model that knows only the base rate."""
    value, limit = challenger.roc_auc, dummy.roc_auc + gate.beats_dummy_by
    # With a margin of 0 a tie does not beat it.
    passed = value - limit >= -_ROUNDING and value > dummy.roc_auc
    return Check(
        name="beats_dummy",
        metric="roc_auc",
        value=value,
        limit=limit,
        n=challenger.n,
        result=_result(passed),
        code="OK" if passed else "NOT_BETTER_THAN_DUMMY",
        message=f"roc_auc {value:.4f} {'≥' if passed else '<'} {limit:.4f} (the dummy model has {dummy.roc_auc:.4f})",
        interval=Interval(challenger.roc_auc_low, challenger.roc_auc_high),
        baseline=dummy.roc_auc,
    )


def reaches_floor(rule: Rule, floor: float, found: Figure, part: str | None = None) -> Check:
    """Against the rule's own limit, on all rows or on the ``part`` of them with this name."""
    value, interval = found.value, found.interval
    passed = (value - floor if rule.greater_is_better else floor - value) >= -_ROUNDING
    sign = ("≥" if passed else "<") if rule.greater_is_better else ("≤" if passed else ">")
    around = f" ({interval.low:.4f} to {interval.high:.4f})" if interval else ""
    return Check(
        name=_named(f"{rule.metric}_floor", part),
        metric=rule.metric,
        value=value,
        limit=floor,
        n=found.n,
        result=_result(passed),
        code="OK" if passed else "BELOW_FLOOR",
        message=f"{_on(part)}{rule.metric} {value:.4f}{around} {sign} {floor:.4f}",
        interval=interval,
        greater_is_better=rule.greater_is_better,
        slice=part,
    )


def is_better(rule: Rule, found: Figure, gain: Gain, gate: Gate, no_gain_needed: str) -> Check:
    """Against the champion on the same rows: the gain that the rule asks for."""
    limit = max(rule.min_absolute_change or 0.0, (rule.min_relative_change or 0.0) * abs(found.baseline or 0.0))
    if gain.bound > 0 and gain.value - limit >= -_ROUNDING:
        result, code, why = Result.PASSED, "OK", f"a gain of {limit:g} or more, and no chance"
    elif no_gain_needed:
        result, code, why = Result.WAIVED, "NO_GAIN_NEEDED", no_gain_needed
    elif gain.bound > 0:
        result, code, why = Result.FAILED, "GAIN_TOO_SMALL", f"a gain of {limit:.4f} is asked for"
    else:
        why = f"no gain beyond chance at {gate.confidence:.3g} confidence"
        result, code = Result.FAILED, "NOT_BETTER"
    return _against_champion("gain", rule, found, gain, limit=limit, result=result, code=code, why=why)


def is_no_worse(rule: Rule, allowed: float, found: Figure, gain: Gain, part: str | None = None) -> Check:
    """Against the champion on the same rows: no loss of more than ``allowed``."""
    limit, why = -allowed, f"a loss of more than {allowed:g}"
    if gain.bound - limit >= -_ROUNDING:
        result, code, why = Result.PASSED, "OK", f"{why} is ruled out"
    elif gain.value < limit:
        result, code = Result.FAILED, "WORSE_THAN_CHAMPION"
    else:
        result, code, why = Result.FAILED, "LOSS_NOT_RULED_OUT", f"{why} cannot be ruled out"
    return _against_champion("regression", rule, found, gain, limit=limit, result=result, code=code, why=why, part=part)


def on_slices(rule: Rule, slices: Sequence[Slice]) -> Iterator[Check]:
    """What the rule asks of parts of the rows; a part with too few of them is INSUFFICIENT."""
    for part in slices:
        asked = rule.of_slice(part.values)
        if asked is None:
            continue
        found = next((figure for figure in part.figures if figure.metric == rule.metric), None)
        if found is None:
            yield _too_few_rows(rule, part)
            continue
        if asked.floor is not None:
            yield reaches_floor(rule, asked.floor, found, part.name)
        if asked.max_regression is not None and found.gain is not None:
            yield is_no_worse(rule, asked.max_regression, found, found.gain, part.name)


def is_fair(found: Disparity, limit: FairnessLimit, level: float) -> Check:
    """How far groups differ, against the spec's limit: a value over it fails if its p-value is at most ``level``."""
    value, allowed, higher = found.value, limit.value, limit.greater_is_better
    of = " and ".join(found.by)
    within = (value - allowed if higher else allowed - value) >= -_ROUNDING
    sign = ("≥" if within else "<") if higher else ("≤" if within else ">")
    what = f"{found.metric} by {of} {value:.4f} ({found.interval.low:.4f} to {found.interval.high:.4f})"
    between = f"{found.rate} highest for {found.highest}, lowest for {found.lowest}, p = {found.p_value:.3g}"
    result, code, why = Result.PASSED, "OK", ""
    if len(found.compared) < 2:
        result, code = Result.INSUFFICIENT, "INSUFFICIENT"
        message = f"{found.metric} by {of}: fewer than two groups have enough rows"
    else:
        if not within and found.p_value <= level:
            result, code = Result.FAILED, f"{found.metric.upper()}_{'TOO_LOW' if higher else 'EXCEEDED'}"
        elif not within:
            code, why = "WITHIN_CHANCE", "; groups that do not differ may show this"
        message = f"{what} {sign} {allowed:g}: {between}, {found.n} rows{why}"
    return Check(
        name=f"{found.metric}[{of}]",
        metric=found.metric,
        value=value,
        limit=allowed,
        n=found.n,
        result=result,
        code=code,
        message=message,
        interval=found.interval,
        baseline=found.champion,
        greater_is_better=higher,
        slice=of,
    )


def leakage(challenger: Metrics, sanity: Sanity, gate: Gate) -> Iterator[Check]:
    """The model, and each column that gives the label away by itself, against what is too good to be true."""
    n, limit = challenger.n, gate.maximum_column_roc_auc
    mend = "too good to be true: look for a copy of the label or a field written after the event"
    yield _at_most("roc_auc_ceiling", "roc_auc", challenger.roc_auc, gate.maximum_roc_auc, n, "LEAKAGE", mend)
    for name, alone in sanity.columns.items():
        mend = "take it out of the features unless it is known when the row is observed"
        if alone.is_copy:
            code, value, mend = "COPY_OF_TARGET", alone.roc_auc, f"it is the label by another name: {mend}"
        elif alone.missing_roc_auc > limit:
            code, value, mend = "AFTER_EVENT", alone.missing_roc_auc, f"it has a value for one label only: {mend}"
        elif alone.roc_auc > limit:
            code, value = "LEAKAGE", alone.roc_auc
        else:
            continue
        yield _at_most(f"{name}_ceiling", f"roc_auc of column '{name}' alone", value, limit, n, code, mend)


def independent_of_order(sanity: Sanity, n: int) -> Check:
    """A row has the same score whatever is beside it."""
    what, mend = "change of a score with the order of rows and columns", "make each feature of its own row, by name"
    return _at_most("order", what, sanity.order_difference, SAME, n, "DEPENDS_ON_ORDER", mend)


def usable(found: LoadAndPredict, budget: Budget) -> Iterator[Check]:
    """What the package did in a fresh process, against what it did here and against the budget."""
    what, mend = "difference of a score in a fresh process", "compare the libraries with those in manifest.json"
    yield _at_most("fresh_process", what, found.difference, SAME, found.rows, "ANSWERS_DIFFER", mend)
    for name in ("load_seconds", "predict_milliseconds", "memory_megabytes"):
        value, limit = getattr(found, name), getattr(budget, name)
        mend = f"a smaller model, or a larger gate.budget.{name}"
        yield _at_most(name, name.replace("_", " "), value, limit, found.rows, "OVER_BUDGET", mend)


def compiled_as_learned(found: CompiledScores) -> Check:
    """Compiled scores are those of scikit-learn; if they are not, they are not used, so nothing fails."""
    what, mend = "difference of a compiled score from scikit-learn's", "scikit-learn makes the scores, more slowly"
    check = _at_most("compiled", what, found.difference, SAME, found.rows, "SCORED_BY_SCIKIT_LEARN", mend)
    return replace(check, result=Result.WAIVED) if check.failed else check


def _against_champion(
    kind: str,
    rule: Rule,
    found: Figure,
    gain: Gain,
    *,
    limit: float,
    result: Result,
    code: str,
    why: str,
    part: str | None = None,
) -> Check:
    direction = "better" if gain.value >= 0 else "worse"
    change = f"{abs(gain.value):.4f} {direction} than the champion's {found.baseline:.4f}"
    chance = f"gain {gain.low:+.4f} to {gain.high:+.4f}, p = {gain.p_value:.3g}, {found.n} rows"
    return Check(
        name=_named(f"{rule.metric}_{kind}", part),
        metric=rule.metric,
        value=found.value,
        limit=limit,
        n=found.n,
        result=result,
        code=code,
        message=f"{_on(part)}{rule.metric} {found.value:.4f} is {change} ({chance}): {why}",
        interval=found.interval,
        baseline=found.baseline,
        gain=gain,
        greater_is_better=rule.greater_is_better,
        slice=part,
    )


def _too_few_rows(rule: Rule, part: Slice) -> Check:
    return Check(
        name=_named(rule.metric, part.name),
        metric=rule.metric,
        value=math.nan,
        limit=math.nan,
        n=part.n,
        result=Result.INSUFFICIENT,
        code="INSUFFICIENT",
        message=f"{_on(part.name)}{part.n} rows, {part.positives} of them positive, are too few for {rule.metric}",
        greater_is_better=rule.greater_is_better,
        slice=part.name,
    )


def _at_most(name: str, what: str, value: float, limit: float, n: int, code: str, mend: str) -> Check:
    passed = not value > limit
    return Check(
        name=name,
        metric=what,
        value=value,
        limit=limit,
        n=n,
        result=_result(passed),
        code="OK" if passed else code,
        message=f"{what} {value:.4g} {'≤' if passed else '>'} {limit:.4g}{'' if passed else f'; {mend}'}",
        greater_is_better=False,
    )


def _named(name: str, part: str | None) -> str:
    return f"{name}[{part}]" if part else name


def _on(part: str | None) -> str:
    return f"{part}: " if part else ""


def _result(passed: bool) -> Result:
    return Result.PASSED if passed else Result.FAILED
