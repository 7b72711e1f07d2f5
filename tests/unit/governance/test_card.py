"""The card of a model has every section, invents nothing, and is the same for the same model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from include.governance import card, verdict_page
from include.governance.card import ModelCard, as_html, as_markdown, compose
from include.spec import Card, UseCase
from include.training.fingerprint import Ingredients
from include.training.package import Manifest
from tests.browser import in_browser, needs_browser
from tests.unit.governance.conftest import FAILED, HOSTILE, MITIGATION, OVERRIDE, PARTS, Seen, check, record

SECTIONS = [
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
    "Approval",
]
NOT_STATED = "not stated by the owner"
EXPLANATION = {
    "method": "tree",
    "sampled": False,
    "unit": "log-odds",
    "rows": 1000,
    "additivity": {"error": 2e-15},
    "importance": [{"input": "tenure", "description": "months with the company", "mean_abs_shap": 0.71}],
    "surrogate": {"r2": 0.91, "rules": ["tenure ≤ 12.5: 0.500"]},
}


def made(
    spec: UseCase,
    explanation: dict[str, Any] | None = None,
    learned: dict[str, Any] | None = None,
    **changes: Any,
) -> ModelCard:
    manifest = Manifest(
        use_case=spec.name,
        candidate="trees",
        kind="decision_tree",
        params={"max_depth": 4},
        feature_types=spec.feature_types,
        trained_from="2026-09-25",
        trained_until="2026-11-09",
        feature_version="0" * 16,
        ingredients=Ingredients(rows="a", spec="b", sources={}, libraries={"numpy": "2.4"}, threads=1),
        model_sha256="5ha",
        files={},
        **(learned or {}),
    )
    return compose(spec, record(**{**PARTS, **changes}), manifest, explanation or EXPLANATION)


@pytest.mark.parametrize("form", ["md", "html"])
def test_a_card_has_every_section_in_its_order_with_its_figures(churn: UseCase, form: str) -> None:
    found = made(churn)
    shown = as_markdown(found) if form == "md" else as_html(found, {})
    headings = [f"\n## {name}\n" if form == "md" else f"<h2>{name}</h2>" for name in SECTIONS]
    places = [shown.index(heading) for heading in headings]
    assert places == sorted(places)
    for text in (
        "customer-analytics",
        "5ha",
        "max_depth 4",
        "2026-09-25 to 2026-11-09 (exclusive), 5,272 rows",
        "0.8412",
        "(0.8200 to",
        "0.8311",
        "0.0213",
        "too few rows",
        "Fairness by gender",
        "months with the company",
        "gender (as the customer stated it): watched, not learned" if form == "md" else "watched, not learned",
        "may replace version 3",
        "Gain over the champion",
        "any, beyond chance",
    ):
        assert text in shown, text
    assert NOT_STATED not in shown


@pytest.mark.parametrize("section", ModelCard.model_fields)
def test_a_card_without_a_section_is_refused(churn: UseCase, section: str) -> None:
    content = made(churn).model_dump()
    del content[section]
    with pytest.raises(ValidationError, match=section):
        ModelCard.model_validate(content)


def test_what_nobody_has_stated_is_shown_as_not_stated(churn: UseCase) -> None:
    silent = churn.model_copy(update={"card": Card()})
    assert as_markdown(made(silent)).count(f"*{NOT_STATED}*") == 5
    assert as_html(made(silent), {}).count(NOT_STATED) == 5


def test_what_the_run_knows_is_a_caveat(churn: UseCase) -> None:
    data = record().data
    assert data is not None
    few = check(name="brier[age: 1]", slice="age: 1", value=None, result="insufficient", message="40 rows")
    found = made(
        churn,
        {**EXPLANATION, "sampled": True},
        data=data.model_copy(update={"simulated": True}),
        champion=None,
        cold_start=True,
        checks=[check(), few],
    )
    known = " ".join(found.caveats.known)
    for text in ("simulated", "first model", "estimates on 1000 pinned rows", "Not judged for want of rows: 40 rows"):
        assert text in known
    assert made(churn).caveats.known == ()


def test_a_card_says_what_part_of_the_rows_was_learned_from_and_that_scores_are_calibrated(churn: UseCase) -> None:
    found = made(churn, learned={"calibration": "sigmoid", "fitted_rows": 50_000, "training_rows": 750_000})
    assert found.caveats.known == (
        "It learned from 50,000 of the 750,000 training rows, drawn by the seed.",
        "SHAP values are of its output before calibration, which changes how high scores are and not their order.",
    )
    assert "- Calibration of the probabilities: sigmoid\n" in as_markdown(found)
    assert "<dt>Calibration of the probabilities</dt><dd>sigmoid</dd>" in as_html(found, {})
    assert made(churn, learned={"fitted_rows": 5272, "training_rows": 5272}).caveats.known == ()


def test_an_override_is_named_where_the_model_was_approved(churn: UseCase) -> None:
    assert made(churn).approval.by == "gate"
    found = made(churn, override=OVERRIDE)
    assert found.approval.by == "override"
    for shown in (as_markdown(found), as_html(found, {})):
        for text in ("Ada Lovelace", "the split was changed", "was not compared with version 3"):
            assert text in shown


def test_thresholds_by_group_are_told_with_what_they_cost(churn: UseCase) -> None:
    found = made(churn, mitigation=MITIGATION)
    pages = (as_markdown(found), as_html(found, {}), verdict_page.render(record(mitigation=MITIGATION), {}))
    for shown in pages:
        for text in ("A threshold for each group", "gender: Male", "0.1987", "0.1234", "0.0456", "8.1000", "5,272"):
            assert text in shown, text
    assert "A threshold for each group" not in as_markdown(made(churn))


def test_the_same_again_is_the_same(churn: UseCase, tmp_path: Path) -> None:
    picture = tmp_path / "calibration.png"
    picture.write_bytes(b"\x89PNG")
    once, again = made(churn), made(churn)
    assert as_markdown(once) == as_markdown(again)
    assert as_html(once, {"Calibration": picture}) == as_html(again, {"Calibration": picture})


def test_the_page_is_whole_and_loads_nothing(churn: UseCase, tmp_path: Path) -> None:
    picture = tmp_path / "calibration.png"
    picture.write_bytes(b"\x89PNG")
    shown = as_html(made(churn, checks=[check(), FAILED], override=OVERRIDE), {"Calibration": picture})
    seen = Seen(shown)
    assert seen.open == []
    assert [a["src"][:22] for tag, a in seen.elements if tag == "img"] == ["data:image/png;base64,"]
    assert {tag for tag, _ in seen.elements} & {"script", "link", "iframe", "object", "form", "a"} == set()
    assert "://" not in shown


@needs_browser
def test_a_browser_shows_both_pages_and_asks_for_nothing(churn: UseCase, tmp_path: Path) -> None:
    pages = {
        "verdict": verdict_page.render(record(checks=[check(), FAILED], override=OVERRIDE, **PARTS), {}),
        "card": as_html(made(churn), {}),
    }
    for name, content in pages.items():
        page = tmp_path / f"{name}.html"
        page.write_text(content, encoding="utf-8")
        shown, asked = in_browser(page, tmp_path)
        assert "may replace version 3" in shown
        assert asked == set()


def test_hostile_text_is_shown_never_run(churn: UseCase) -> None:
    hostile = churn.model_copy(update={"title": HOSTILE, "card": Card(caveats=HOSTILE, intended_use="a | b\n# c *d*")})
    found = made(hostile, override={**OVERRIDE, "because": HOSTILE}, reasons=[{"code": "X", "message": HOSTILE}])
    page, text = as_html(found, {}), as_markdown(found)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 4
    assert "<script" not in text.replace("\\<script", "")
    assert "- Primary uses: a \\| b \\# c \\*d\\*" in text


def test_words_of_the_owner_make_no_other_model(churn: UseCase) -> None:
    silent = churn.model_copy(update={"card": Card()})
    assert silent.model_dump(mode="json") == churn.model_dump(mode="json")
    assert churn.card.ethical_considerations
    assert card.MARKDOWN == "model_card.md"
