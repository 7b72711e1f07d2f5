"""What status says of a monitor: all that it found, and of a run that ended at once no more than that."""

from __future__ import annotations

import json

from include.cli.monitoring import monitor_lines, monitor_state
from include.state.runs import LedgerRow

FOUND = {
    "drifted_columns": ["Contract"],
    "alarms": ["PERFORMANCE: ROC AUC 0.80"],
    "data": {
        "watched": {"rows": "served", "end": "2026-11-30", "why": "330 whole rows were served"},
        "violations": [],
        "unseen_categories": {"Contract": 3},
    },
    "newest": {
        "rows": 330,
        "columns": {
            "Contract": {"status": "DRIFT", "distance": 0.08, "limit": 0.05},
            "tenure": {"status": "OK", "distance": 0.09, "limit": 0.1},
            "score": {"status": "OK", "distance": 0.02, "limit": 0.2},
            "Partner": {"status": "ALL_NULL", "distance": None, "limit": None},
        },
    },
    "attribution": {"status": "OK", "note": "nDCG 0.990"},
    "performance": [{"said": f"window {number}"} for number in range(5)],
    "comparison": {"said": "version 4 (shadow) beside champion 3"},
}


def row(details: dict, *reasons: str) -> LedgerRow:
    times = ("2026-11-30T03:00:00+00:00", "2026-11-30T03:01:00+00:00")
    return LedgerRow("monitor", "m1", "2026-11-30", "SUPPRESSED", "", reasons, details, *times)


def test_all_that_was_found_is_shown():
    lines = list(monitor_lines(monitor_state(row(FOUND, "COOLDOWN: 72 h"))))
    assert lines == [
        ("last monitor", "SUPPRESSED; drifted: Contract"),
        ("", "COOLDOWN: 72 h"),
        ("watched", "rows that were served, up to 2026-11-30: 330 whole rows were served"),
        (
            "drift",
            "newest window, 330 rows: Contract DRIFT, 0.080 of at most 0.050; score OK, 0.020 of at most 0.200",
        ),
        ("unseen", "3 rows are in categories of Contract that the champion never saw"),
        ("attribution", "OK: nDCG 0.990"),
        ("performance", "window 0"),
        ("", "window 1"),
        ("", "window 2"),
        ("challenger", "version 4 (shadow) beside champion 3"),
    ]


def test_a_run_that_found_nothing_says_how_it_ended():
    state = monitor_state(row({}, "nothing is in production yet"))
    assert list(monitor_lines(state)) == [
        ("last monitor", "SUPPRESSED; drifted: none"),
        ("", "nothing is in production yet"),
    ]
    assert json.loads(json.dumps(state)) == state


def test_json_has_every_column_and_window():
    state = monitor_state(row(FOUND))
    assert len(state["newest"]["columns"]) == 4
    assert len(state["performance"]) == 5
    assert state["alarms"] == ["PERFORMANCE: ROC AUC 0.80"]
