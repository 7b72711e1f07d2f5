"""The record of a verdict as the loop writes it, for a test to change, and a page as a parser sees it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from include.governance.record import Record

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


MITIGATION = {
    "thresholds": {
        "constraint": "demographic_parity",
        "by": ["gender"],
        "groups": {"gender: Female": 0.2345, "gender: Male": 0.1987},
        "otherwise": 0.2239,
        "rows": 5272,
    },
    "before": 0.1234,
    "after": 0.0456,
    "profit_before": 8.4,
    "profit_after": 8.1,
}
PARTS: dict[str, Any] = {
    "slices": [
        {
            "name": "gender: Female",
            "values": {"gender": "Female"},
            "n": 900,
            "positives": 240,
            "figures": [
                {
                    "metric": "roc_auc",
                    "value": 0.8311,
                    "n": 900,
                    "interval": {"low": 0.81, "high": 0.85},
                    "baseline": None,
                    "gain": None,
                }
            ],
            "insufficient": [],
        },
        {"name": "age: 1", "values": {"age": "1"}, "n": 40, "positives": 9, "figures": [], "insufficient": ["roc_auc"]},
    ],
    "fairness": [
        {
            "by": ["gender"],
            "groups": [
                {"name": "Female", "n": 900, "positives": 240, "selected": 400, "rates": {"selection_rate": 0.4444}},
                {"name": "Male", "n": 871, "positives": 239, "selected": 380, "rates": {"selection_rate": None}},
            ],
            "disparities": [
                {
                    "metric": "equal_opportunity",
                    "by": ["gender"],
                    "value": 0.0213,
                    "interval": {"low": 0.001, "high": 0.06},
                    "p_value": 0.4,
                    "rate": "true_positive_rate",
                    "highest": "Female",
                    "lowest": "Male",
                    "n": 1771,
                    "compared": ["Female", "Male"],
                    "insufficient": [],
                    "champion": None,
                }
            ],
        }
    ],
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
