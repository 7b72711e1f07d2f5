"""The steps that decide by policy whether what was found asks for a retrain, and write the request."""

from __future__ import annotations

import logging
from datetime import date

from include.data.calendar import midnight
from include.data.window import OBSERVED, window_start
from include.errors import DataRejected, NothingToDo
from include.monitoring import policy
from include.monitoring.policy import Cause
from include.monitoring.windows import Window
from include.state import decisions, promotions, requests, runs
from include.steps.ledger import DRY_RUN, Record, Work, step
from include.steps.monitor import watched
from include.training.split import split
from include.training.window import learnable

log = logging.getLogger(__name__)

PERFORMANCE = "actual performance"
"""What a request for a drop names in the place of columns."""


@step
def decide(work: Work, record: Record) -> Record:
    """Apply the retrain policy and record the decision, fired or suppressed, with all its reasons."""
    judged, drop = tuple(Window(**window) for window in record["windows"]), record["drop"]
    evidence = policy.evidence_fingerprint(work.run.use_case, judged[0], drop and (drop["first"], drop["end"]))
    earlier = [
        request
        for request in requests.every(work.engine, work.run.use_case)
        if (request.requested_by, request.evidence) != (work.run.run_id, evidence)
    ]
    last = earlier[-1] if earlier else None
    facts = policy.Facts(
        as_of=date.fromisoformat(work.run.as_of),
        windows=judged,
        faults=tuple(record["faults"]),
        attempts=tuple(date.fromisoformat(request.as_of) for request in earlier),
        pending=any(request.outcome is None for request in earlier),
        unhelped=_unhelped(work, last, record["drifted"]),
        new_labels=_new_labels(work, record),
        drop=_cause(work, record, last) if drop else None,
        dry_run=work.run.run_mode == DRY_RUN,
    )
    decision = policy.decide(facts, work.spec.retrain_policy)
    unsaid = [f"PERFORMANCE: {drop['reason']}"] if drop and "PERFORMANCE" not in decision.causes else []
    reasons = [*decision.reasons, *unsaid, *record["alarms"]]
    found = {"champion": record["champion"], "watched": record["watched"], "windows": record["windows"]}
    found |= {"drifted": record["drifted"], "drop": drop, "evidence": evidence, "new_labels": facts.new_labels}
    decisions.record(work.engine, work.run, "drift", decision.outcome, reasons, found)
    runs.record(work.engine, work.run, decision.outcome, reasons, alarms=[*unsaid, *record["alarms"]])
    quiet = decision.outcome == "NO_DRIFT" and not unsaid and not record["alarms"]
    log.log(logging.INFO if quiet else logging.WARNING, "%s: %s", decision.outcome, "; ".join(reasons))
    return {"outcome": decision.outcome, "reasons": reasons, "evidence": evidence, "causes": list(decision.causes)}


@step
def request_retrain(work: Work, record: Record) -> Record:
    """Write the request; the asset event that follows only wakes the scheduler."""
    if record["outcome"] != "REQUESTED":
        raise NothingToDo(record["outcome"], *record["reasons"])
    columns, reasons = [], []
    if "DRIFT" in record["causes"]:
        columns += record["drifted"]
        reasons.append(f"drift of {', '.join(record['drifted'])} as of {work.run.as_of}")
    if "PERFORMANCE" in record["causes"]:
        columns.append(PERFORMANCE)
        reasons.append(f"PERFORMANCE as of {work.run.as_of}: {record['drop']['reason']}")
    reason = "; ".join(reasons)
    requests.add(work.engine, work.run, record["evidence"], columns, reason)
    return {"requested": reason}


def _cause(work: Work, record: Record, last: requests.Request | None) -> Cause:
    """What a drop of the actual performance asks for: a retrain that learns from the days since it began."""
    drop = record["drop"]
    learned = (
        f"labels of the days since {drop['since']} would be learned from, the newest days being held out (fewer are "
        "with a smaller training.split.holdout_fraction)"
    )
    unhelped = _unhelped(work, last, [PERFORMANCE])
    return Cause("PERFORMANCE", drop["reason"], drop["known_from"], _learnable(work, record), learned, unhelped)


def _learnable(work: Work, record: Record) -> int:
    """Labels since the drop began that a retrain would learn from now: due, and not of the days that it holds out."""
    as_of, rules = date.fromisoformat(work.run.as_of), work.spec.training.split
    rows = watched.lake(work, record).labelled(window_start(as_of, rules.window_days), as_of)
    labelled = learnable(rows, as_of, watched.label_delay(work))
    try:
        held_out_from = split(labelled, rules).holdout_from
    except DataRejected:  # too few days for any training
        return 0
    observed = labelled[OBSERVED]
    return int(((observed >= midnight(record["drop"]["since"])) & (observed < held_out_from)).sum())


def _unhelped(work: Work, last: requests.Request | None, columns: list[str]) -> bool:
    """Whether the last request was answered, and no champion was made since that knows more of these columns."""
    if last is None or last.outcome is None or not set(columns) & set(last.columns):
        return False
    # By run and ``as_of``, since a clock that was put right in between would turn their order around.
    history = promotions.history(work.engine, work.run.use_case)
    return not any(made.run_id == last.claimed_by or made.as_of > last.as_of for made in history)


def _new_labels(work: Work, record: Record) -> int:
    """Mature labels of rows that were observed after the days that the champion was trained or judged on."""
    as_of, baseline = date.fromisoformat(work.run.as_of), watched.champion(work, record["champion"]).baseline
    labels = learnable(watched.lake(work, record).labels(as_of), as_of, watched.label_delay(work))
    return int((labels[OBSERVED] >= midnight(baseline.until)).sum())
