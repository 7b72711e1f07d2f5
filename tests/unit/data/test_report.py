"""The page of a validation: whole without a network, and harmless whatever stands in the data."""

from __future__ import annotations

from typing import Any

import pytest

from include.data import report

HOSTILE = "<script>alert('x')</script>"


def result(**changes: Any) -> dict[str, Any]:
    rule = {"rule": "tenure: not a number", "column": "tenure", "broken": 3, "sample": ["12abc", HOSTILE]}
    fine = {"rule": "gender: must not be blank", "column": "gender", "broken": 0, "sample": []}
    counts = {"rows_in": 1234567, "rows_published": 1234564, "rows_quarantined": 3, "duplicate_rows": 0}
    return {**counts, "refusals": [], "rules": [fine, rule], **changes}


def page(content: dict[str, Any], **changes: Any) -> str:
    about = {"title": "Churn", "source": "telco.csv", "days": "d", "as_of": "2026-11-24", "run_id": "r"}
    return report.render(content, **{**about, "simulated": False, **changes})


def test_broken_rules_come_first_with_their_counts_and_samples():
    shown = page(result())
    assert "1,234,567" in shown
    assert shown.index("tenure") < shown.index("gender")
    assert "12abc" in shown
    assert "passed" in shown


def test_a_refusal_says_so_and_why():
    shown = page(result(refusals=[{"code": "TOO_FEW_ROWS", "message": "9 rows, at least 10 expected"}]))
    assert "refused" in shown
    assert "would be published" in shown
    assert "9 rows, at least 10 expected" in shown


@pytest.mark.parametrize("where", ["title", "source", "run_id"])
def test_hostile_text_is_shown_never_run(where: str):
    shown = page(result(refusals=[{"code": HOSTILE, "message": HOSTILE}]), **{where: HOSTILE})
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_nothing_is_loaded_from_anywhere():
    shown = page(result())
    assert "default-src 'none'" in shown
    assert "http://" not in shown
    assert "https://" not in shown
    assert "src=" not in shown.replace("default-src", "").replace("style-src", "")


def test_simulated_data_is_marked():
    assert "simulated" in page(result(), simulated=True)
    assert "simulated" not in page(result(), simulated=False)


TURNED = "\u202egnp.exe"
STRANGE = {
    "markup": (HOSTILE, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"),
    "formula": ("=cmd|' /C calc'!A0", "=cmd|&#39; /C calc&#39;!A0"),
    "right-to-left": ("آخر النص", "<bdi><code>آخر النص</code></bdi>"),
    "turned-round": (TURNED, r"\u202egnp.exe"),
    "emoji": ("🎉", "🎉"),
    "endless": ("x" * 10_000, "x… (10,000 characters)"),
}


@pytest.mark.parametrize("case", STRANGE)
def test_strange_names_and_values_are_shown_as_what_they_are(case: str):
    text, expected = STRANGE[case]
    rule = {"rule": f"{text}: must be one of {text}", "column": text, "broken": 1, "sample": [text]}
    refusal = {"code": "QUARANTINE_RATE", "message": text}
    shown = page(result(rules=[rule], refusals=[refusal]))
    assert expected in shown
    assert len(shown) < 20_000
    assert "<script" not in shown
    assert TURNED[0] not in shown
