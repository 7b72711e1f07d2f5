"""Three verdicts; whatever cannot be judged is not promoted."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from include.evaluation.gate import Evidence, judge
from include.evaluation.leakage import Alone
from include.evaluation.metrics import evaluate
from include.evaluation.resampling import Resamples, resample
from include.evaluation.sanity import LoadAndPredict, Sanity
from include.evaluation.verdict import Outcome, Reason, Result
from include.spec import Decision, Gate, Rule

ROWS = 4000
AUC = Rule(metric="roc_auc", floor=0.7, min_absolute_change=0.0, max_regression=0.02)
BRIER = Rule(metric="brier", floor=0.2, max_regression=0.01, greater_is_better=False)
GATE = Gate(minimum_rows=300, minimum_class_rows=50, beats_dummy_by=0.1, rules=(AUC, BRIER))
FRESH = "the champion is old"


def scores_of(noise: float, seed: int) -> np.ndarray:
    """Probabilities that are the better the smaller ``noise`` is."""
    random = np.random.default_rng(seed)
    return 1 / (1 + np.exp(-(2.2 * LABELS - 2.2 + random.normal(0, 1, ROWS) + random.normal(0, noise, ROWS))))


LABELS = (np.random.default_rng(1).random(ROWS) < 0.27).astype(int)
SCORES = {name: scores_of(noise, 3) for name, noise in {"same": 1.0, "better": 0.6, "worse": 1.2, "bad": 2.5}.items()}
# As good as "same" up to chance: the same model with a little noise.
SCORES["equal"] = np.clip(SCORES["same"] + np.random.default_rng(4).normal(0, 0.01, ROWS), 0, 1)


SOUND = Sanity(
    columns={"tenure": Alone(roc_auc=0.7, missing_roc_auc=0.5, is_copy=False)},
    order_difference=0.0,
    load_and_predict=LoadAndPredict(100, 1e-15, load_seconds=0.1, predict_milliseconds=5.0, memory_megabytes=300.0),
)


SANITY = (
    "roc_auc_ceiling",
    "order",
    "fresh_process",
    "load_seconds",
    "predict_milliseconds",
    "memory_megabytes",
)


def evidence(challenger: str, champion: str | None = "same", rows: int = ROWS, seed: int = 1) -> Evidence:
    labels = LABELS[:rows]
    found = {"challenger": SCORES[challenger][:rows]} | ({"champion": SCORES[champion][:rows]} if champion else {})
    return Evidence(
        challenger=evaluate(labels, found["challenger"]),
        champion=evaluate(labels, found["champion"]) if champion else None,
        dummy=evaluate(labels, np.full(rows, labels.mean())),
        resamples=resample(labels, found, ["brier", "roc_auc"], Decision(), seed=seed),
        sanity=SOUND,
    )


@pytest.mark.parametrize(
    ("challenger", "fresh", "outcome", "codes"),
    [
        pytest.param("better", "", Outcome.PASS, {"ALL_CHECKS_PASSED", "BETTER"}, id="better beyond chance"),
        pytest.param("same", "", Outcome.FAIL, {"NOT_BETTER"}, id="a tie"),
        pytest.param("equal", "", Outcome.FAIL, {"NOT_BETTER"}, id="better by chance at most"),
        pytest.param("equal", FRESH, Outcome.PASS, {"ALL_CHECKS_PASSED", "NO_GAIN_NEEDED"}, id="as good and fresh"),
        pytest.param("worse", FRESH, Outcome.FAIL, {"LOSS_NOT_RULED_OUT", "WORSE_THAN_CHAMPION"}, id="fresh, worse"),
        pytest.param(
            "bad", "", Outcome.FAIL, {"NOT_BETTER", "BELOW_FLOOR", "WORSE_THAN_CHAMPION"}, id="all that fails"
        ),
    ],
)
def test_against_a_champion(challenger: str, fresh: str, outcome: Outcome, codes: set[str]) -> None:
    verdict = judge(evidence(challenger), GATE, no_gain_needed=fresh)
    assert verdict.outcome == outcome, verdict.summary
    assert verdict.promotes == (outcome == Outcome.PASS)
    assert {reason.code for reason in verdict.reasons} == codes
    # All of them are made, whatever the first ones say.
    assert [check.name for check in verdict.checks] == [
        "beats_dummy",
        "roc_auc_floor",
        "roc_auc_gain",
        "roc_auc_regression",
        "brier_floor",
        "brier_regression",
        *SANITY,
    ]
    assert not verdict.cold_start


def test_a_gain_has_to_be_as_large_as_the_rule_says() -> None:
    found = evidence("better")
    assert found.challenger
    assert found.champion
    gain = found.challenger.roc_auc - found.champion.roc_auc
    for asked, codes in ((gain - 0.001, set()), (gain + 0.001, {"GAIN_TOO_SMALL"})):
        absolute = Rule(metric="roc_auc", min_absolute_change=asked)
        relative = Rule(metric="roc_auc", min_relative_change=asked / found.champion.roc_auc)
        for rule in (absolute, relative):
            verdict = judge(found, GATE.model_copy(update={"rules": (rule,)}))
            assert {check.code for check in verdict.checks if not check.passed} == codes


def test_few_rows_do_not_show_that_a_challenger_is_better() -> None:
    rule = GATE.model_copy(update={"rules": (Rule(metric="roc_auc", min_absolute_change=0.0),)})
    assert judge(evidence("better"), rule).outcome == Outcome.PASS
    few = judge(evidence("worse", "same", rows=320), rule, no_gain_needed="")
    assert {check.code for check in few.checks if not check.passed} == {"NOT_BETTER"}


def test_every_check_against_the_champion_has_interval_and_p_value() -> None:
    verdict = judge(evidence("better"), GATE)
    gains = {check.name: check.gain for check in verdict.checks if check.gain}
    assert set(gains) == {"roc_auc_gain", "roc_auc_regression", "brier_regression"}
    for gain in gains.values():
        assert gain.low < gain.value < gain.high
        assert gain.bound < gain.low  # one chance in fifty to be below the one, in forty below the other
        assert 0 < gain.p_value < 0.01
    for check in verdict.checks[:6]:
        assert check.interval is not None
        assert check.interval.low < check.value < check.interval.high


@pytest.mark.parametrize(
    ("challenger", "outcome", "codes"),
    [
        pytest.param("same", Outcome.PASS, {"ALL_CHECKS_PASSED", "COLD_START"}, id="good"),
        pytest.param("bad", Outcome.FAIL, {"BELOW_FLOOR", "COLD_START"}, id="below the floor"),
    ],
)
def test_cold_start(challenger: str, outcome: Outcome, codes: set[str]) -> None:
    verdict = judge(evidence(challenger, None), GATE)
    assert (verdict.outcome, verdict.cold_start) == (outcome, True)
    assert {reason.code for reason in verdict.reasons} == codes
    assert [check.name for check in verdict.checks] == [
        "beats_dummy",
        "roc_auc_floor",
        "brier_floor",
        *SANITY,
    ]


SAW = Reason("CHAMPION_SAW_HOLDOUT", "the champion was trained on hold-out rows")
BY_ADA = Reason("CHAMPION_OVERRIDDEN", "override 1 by Ada")
PLAIN = evidence("better")


def changed(which: str, **change: float) -> Evidence:
    """The same with other figures for some of the models."""
    found = {name: getattr(PLAIN, name) for name in ("challenger", "champion", "dummy")}
    return replace(PLAIN, **{name: replace(one, **change) for name, one in found.items() if name in which.split()})


def insane(**found: Any) -> Evidence:
    """The same with something else found of the challenger."""
    return replace(PLAIN, sanity=replace(SOUND, **found))


ALL = "challenger champion dummy"


@pytest.mark.parametrize(
    ("given", "gate", "reason", "code"),
    [
        pytest.param(PLAIN, GATE.model_copy(update={"rules": ()}), None, "NO_RULES", id="no rules"),
        pytest.param(replace(PLAIN, challenger=None), GATE, None, "NO_CHALLENGER_METRICS", id="no metrics"),
        pytest.param(changed(ALL, n=299, positives=80), GATE, None, "TOO_FEW_ROWS", id="rows"),
        pytest.param(changed(ALL, positives=49), GATE, None, "TOO_FEW_CLASS_ROWS", id="positives"),
        pytest.param(changed(ALL, positives=ROWS - 49), GATE, None, "TOO_FEW_CLASS_ROWS", id="negatives"),
        pytest.param(changed("challenger", roc_auc=math.nan), GATE, None, "METRIC_MISSING", id="challenger nan"),
        pytest.param(changed("champion", roc_auc=math.nan), GATE, None, "METRIC_MISSING", id="champion nan"),
        pytest.param(changed("dummy", roc_auc=math.nan), GATE, None, "METRIC_MISSING", id="dummy nan"),
        pytest.param(changed("champion", n=999), GATE, None, "NOT_THE_SAME_ROWS", id="other rows"),
        pytest.param(replace(PLAIN, resamples=None), GATE, None, "NO_RESAMPLES", id="no comparison row by row"),
        pytest.param(replace(PLAIN, sanity=None), GATE, None, "NO_SANITY", id="not looked at"),
        pytest.param(insane(order_difference=math.nan), GATE, None, "METRIC_MISSING", id="scores nan in another order"),
        pytest.param(PLAIN, GATE, Reason("ANY", "whatever the caller knows"), "ANY", id="given reason"),
    ],
)
def test_what_cannot_be_judged(given: Evidence, gate: Gate, reason: Reason | None, code: str) -> None:
    verdict = judge(given, gate, not_evaluated=[reason] if reason else [])
    assert verdict.outcome == Outcome.NOT_EVALUATED
    assert not verdict.promotes
    assert {reason.code for reason in verdict.reasons} == {code}


@pytest.mark.parametrize(
    ("challenger", "override", "outcome", "codes"),
    [
        pytest.param("better", None, Outcome.NOT_EVALUATED, {"CHAMPION_SAW_HOLDOUT"}, id="as it is"),
        pytest.param("better", BY_ADA, Outcome.PASS, {"ALL_CHECKS_PASSED", "CHAMPION_OVERRIDDEN"}, id="overridden"),
        pytest.param("bad", BY_ADA, Outcome.FAIL, {"BELOW_FLOOR", "CHAMPION_OVERRIDDEN"}, id="overridden and bad"),
    ],
)
def test_a_champion_that_cannot_be_judged(
    challenger: str, override: Reason | None, outcome: Outcome, codes: set[str]
) -> None:
    verdict = judge(replace(evidence(challenger, None), obstacle=SAW), GATE, override=override)
    assert (verdict.outcome, verdict.cold_start) == (outcome, False)
    assert {reason.code for reason in verdict.reasons} == codes
    assert not any(check.gain for check in verdict.checks)


def test_an_override_says_nothing_where_the_champion_was_judged() -> None:
    assert judge(evidence("worse"), GATE, override=BY_ADA) == judge(evidence("worse"), GATE)


def test_a_figure_that_no_resample_has_is_missing() -> None:
    nothing = {name: {metric: np.full(10, math.nan) for metric in ("brier", "roc_auc")} for name in ALL.split()}
    verdict = judge(replace(PLAIN, resamples=Resamples(nothing)), GATE)
    assert {reason.code for reason in verdict.reasons} == {"METRIC_MISSING"}


@pytest.mark.parametrize(("auc", "outcome"), [(0.5, Outcome.FAIL), (0.5001, Outcome.PASS)])
def test_a_tie_with_the_dummy_does_not_beat_it(auc: float, outcome: Outcome) -> None:
    gate = GATE.model_copy(
        update={"beats_dummy_by": 0.0, "rules": (Rule(metric="brier", floor=0.2, greater_is_better=False),)}
    )
    assert judge(replace(changed("challenger", roc_auc=auc), champion=None), gate).outcome == outcome


def alone(**found: Any) -> Evidence:
    """One column with these figures."""
    return insane(columns={"tenure": Alone(**{"roc_auc": 0.7, "missing_roc_auc": 0.5, "is_copy": False, **found})})


def used(**found: float) -> Evidence:
    """A package that took so much."""
    return insane(load_and_predict=replace(SOUND.load_and_predict, **found))


@pytest.mark.parametrize(
    ("given", "code"),
    [
        pytest.param(changed("challenger", roc_auc=0.9995), "LEAKAGE", id="the model"),
        pytest.param(alone(roc_auc=0.995), "LEAKAGE", id="one column"),
        pytest.param(alone(roc_auc=0.99), None, id="one column at the limit"),
        pytest.param(alone(roc_auc=0.6, missing_roc_auc=0.995), "AFTER_EVENT", id="a column with one label only"),
        pytest.param(alone(roc_auc=1.0, is_copy=True), "COPY_OF_TARGET", id="the label by another name"),
        pytest.param(insane(order_difference=1e-6), "DEPENDS_ON_ORDER", id="another order"),
        pytest.param(insane(order_difference=1e-9), None, id="another order at the limit"),
        pytest.param(used(difference=1e-8), "ANSWERS_DIFFER", id="another answer in a fresh process"),
        pytest.param(used(load_seconds=11), "OVER_BUDGET", id="slow to load"),
        pytest.param(used(predict_milliseconds=501), "OVER_BUDGET", id="slow to answer"),
        pytest.param(used(memory_megabytes=2001), "OVER_BUDGET", id="too large"),
        pytest.param(used(load_seconds=10, predict_milliseconds=500, memory_megabytes=2000), None, id="within budget"),
    ],
)
def test_what_is_too_good_to_be_true_or_cannot_be_served_blocks(given: Evidence, code: str | None) -> None:
    verdict = judge(replace(given, champion=None), GATE)
    failed = {check.code for check in verdict.checks if not check.passed}
    assert (failed, verdict.promotes) == ({code} if code else set(), code is None)


def test_json_summary_and_markdown() -> None:
    verdict = judge(changed("challenger", roc_auc=math.nan), GATE, no_gain_needed=FRESH)
    plain = json.loads(verdict.to_json())
    assert plain["outcome"] == "NOT_EVALUATED"
    assert plain["checks"][0]["value"] is None
    assert plain["checks"][2]["gain"]["p_value"] > 0
    assert plain["summary"] == verdict.summary
    assert "\n" not in verdict.summary
    assert "METRIC_MISSING" in verdict.summary
    waived = judge(evidence("equal"), GATE, no_gain_needed=FRESH)
    assert [check.result for check in waived.checks if check.code == "NO_GAIN_NEEDED"] == [Result.WAIVED]
    assert "- waived: roc_auc" in waived.markdown
