"""A verdict in words, and names and numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from include.governance.record import Check, Interval, Record, Slice
from include.state.runs import DRY_RUN

SMALL, LARGE = 1e-4, 20.0
NOTHING = "\N{EN DASH}"
METRICS = {
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "calibration_error": "Calibration error",
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "lift_at_10": "Lift in the top 10 %",
    "expected_profit": "Expected profit of a row",
    "equal_opportunity": "Equal opportunity",
    "equalized_odds": "Equalised odds",
    "predictive_parity": "Predictive parity",
    "demographic_parity": "Demographic parity",
    "selection_rate_ratio": "Ratio of selection rates",
    "calibration": "Calibration by group",
    "n": "Rows",
    "positives": "Positive rows",
    "base_rate": "Base rate",
    "threshold": "Acted on from a score of",
}
CHECKS = {
    "beats_dummy": "ROC AUC: against knowing only the base rate",
    "order": "Same score in any order of rows and columns",
    "fresh_process": "Same score in a fresh process",
    "compiled": "Same score by the faster way",
    "load_seconds": "Seconds to load",
    "predict_milliseconds": "Milliseconds for an answer",
    "memory_megabytes": "Megabytes of memory",
}
KINDS = {
    "floor": "own limit",
    "gain": "gain over the champion",
    "regression": "loss against the champion",
    "ceiling": "too good to be true",
}


def sentence(record: Record) -> str:
    """The outcome for somebody who signs it."""
    dry = " This was a dry run: whatever the verdict, nothing is registered." if record.run.run_mode == DRY_RUN else ""
    outcomes = {"PASS": _passed, "FAIL": _failed, "NOT_EVALUATED": _not_evaluated}
    few = sum(check.result == "insufficient" for check in record.checks)
    short = f" For {few} more there were too few rows." if few else ""
    return outcomes[record.outcome](record) + short + dry


def _passed(record: Record) -> str:
    new, passed = _new(record), f"{_on_rows(record)} it passed {_count(record.checks, 'passed')} checks"
    if any(check.result == "waived" and check.gain for check in record.checks):
        passed += ", and a gain was not asked for this time"
    if record.override:
        by = record.override.by
        return f"{new} may replace version {record.champion} without being compared with it, as {by} allowed: {passed}."
    if record.champion is None:
        return f"{new} may be the first in production: there is none to compare it with, and {passed}."
    return f"{new} may replace version {record.champion}: {passed}."


def _failed(record: Record) -> str:
    stays = f"does not replace version {record.champion}, which stays in production"
    ends = stays if record.champion else "does not go into production"
    return f"{_new(record)} {ends}: {_on_rows(record)} it failed {_count(record.checks, 'failed')} checks."


def _not_evaluated(record: Record) -> str:
    stays = f"version {record.champion} stays in production" if record.champion else "nothing goes into production"
    return f"{_new(record)} could not be judged, so {stays}."


def _new(record: Record) -> str:
    return f"The new model ({record.challenger})" if record.challenger else "The new model"


def _on_rows(record: Record) -> str:
    return (
        f"on {record.data.holdout_rows:,} rows that it has not seen" if record.data else "on rows that it has not seen"
    )


def _count(checks: Sequence[Check], result: str) -> str:
    judged = [check for check in checks if check.result != "insufficient"]
    found = sum(check.result == result for check in judged)
    return f"all {found}" if found == len(judged) else f"{found} of {len(judged)}"


def check_name(check: Check) -> str:
    """What a check is about; the name of one that is not known here is shown as it is."""
    name, of = check.name.removesuffix(f"[{check.slice}]"), f" ({check.slice})" if check.slice else ""
    subject, _, kind = name.rpartition("_")
    if name in CHECKS or kind not in KINDS:
        return CHECKS.get(name, METRICS.get(name, name)) + of
    return f"{METRICS.get(subject, f'ROC AUC of {subject} alone')}: {KINDS[kind]}{of}"


def number(value: float | None) -> str:
    """A figure to four digits after the point; counts as they are, very small and large ones in short."""
    if value is None:
        return NOTHING
    if isinstance(value, int):
        return f"{value:,}"
    if 0 < abs(value) < SMALL:
        return f"{value:.1e}"
    return f"{value:,.1f}" if abs(value) >= LARGE else f"{value:.4f}"


def signed(value: float | None) -> str:
    """A difference with its sign."""
    return NOTHING if value is None else f"{round(value, 4) + 0.0:+.4f}"  # of what rounds to 0 no sign is known


def interval(found: Interval | None, *, sign: bool = False) -> str:
    """Both ends of an interval."""
    if found is None or found.low is None or found.high is None:
        return NOTHING
    form = signed if sign else number
    return f"{form(found.low)} to {form(found.high)}"


def p_value(value: float | None) -> str:
    """A p-value; of a small one only how small it is."""
    if value is None:
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def metric(name: str) -> str:
    """A metric as people call it; one that is not known here as it is."""
    return METRICS.get(name, name)


def slice_metrics(slices: Sequence[Slice]) -> list[str]:
    """The metrics of which at least one slice has a figure, in their order."""
    return list(dict.fromkeys(found.metric for part in slices for found in part.figures))


FILTERS = {
    function.__name__: function
    for function in (check_name, interval, metric, number, p_value, sentence, signed, slice_metrics)
}
"""For templates."""
