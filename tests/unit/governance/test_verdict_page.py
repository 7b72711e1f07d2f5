"""The page of a verdict stands by itself, says the outcome in words, and is harmless whatever stands in it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from include.governance import verdict_page, words
from include.governance.record import Check, Record

HOSTILE = "<script>alert('x')</script>"
GAIN = {"value": 0.012, "low": 0.004, "high": 0.021, "bound": 0.003, "p_value": 0.002}


def check(**changes: Any) -> dict[str, Any]:
    found = {
        "name": "roc_auc_floor",
        "metric": "roc_auc",
        "value": 0.8412,
        "limit": 0.78,
        "baseline": None,
        "n": 1771,
        "interval": {"low": 0.82, "high": 0.86},
        "gain": None,
        "greater_is_better": True,
        "result": "passed",
        "code": "OK",
        "message": "roc_auc 0.8412 ≥ 0.7800",
    }
    return {**found, **changes}


FAILED = check(name="roc_auc_gain", result="failed", code="NOT_BETTER", gain=GAIN, limit=0.0, baseline=0.83)
OVERRIDE = {
    "id": 4,
    "champion": "3",
    "obstacle": "CHAMPION_SAW_HOLDOUT",
    "because": "the split was changed",
    "by": "Ada Lovelace",
    "until": "2026-12-01",
    "given_at": "2026-11-20T09:00:00.000+00:00",
}


def record(**changes: Any) -> Record:
    content: dict[str, Any] = {
        "outcome": "PASS",
        "summary": "",
        "cold_start": False,
        "reasons": [{"code": "ALL_CHECKS_PASSED", "message": "fine"}],
        "checks": [check(), check(name="roc_auc_gain", gain=GAIN, limit=0.0, baseline=0.83)],
        "use_case": "churn",
        "title": "Customer churn",
        "owner": "analytics",
        "predicts": "Churn: Yes",
        "run": {
            "run_id": "r1",
            "run_type": "manual",
            "run_mode": "enabled",
            "as_of": "2026-11-24",
            "started_by": "ada",
            "reason": "a try",
            "requests": [],
        },
        "champion": "3",
        "challenger": "trees",
        "override": None,
        "gate": {
            "confidence": 0.98,
            "minimum_rows": 300,
            "minimum_class_rows": 50,
            "freshness": {"champion_older_than_days": 90, "on_drift": True},
            "no_gain_needed": "",
        },
        "data": {
            "data_version": "customers@1",
            "simulated": False,
            "label_coverage": 1.0,
            "trained_from": "2026-09-25",
            "trained_until": "2026-11-09",
            "training_rows": 5272,
            "holdout_from": "2026-11-09",
            "holdout_until": "2026-11-24",
            "holdout_rows": 1771,
            "holdout_positives": 479,
            "feature_version": "f",
            "fingerprint": "g",
        },
        "metrics": {"challenger": {"roc_auc": 0.8412, "roc_auc_low": 0.82, "roc_auc_high": None, "n": 1771}},
        "selection": {
            "metric": "roc_auc",
            "folds": 3,
            "candidates": [
                {
                    "name": "trees",
                    "kind": "decision_tree",
                    "params": {"max_depth": 4},
                    "fold_score": 0.83,
                    "chosen": True,
                    "holdout_roc_auc": None,
                }
            ],
            "failed": ["line"],
        },
        "mlflow_run": "abc",
        "mlflow_page": "http://127.0.0.1:5000/#/experiments/1/runs/abc",
    }
    return Record.model_validate({**content, **changes})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param(
            {}, "may replace version 3: on 1,771 rows that it has not seen it passed all 2 checks.", id="pass"
        ),
        pytest.param(
            {"outcome": "FAIL", "checks": [check(), FAILED]},
            "does not replace version 3, which stays in production: on 1,771 rows that it has not seen it failed "
            "1 of 2 checks.",
            id="fail",
        ),
        pytest.param(
            {"outcome": "NOT_EVALUATED"}, "could not be judged, so version 3 stays in production.", id="not evaluated"
        ),
        pytest.param(
            {"champion": None, "cold_start": True},
            "may be the first in production: there is none to compare it with, and on 1,771 rows",
            id="cold start",
        ),
        pytest.param(
            {"override": OVERRIDE}, "without being compared with it, as Ada Lovelace allowed: on 1,771", id="override"
        ),
        pytest.param(
            {"checks": [check(), {**FAILED, "result": "waived"}]},
            "it passed 1 of 2 checks, and a gain was not asked for this time.",
            id="fresh",
        ),
        pytest.param(
            {"outcome": "NOT_EVALUATED", "data": None, "champion": None, "challenger": None, "checks": []},
            "The new model could not be judged, so nothing goes into production.",
            id="an error",
        ),
    ],
)
def test_the_outcome_is_said_in_words(changes: dict[str, Any], text: str) -> None:
    found = record(**changes)
    assert text in words.sentence(found)
    shown = verdict_page.render(found, {})
    assert words.sentence(found) in shown
    assert shown.count('badge good">passed') == sum(one.result == "passed" for one in found.checks)


def test_a_dry_run_says_so() -> None:
    dry = record().run.model_copy(update={"run_mode": "dry_run"})
    assert words.sentence(record(run=dry)).endswith("This was a dry run: whatever the verdict, nothing is registered.")


class Seen(HTMLParser):
    """Every element with its attributes, and whether each is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_labelled_and_loads_nothing(tmp_path: Path) -> None:
    picture = tmp_path / "roc.png"
    picture.write_bytes(b"\x89PNG")
    seen = Seen(
        verdict_page.render(record(outcome="FAIL", checks=[check(), FAILED], override=OVERRIDE), {"ROC": picture})
    )
    assert seen.open == []
    found = dict(seen.elements)
    assert found["html"] == {"lang": "en"}
    assert "default-src 'none'" in str([attributes for tag, attributes in seen.elements if tag == "meta"])
    assert [a["src"][:22] for tag, a in seen.elements if tag == "img"] == ["data:image/png;base64,"]
    assert all(a.get("alt") for tag, a in seen.elements if tag == "img")
    assert all(a.get("aria-label") for tag, a in seen.elements if tag == "svg")
    assert {tag for tag, _ in seen.elements} & {"script", "link", "iframe", "object", "form"} == set()
    linked = [a["href"] for _, a in seen.elements if "href" in a]
    assert linked == ["http://127.0.0.1:5000/#/experiments/1/runs/abc"]  # a link to follow, nothing that is loaded


def test_hostile_text_is_shown_never_run() -> None:
    run = record().run.model_copy(update={"reason": HOSTILE, "run_id": HOSTILE, "started_by": HOSTILE})
    shown = verdict_page.render(
        record(
            run=run,
            title=HOSTILE,
            challenger=HOSTILE,
            reasons=[{"code": "X", "message": HOSTILE}],
            checks=[check(name=HOSTILE, message=HOSTILE, result="failed")],
            override={**OVERRIDE, "because": HOSTILE},
        ),
        {},
    )
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") >= 8


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param({"outcome": "MAYBE"}, "outcome", id="another outcome"),
        pytest.param({"run": None}, "run", id="nobody asked"),
        pytest.param({"checks": [check(code=None)]}, "checks.0.code", id="a check without a code"),
        pytest.param({"checks": [check(value=float("nan"))]}, "checks.0.value", id="not a number"),
        pytest.param({"remark": "?"}, "remark", id="something else"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        record(**changes)
    assert complaint in [".".join(map(str, error["loc"])) for error in refusal.value.errors()]


def test_the_strip_puts_interval_value_and_limit_in_their_order() -> None:
    found = verdict_page.strip(Check.model_validate(check()))
    assert found is not None
    assert found.limit < found.low < found.value < found.high
    assert (found.limit, found.high) == (verdict_page.MARGIN, verdict_page.WIDTH - verdict_page.MARGIN)
    assert verdict_page.strip(Check.model_validate(check(interval=None))) is None
