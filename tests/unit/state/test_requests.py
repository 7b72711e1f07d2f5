"""Retrain requests: one per evidence, claimed by one run, given back when it dies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from include.state import requests
from include.state.runs import Run

MONITOR = Run("churn", "monitor", "m1", "2026-01-10")
RETRAIN = Run("churn", "retrain", "r1", "2026-01-20")


def ask(engine: Engine, evidence: str, as_of: str = "2026-01-10", use_case: str = "churn") -> None:
    run = replace(MONITOR, as_of=as_of, use_case=use_case)
    requests.add(engine, run, evidence, ["tenure"], f"drift of tenure as of {as_of}")


def evidences(found: list[requests.Request]) -> list[str]:
    return [request.evidence for request in found]


def test_a_request_says_who_asked_and_why(engine: Engine) -> None:
    ask(engine, "e1")
    (request,) = requests.pending(engine, "churn")
    assert (request.as_of, request.columns, request.requested_by) == ("2026-01-10", ("tenure",), "m1")
    assert (request.reason, request.claimed_by, request.outcome) == ("drift of tenure as of 2026-01-10", None, None)


def test_the_same_evidence_asks_once_also_at_once(engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask(engine, "e1"), range(16)))
    ask(engine, "e1", use_case="loans")
    assert evidences(requests.every(engine, "churn")) == ["e1"]
    assert evidences(requests.every(engine, "loans")) == ["e1"]


@pytest.mark.parametrize(
    ("as_of", "taken"),
    [
        pytest.param("2026-01-09", [], id="before all"),
        pytest.param("2026-01-10", ["e1"], id="on the day"),
        pytest.param("2026-01-31", ["e1", "e2"], id="after all"),
    ],
)
def test_a_run_claims_what_was_asked_up_to_its_as_of(engine: Engine, as_of: str, taken: list[str]) -> None:
    ask(engine, "e1", "2026-01-10")
    ask(engine, "e2", "2026-01-20")
    assert evidences(requests.claim(engine, replace(RETRAIN, as_of=as_of))) == taken
    assert evidences(requests.pending(engine, "churn")) == [e for e in ("e1", "e2") if e not in taken]
    assert evidences(requests.pending(engine, "churn", until="2026-01-10")) == [e for e in ["e1"] if e not in taken]


def test_of_two_runs_at_once_one_gets_each_request(engine: Engine) -> None:
    for n in range(10):
        ask(engine, f"e{n}")
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda n: requests.claim(engine, replace(RETRAIN, run_id=f"r{n}")), range(4)))
    assert sorted(evidence for claimed in got for evidence in evidences(claimed)) == [f"e{n}" for n in range(10)]


def test_a_claim_made_twice_is_one(engine: Engine) -> None:
    ask(engine, "e1")
    assert requests.claim(engine, RETRAIN) == requests.claim(engine, RETRAIN)


def test_an_outcome_settles_and_stays(engine: Engine) -> None:
    ask(engine, "e1")
    requests.claim(engine, RETRAIN)
    requests.settle(engine, "churn", "r1", "REFUSED")
    requests.settle(engine, "churn", "r1", "FAILED")
    (request,) = requests.every(engine, "churn")
    assert (request.claimed_by, request.outcome) == ("r1", "REFUSED")
    assert requests.pending(engine, "churn") == []


def test_a_run_that_died_gives_its_claims_back(engine: Engine) -> None:
    ask(engine, "e1")
    requests.claim(engine, RETRAIN)
    requests.settle(engine, "churn", "other", "FAILED")
    assert requests.pending(engine, "churn") == []
    requests.settle(engine, "churn", "r1", "FAILED")
    assert evidences(requests.pending(engine, "churn")) == ["e1"]
    assert evidences(requests.claim(engine, replace(RETRAIN, run_id="r2"))) == ["e1"]
