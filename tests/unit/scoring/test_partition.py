"""A partition: scikit-learn's scores, the spec's decisions, and where each row comes from."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from include.data import stream
from include.errors import DataRejected
from include.evaluation.thresholds import Thresholds
from include.features.build import build
from include.scoring.partition import highest, schema
from include.spec import UseCase
from include.training.preparation import ESTIMATOR
from tests.unit.scoring.conftest import LINEAGE, Batches, Load, by_scikit_learn, scored
from tests.unit.training.conftest import Training

ROWS = 500


@pytest.mark.parametrize("kind", ["gradient_boosting", "logistic_regression", "random_forest", "mlp", "calibrated"])
def test_scores_are_those_of_scikit_learn_on_the_same_features(
    kind: str, training: Training, churn: UseCase, published: Batches, load: Load, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream, "BATCH_ROWS", 128)
    rows, (model, _) = training.rows.iloc[:ROWS], load(kind)
    written, found = scored(published(rows), model, churn)
    expected = by_scikit_learn(model, build(rows, churn))
    assert np.abs(written["score"] - expected).max() <= 1e-6
    assert written["customerID"].tolist() == rows["customerID"].tolist()
    assert written["observed_at"].tolist() == rows["observed_at"].tolist()
    assert (found.rows, found.acted_on) == (ROWS, int((expected >= churn.decision.threshold).sum()))
    assert written["acted_on"].tolist() == (expected >= churn.decision.threshold).tolist()
    for name, value in asdict(LINEAGE).items():
        assert set(written[name]) == {value}


def test_thresholds_of_groups_decide_where_the_model_has_some(
    training: Training, churn: UseCase, published: Batches, load: Load
):
    own = Thresholds(
        constraint="equal_opportunity", by=("gender",), groups={"gender: Female": 0.9}, otherwise=0.1, rows=9
    )
    rows, (model, _) = training.rows.iloc[:ROWS], load("gradient_boosting", thresholds=own)
    written, _ = scored(published(rows), model, churn)
    limit = np.where(rows["gender"] == "Female", 0.9, 0.1)
    assert written["acted_on"].tolist() == (written["score"].to_numpy() >= limit).tolist()
    assert 0 < written["acted_on"].sum() < ROWS


@pytest.mark.parametrize("kind", ["gradient_boosting", "random_forest"])
def test_b26_an_unseen_category_is_scored_as_unknown_and_counted(
    kind: str, training: Training, churn: UseCase, published: Batches, load: Load
):
    rows, (model, _) = training.rows.iloc[:40].copy(), load(kind)
    rows.iloc[:7, rows.columns.get_loc("PaymentMethod")] = "Cowrie shells"
    rows.iloc[5:8, rows.columns.get_loc("Contract")] = None
    written, found = scored(published(rows), model, churn)
    assert found.unseen == {"PaymentMethod": 7, "Contract": 3}
    assert np.abs(written["score"] - by_scikit_learn(model, build(rows, churn))).max() <= 1e-6
    assert scored(published(training.rows.iloc[:40]), model, churn)[1].unseen == {}


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_a_score_that_is_no_number_is_refused_by_name(
    training: Training, churn: UseCase, published: Batches, load: Load
):
    """Of a model so steep that two inputs of a large row pull with all there is, each in its direction."""
    steep, _ = load("logistic_regression")
    steep.pipeline[ESTIMATOR].coef_[0, :2] = [1e305, -1e305]
    model = replace(steep, compiled=None)
    rows = training.rows.iloc[:10].astype({"tenure": float})
    rows.loc[rows.index[3], ["tenure", "MonthlyCharges"]] = 1e9
    with pytest.raises(DataRejected, match=f"1 of 10 rows .* customerID '{rows['customerID'].iloc[3]}'") as refusal:
        scored(published(rows), model, churn)
    assert refusal.value.code == "NO_SCORE"


def test_a_column_that_the_table_lacks_is_never_made_up(training: Training, churn: UseCase, load: Load):
    model, _ = load("gradient_boosting")
    batch = pa.RecordBatch.from_pandas(training.rows.iloc[:3][["customerID", "tenure", "observed_at"]])
    with pytest.raises(DataRejected, match="the data lacks gender"):
        scored(iter([batch]), model, churn)


def test_the_highest_are_those_of_all_batches_with_their_inputs(
    training: Training, churn: UseCase, published: Batches, load: Load, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream, "BATCH_ROWS", 97)
    few = churn.model_copy(update={"scoring": churn.scoring.model_copy(update={"top": 20})})
    model, _ = load("decision_tree")  # which has few scores, so that many rows are equal
    written, found = scored(published(training.rows.iloc[:ROWS]), model, few)
    expected = written.sort_values(["score", "customerID"], ascending=[False, True]).head(20)
    assert found.top["customerID"].tolist() == expected["customerID"].tolist()
    assert found.top["score"].is_monotonic_decreasing
    inputs = build(training.rows, churn).set_index(training.rows["customerID"]).loc[found.top["customerID"]]
    pd.testing.assert_frame_equal(found.top[list(inputs)], inputs.reset_index(drop=True), check_dtype=False)
    assert highest([found.top.iloc[10:], found.top.iloc[:10]], few)["customerID"].tolist() == list(
        found.top["customerID"]
    )


def test_a_partition_without_a_row_is_empty_and_has_its_columns(churn: UseCase, load: Load):
    written, found = scored(iter([]), load("gradient_boosting")[0], churn)
    assert (len(written), found.rows, found.acted_on, len(found.top)) == (0, 0, 0, 0)
    assert schema(churn).names[:4] == ["customerID", "observed_at", "score", "acted_on"]
