"""The page of a verdict stands by itself, says the outcome in words, and is harmless whatever stands in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from include.governance import verdict_page, words
from include.governance.record import Check
from tests.unit.governance.conftest import FAILED, HOSTILE, OVERRIDE, PARTS, Seen, check, record


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
            {"checks": [check(), check(name="compiled", result="waived")]},
            "it passed 1 of 2 checks.",
            id="no gain waived",
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


def test_the_checks_stand_by_what_they_are_about() -> None:
    part = check(name="roc_auc_floor[gender: Female]", slice="gender: Female")
    fair = check(name="equal_opportunity[gender]", metric="equal_opportunity", slice="gender", greater_is_better=False)
    few = check(
        name="brier[age: 1]", slice="age: 1", value=None, interval=None, result="insufficient", code="INSUFFICIENT"
    )
    found = record(checks=[check(), part, fair, few], **PARTS)
    assert {section.title: len(section.checks) for section in verdict_page.sections(found)} == {
        "Checks": 1,
        "Checks on parts of the rows": 2,
        "Checks of fairness": 1,
    }
    shown = verdict_page.render(found, {})
    for text in ("Equal opportunity (gender)", "gender: Female", "too few rows", "Fairness by gender"):
        assert text in shown
    assert words.sentence(found).endswith("it passed all 3 checks. For 1 more there were too few rows.")


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


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "\N{EN DASH}"), (-0.00001, "+0.0000"), (-0.0123, "-0.0123"), (0.5, "+0.5000")],
    ids=["nothing", "next to nothing", "worse", "better"],
)
def test_a_difference_has_a_sign_where_one_is_known(value: float | None, text: str) -> None:
    assert words.signed(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1771, "1,771"), (0.84523, "0.8452"), (243.76, "243.8"), (1.3e-9, "1.3e-09"), (0.0, "0.0000")],
    ids=["a count", "a figure", "a large one", "a small one", "zero"],
)
def test_a_figure_is_as_short_as_it_can_be(value: float, text: str) -> None:
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("name", "part", "shown"),
    [
        ("roc_auc_floor", None, "ROC AUC: own limit"),
        ("roc_auc_floor[plan: a [b]]", "plan: a [b]", "ROC AUC: own limit (plan: a [b])"),
        ("brier_regression[gender: Male]", "gender: Male", "Brier score: loss against the champion (gender: Male)"),
        ("roc_auc[gender: Male]", "gender: Male", "ROC AUC (gender: Male)"),
        ("equalized_odds[gender and age]", "gender and age", "Equalised odds (gender and age)"),
    ],
    ids=["all rows", "a slice", "against the champion", "too few rows", "groups"],
)
def test_a_check_of_a_part_says_of_which(name: str, part: str | None, shown: str) -> None:
    assert words.check_name(Check.model_validate(check(name=name, slice=part))) == shown
