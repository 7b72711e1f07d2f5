"""The promotion ledger and the decisions behind it."""

from __future__ import annotations

from sqlalchemy import Engine

from include.state import decisions, promotions
from include.state.runs import Run


def intend(engine: Engine, version: str, use_case: str = "churn") -> int:
    return promotions.intend(
        engine,
        use_case=use_case,
        run_id=f"r{version}",
        version=version,
        previous_version=None,
        model_sha256="m",
        fingerprint="f",
        data_version="customers@1",
        as_of="2026-01-31",
        metrics={"roc_auc": 0.84},
        reasons=["ALL_CHECKS_PASSED: fine"],
        fence=1,
    )


def test_only_a_finished_promotion_makes_a_champion(engine: Engine) -> None:
    first = intend(engine, "1")
    assert promotions.champion(engine, "churn") is None
    assert [open_.version for open_ in promotions.open_intents(engine, "churn")] == ["1"]
    promotions.finish(engine, first)
    abandoned = intend(engine, "2")
    promotions.finish(engine, abandoned, "abandoned")
    champion = promotions.champion(engine, "churn")
    assert champion is not None
    assert (champion.version, champion.metrics, champion.reasons) == (
        "1",
        {"roc_auc": 0.84},
        ("ALL_CHECKS_PASSED: fine",),
    )
    assert champion.done_at is not None
    assert promotions.open_intents(engine, "churn") == []


def test_history_is_newest_first_and_of_one_use_case(engine: Engine) -> None:
    for version, use_case in (("1", "churn"), ("1", "loans"), ("2", "churn")):
        promotions.finish(engine, intend(engine, version, use_case))
    assert [promotion.version for promotion in promotions.history(engine, "churn")] == ["2", "1"]
    assert [promotion.version for promotion in promotions.history(engine, "loans")] == ["1"]


def test_a_run_decides_once_of_each_kind_and_a_rerun_replaces_it(engine: Engine) -> None:
    run = Run("churn", "retrain", "r1", "2026-01-31")
    decisions.record(engine, run, "gate", "FAIL", ["BELOW_FLOOR: 0.6"], {"n": 1})
    decisions.record(engine, run, "window", "PASS", [], {})
    decisions.record(engine, run, "gate", "PASS", [], {"n": 2})
    (gate,) = decisions.of_kind(engine, "churn", "gate")
    assert (gate.outcome, gate.reasons, gate.evidence, gate.as_of) == ("PASS", (), {"n": 2}, "2026-01-31")
    assert [found.outcome for found in decisions.of_kind(engine, "churn", "window")] == ["PASS"]
