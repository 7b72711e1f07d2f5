"""A run that was refused, the notice of it, and where messages go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.notifications.notice import Notice
from tests.receivers import Hook, Mailbox, mail_server, webhook

HOSTILE = "<script>alert(1)</script> <!channel> <@U1> *b* `c` &amp; \r\nBcc: eve@example.com\x00\u202e\udc80 'q\" "


def notice(**changes: object) -> Notice:
    known = {
        "event": "REFUSED",
        "severity": "warning",
        "meaning": "A check of the gate failed; the champion serves on.",
        "use_case": "churn",
        "title": "Customer churn",
        "owner": "customer-analytics",
        "kind": "retrain",
        "run_id": "scheduled__2026-11-24T02:00:00+00:00",
        "as_of": "2026-11-24",
        "outcome": "REFUSED",
        "why": "drift of Contract as of 2026-11-24",
        "reasons": ("NOT_BETTER: the gain may be chance", "FLOOR: roc_auc 0.7 is below 0.78"),
        "ended_at": "2026-11-24T02:03:04.005+00:00",
        "simulated": False,
        "link": "http://127.0.0.1:8080/dags/churn_retrain/runs/scheduled__2026-11-24T02%3A00%3A00%2B00%3A00",
        "verdict_link": "http://127.0.0.1:5000/#/experiments/1/runs/abc/artifacts/evaluation/verdict.html",
    }
    return Notice(**{**known, **changes})  # type: ignore[arg-type]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with webhook() as made:
        yield made


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as made:
        yield made
