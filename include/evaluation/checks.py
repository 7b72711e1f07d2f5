"""The checks of the gate: each holds one figure of the challenger against one limit."""

from __future__ import annotations

from collections.abc import Iterator

from include.evaluation.metrics import Metrics
from include.evaluation.resampling import Interval, Resamples
from include.evaluation.sanity import LoadAndPredict, Sanity
from include.evaluation.verdict import Check, Result
from include.spec import Budget, Gate, Rule

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


def reaches_floor(rule: Rule, floor: float, challenger: Metrics, resamples: Resamples | None) -> Check:
    """Against the rule's own limit."""
    value = getattr(challenger, rule.metric)
    passed = (value - floor if rule.greater_is_better else floor - value) >= -_ROUNDING
    sign = ("≥" if passed else "<") if rule.greater_is_better else ("≤" if passed else ">")
    interval = resamples.interval("challenger", rule.metric) if resamples else None
    around = f" ({interval.low:.4f} to {interval.high:.4f})" if interval else ""
    return Check(
        name=f"{rule.metric}_floor",
        metric=rule.metric,
        value=value,
        limit=floor,
        n=challenger.n,
        result=_result(passed),
        code="OK" if passed else "BELOW_FLOOR",
        message=f"{rule.metric} {value:.4f}{around} {sign} {floor:.4f}",
        interval=interval,
        greater_is_better=rule.greater_is_better,
    )


def against_champion(
    rule: Rule, challenger: Metrics, champion: Metrics, resamples: Resamples, gate: Gate, no_gain_needed: str
) -> Iterator[Check]:
    """Against the champion on the same rows: the gain that the rule asks for, and the loss that it allows."""
    value, baseline = getattr(challenger, rule.metric), getattr(champion, rule.metric)
    gain = resamples.gain(rule.metric, value, baseline, gate.confidence)

    def check(kind: str, limit: float, result: Result, code: str, why: str) -> Check:
        change = f"{abs(gain.value):.4f} {'better' if gain.value >= 0 else 'worse'} than the champion's {baseline:.4f}"
        chance = f"gain {gain.low:+.4f} to {gain.high:+.4f}, p = {gain.p_value:.3g}, {challenger.n} rows"
        return Check(
            name=f"{rule.metric}_{kind}",
            metric=rule.metric,
            value=value,
            limit=limit,
            n=challenger.n,
            result=result,
            code=code,
            message=f"{rule.metric} {value:.4f} is {change} ({chance}): {why}",
            interval=resamples.interval("challenger", rule.metric),
            baseline=baseline,
            gain=gain,
            greater_is_better=rule.greater_is_better,
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


def _result(passed: bool) -> Result:
    return Result.PASSED if passed else Result.FAILED
