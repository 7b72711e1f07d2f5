"""What ``make status`` says of the last monitor: which rows it watched, what drifted, how good the champion is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from include.state.runs import LedgerRow

MOST_WINDOWS = 3

Found = Mapping[str, Any]


def monitor_state(row: LedgerRow) -> dict[str, Any]:
    """What ``status --json`` says of the run of this row."""
    details, data = row.details, row.details.get("data", {})
    return {
        "outcome": row.outcome,
        "drifted_columns": details.get("drifted_columns", []),
        "at": row.ended_at,
        "reasons": list(row.reasons),
        "alarms": details.get("alarms", []),
        "watched": data.get("watched"),
        "violations": data.get("violations", []),
        "unseen_categories": data.get("unseen_categories", {}),
        "newest": details.get("newest"),
        "windows": details.get("windows", []),
        "attribution": details.get("attribution"),
        "performance": details.get("performance", []),
        "comparison": details.get("comparison"),
    }


def monitor_lines(found: Found) -> Iterator[tuple[str, str]]:
    """The name and the text of each line, of what ``monitor_state`` says."""
    drifted = ", ".join(found["drifted_columns"]) or "none"
    yield "last monitor", f"{found['outcome']}; drifted: {drifted}"
    yield from (("", reason) for reason in found["reasons"])
    if watched := found["watched"]:
        yield "watched", f"rows that were {watched['rows']}, up to {watched['end']}: {watched['why']}"
    if newest := found["newest"]:
        yield "drift", f"newest window, {newest['rows']} rows: {_farthest(newest['columns'])}"
    for name, count in found["unseen_categories"].items():
        yield "unseen", f"{count} rows are in categories of {name} that the champion never saw"
    if attribution := found["attribution"]:
        yield "attribution", f"{attribution['status']}: {attribution['note']}"
    for number, window in enumerate(found["performance"][:MOST_WINDOWS]):
        yield "" if number else "performance", window["said"]
    if comparison := found["comparison"]:
        yield "challenger", comparison["said"]


def _farthest(columns: Mapping[str, Found]) -> str:
    """The score, and the column that is farthest from what it may be, each with its distance and limit."""
    measured = {name: one for name, one in columns.items() if one["distance"] is not None and one["limit"]}
    if not measured:
        return "nothing could be measured"
    farthest = max(measured, key=lambda name: measured[name]["distance"] / measured[name]["limit"])
    named = dict.fromkeys([farthest, *(["score"] if "score" in measured else [])])
    return "; ".join(
        f"{name} {measured[name]['status']}, {measured[name]['distance']:.3f} of at most {measured[name]['limit']:.3f}"
        for name in named
    )
