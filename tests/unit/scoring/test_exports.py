"""What is given away can be read back: all scores as they were staged, and the highest ones with their reasons."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.explanation import shapley
from include.explanation.single import background_of, explain_score
from include.scoring.exports import batches, top_table, write_scores
from include.scoring.partition import Scored, schema
from include.spec import UseCase
from include.training.package import LoadedModel
from tests.unit.scoring.conftest import LINEAGE, Batches, Load, scored
from tests.unit.training.conftest import Training


def test_all_parts_are_one_file_in_their_order(
    training: Training, churn: UseCase, published: Batches, load: Load, tmp_path: Path
):
    written, _ = scored(published(training.rows.iloc[:300]), load("gradient_boosting")[0], churn)
    whole = pa.Table.from_pandas(written, schema(churn), preserve_index=False)
    parts = [tmp_path / f"{number}.parquet" for number in range(3)]
    for part, table in zip(parts, (whole.slice(0, 100), whole.slice(0, 0), whole.slice(100)), strict=True):
        pq.write_table(table, part)
    write_scores(tmp_path / "scores.parquet", parts, churn)
    assert pq.read_table(tmp_path / "scores.parquet", page_checksum_verification=True).equals(whole)
    assert sum(map(len, batches(parts))) == 300


@pytest.fixture
def top(training: Training, churn: UseCase, published: Batches, load: Load) -> tuple[Scored, LoadedModel, Path]:
    model, package = load("gradient_boosting")
    return scored(published(training.rows.iloc[:300]), model, churn)[1], model, package


def test_each_row_has_the_reasons_that_it_would_have_alone(
    top: tuple[Scored, LoadedModel, Path], training: Training, churn: UseCase
):
    found, model, package = top
    made = top_table(found.top, model, package, LINEAGE, churn)
    assert made.without_reasons is None
    assert len(made.rows) == churn.scoring.top
    background = background_of(package, model)
    for place in (0, 57):
        row = found.top.iloc[[place]]
        alone = explain_score(model, row, background, churn).reasons
        for side, reasons in (("raised", alone.raising), ("lowered", alone.lowering)):
            shown = [made.rows[f"{side}_by_{n + 1}"].iloc[place] for n in range(4)]
            assert shown == [reason.text for reason in reasons] + [""] * (4 - len(reasons))
    first = made.rows.iloc[0]
    assert "raises the score by" in first["raised_by_1"]
    assert first["decision"] == "act"
    assert (first["model_version"], first["data_version"], first["run_id"]) == ("3", "customers@4 labels@4", "s1")
    assert set(made.rows["score"].round(4)) == set(made.rows["score"])


def test_what_is_not_to_be_acted_on_says_so(top: tuple[Scored, LoadedModel, Path], churn: UseCase):
    found, model, package = top
    made = top_table(found.top.assign(acted_on=False), model, package, LINEAGE, churn)
    assert set(made.rows["decision"]) == {"do not act"}


def test_without_an_explanation_in_the_package_there_are_scores_and_no_reasons(
    top: tuple[Scored, LoadedModel, Path], load: Load, churn: UseCase
):
    found, _, _ = top
    made = top_table(found.top, *load("decision_tree", explained=False), LINEAGE, churn)
    assert made.without_reasons == "the model was registered without an explanation; retrain once"
    assert set(made.rows["raised_by_1"]) == {""}
    assert made.rows["customerID"].tolist() == found.top["customerID"].tolist()


def test_reasons_that_do_not_add_up_are_not_given(
    top: tuple[Scored, LoadedModel, Path], churn: UseCase, monkeypatch: pytest.MonkeyPatch
):
    found, model, package = top
    exact = shapley.trees.shapley_values
    monkeypatch.setattr(shapley.trees, "shapley_values", lambda *given: exact(*given) + 1e-3)
    made = top_table(found.top, model, package, LINEAGE, churn)
    assert made.without_reasons is not None
    assert made.without_reasons.startswith("they do not add up to the scores: base value and SHAP values")
    assert set(made.rows["lowered_by_1"]) == {""}
