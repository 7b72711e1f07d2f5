"""The simulator against IBM's Telco churn sample, against itself, and against what each kind of drift promises."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, wasserstein_distance
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from include.data.simulator import Drift, DriftKind, simulate_day

DAY = dt.date(2025, 3, 1)
LATER = DAY + dt.timedelta(days=1)
NUMBERS = ["tenure", "MonthlyCharges", "TotalCharges"]


@pytest.fixture
def telco(telco_csv: Path) -> pd.DataFrame:
    return pd.read_csv(telco_csv)


@pytest.fixture(scope="module")
def past() -> pd.DataFrame:
    return simulate_day(DAY, rows=7_000, seed=1)


@pytest.fixture(scope="module")
def future() -> pd.DataFrame:
    return simulate_day(LATER, rows=10_000, seed=1)


def drifted(kind: DriftKind, rows: int = 10_000, day: dt.date = LATER) -> pd.DataFrame:
    return simulate_day(day, rows=rows, seed=1, drift=Drift(kind, start=LATER))


def inputs(frame: pd.DataFrame) -> pd.DataFrame:
    total = pd.to_numeric(frame["TotalCharges"].str.strip().replace("", "0"))
    return frame.drop(columns=["customerID", "Churn"]).assign(TotalCharges=total)


def churned(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    return (frame["Churn"] == "Yes").to_numpy()


def categories(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if name not in [*NUMBERS, "customerID", "Churn"]]


def shares(column: pd.Series, like: pd.Series) -> npt.NDArray[np.floating]:
    return column.value_counts(normalize=True).reindex(like.unique(), fill_value=0.0).to_numpy()


def share_gap(a: pd.DataFrame, b: pd.DataFrame) -> float:
    return max(float(np.abs(shares(a[name], b[name]) - shares(b[name], b[name])).max()) for name in categories(b))


def ks_gap(a: pd.DataFrame, b: pd.DataFrame) -> float:
    return max(float(ks_2samp(inputs(a)[name], inputs(b)[name]).statistic) for name in NUMBERS)


def logistic(frame: pd.DataFrame) -> Pipeline:
    columns = make_column_transformer((OneHotEncoder(), categories(frame)), (StandardScaler(), NUMBERS))
    return make_pipeline(columns, LogisticRegression(max_iter=2_000)).fit(inputs(frame), churned(frame))


def boosting(frame: pd.DataFrame) -> Pipeline:
    columns = make_column_transformer((OrdinalEncoder(), categories(frame)), remainder="passthrough")
    booster = HistGradientBoostingClassifier(max_iter=80, learning_rate=0.06, max_leaf_nodes=8, random_state=0)
    return make_pipeline(columns, booster).fit(inputs(frame), churned(frame))


def auc(model: Pipeline, frame: pd.DataFrame) -> float:
    return float(roc_auc_score(churned(frame), model.predict_proba(inputs(frame))[:, 1]))


both_models = pytest.mark.parametrize("train", [logistic, boosting], ids=["logistic", "boosting"])
Train = Callable[[pd.DataFrame], Pipeline]


class TestLikeTelco:
    @pytest.mark.parametrize("rows", [0, 1, 500])
    @pytest.mark.parametrize("kind", [None, "covariate", "prior", "concept"])
    def test_columns_types_and_values_are_telcos(self, telco: pd.DataFrame, kind: DriftKind | None, rows: int) -> None:
        frame = simulate_day(DAY, rows=rows, seed=1, drift=Drift(kind, DAY) if kind else None)
        assert len(frame) == rows
        assert frame.dtypes.equals(telco.dtypes)
        assert all(set(frame[name]) <= set(telco[name]) for name in [*categories(telco), "Churn"])
        assert frame["customerID"].str.fullmatch(r"\d{4}-[A-Z]{5}").all()

    def test_a_csv_round_trip_changes_nothing(self, tmp_path: Path, past: pd.DataFrame) -> None:
        past.to_csv(tmp_path / "day.csv", index=False)
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "day.csv"), past)

    def test_services_that_presuppose_others_say_so(self, future: pd.DataFrame) -> None:
        no_phone = future["PhoneService"] == "No"
        assert ((future["MultipleLines"] == "No phone service") == no_phone).all()
        assert set(future.loc[no_phone, "InternetService"]) == {"DSL"}
        for add_on in ("OnlineSecurity", "OnlineBackup", "StreamingMovies"):
            assert ((future[add_on] == "No internet service") == (future["InternetService"] == "No")).all()

    def test_total_charges_are_blank_exactly_for_new_customers(self, future: pd.DataFrame) -> None:
        new = future["tenure"] == 0
        assert new.any()
        assert ((future["TotalCharges"] == " ") == new).all()
        first = future[future["tenure"] == 1]
        assert (first["TotalCharges"].astype(float) == first["MonthlyCharges"]).all()

    def test_marginals(self, telco: pd.DataFrame, past: pd.DataFrame, future: pd.DataFrame) -> None:
        for frame in (past, future):
            assert share_gap(frame, telco) <= 0.03
            assert ks_gap(frame, telco) <= 0.05
            assert churned(frame).mean() == pytest.approx(churned(telco).mean(), abs=0.02)

    def test_dependencies_between_pairs_of_categories(self, telco: pd.DataFrame, future: pd.DataFrame) -> None:
        def pairs(frame: pd.DataFrame) -> pd.DataFrame:
            columns = frame[[*categories(telco), "Churn"]].astype(str)
            return pd.DataFrame({f"{a} x {b}": columns[a] + "|" + columns[b] for a, b in combinations(columns, 2)})

        assert share_gap(pairs(future), pairs(telco)) < 0.03

    @both_models
    def test_a_model_of_simulated_customers_works_on_real_ones(
        self, telco: pd.DataFrame, past: pd.DataFrame, train: Train
    ) -> None:
        assert auc(train(past), telco) >= 0.83

    @both_models
    def test_churn_is_as_hard_to_predict_as_in_telco(
        self, past: pd.DataFrame, future: pd.DataFrame, train: Train
    ) -> None:
        assert 0.82 <= auc(train(past), future) <= 0.87


class TestReproducible:
    @pytest.mark.parametrize("kind", [None, "covariate", "prior", "concept"])
    def test_same_arguments_same_bytes(self, kind: DriftKind | None) -> None:
        drift = Drift(kind, DAY) if kind else None
        one, two = (simulate_day(DAY, rows=300, seed=7, drift=drift).to_csv(index=False) for _ in range(2))
        assert one == two

    def test_days_and_seeds_differ(self) -> None:
        frames = [simulate_day(day, rows=300, seed=seed) for day, seed in [(DAY, 7), (LATER, 7), (DAY, 8)]]
        texts = {frame.drop(columns="customerID").to_csv() for frame in frames}
        assert len(texts) == 3

    def test_ids_are_unique_over_days(self) -> None:
        days = [DAY + dt.timedelta(days=n) for n in range(60)]
        ids = pd.concat([simulate_day(day, rows=200, seed=1)["customerID"] for day in days])
        assert ids.is_unique

    def test_ids_are_unique_in_a_large_day_and_its_neighbours(self) -> None:
        days = [dt.date(2024, 12, 31), dt.date(2025, 1, 1)]
        assert pd.concat([simulate_day(day, rows=50_000, seed=1)["customerID"] for day in days]).is_unique

    def test_ten_thousand_rows_take_less_than_a_second(self) -> None:
        start = time.perf_counter()
        simulate_day(DAY, rows=10_000, seed=1)
        assert time.perf_counter() - start < 1

    @pytest.mark.parametrize(("rows", "seed"), [(-1, 0), (1_000_001, 0), (1, -1)])
    def test_impossible_arguments_are_refused(self, rows: int, seed: int) -> None:
        with pytest.raises(ValueError, match="must"):
            simulate_day(DAY, rows=rows, seed=seed)


class TestDrift:
    @pytest.mark.parametrize("kind", ["covariate", "prior", "concept"])
    def test_nothing_changes_before_its_start(self, kind: DriftKind) -> None:
        pd.testing.assert_frame_equal(drifted(kind, rows=300, day=DAY), simulate_day(DAY, rows=300, seed=1))
        assert not drifted(kind, rows=300).equals(simulate_day(LATER, rows=300, seed=1))

    def test_an_unknown_kind_is_refused(self) -> None:
        with pytest.raises(ValueError, match="unknown kind of drift 'label'"):
            Drift("label", DAY)  # type: ignore[arg-type]

    @pytest.mark.parametrize("day", [LATER + dt.timedelta(days=n) for n in range(3)], ids=str)
    def test_covariate_drift_shows_in_a_small_window(self, past: pd.DataFrame, day: dt.date) -> None:
        reference, window = inputs(past.head(3_500)), inputs(drifted("covariate", rows=350, day=day))
        for name in ("Contract", "InternetService"):
            then, now = (shares(frame[name], like=reference[name]) for frame in (reference, window))
            assert jensenshannon(then, now, base=2) > 0.15
        for name in ("tenure", "MonthlyCharges"):
            assert wasserstein_distance(reference[name], window[name]) / reference[name].std() > 0.3

    def test_covariate_drift_raises_prices_by_a_fifth(self, future: pd.DataFrame) -> None:
        def phone_only(frame: pd.DataFrame) -> pd.Series:
            return frame.loc[(frame["InternetService"] == "No") & (frame["MultipleLines"] == "No"), "MonthlyCharges"]

        ratio = phone_only(drifted("covariate")).mean() / phone_only(future).mean()
        assert ratio == pytest.approx(1.2, abs=0.01)

    def test_covariate_drift_leaves_the_label_mechanism(self, past: pd.DataFrame) -> None:
        # Prices have no part in the mechanism: a model without them stays calibrated, over all and in each band.
        before, after = (frame.assign(MonthlyCharges=0.0, TotalCharges="0") for frame in (past, drifted("covariate")))
        chance = boosting(before).predict_proba(inputs(after))[:, 1]
        for low, high in [(0.0, 1.0), (0.0, 0.2), (0.2, 0.5), (0.5, 1.0)]:
            among = (low <= chance) & (chance <= high)
            assert churned(after)[among].mean() == pytest.approx(chance[among].mean(), abs=0.04)

    def test_prior_drift_raises_the_churn_rate_and_keeps_each_class(self, future: pd.DataFrame) -> None:
        after = drifted("prior")
        assert churned(after).mean() >= churned(future).mean() + 0.10
        for label in ("Yes", "No"):
            now, then = (frame[frame["Churn"] == label] for frame in (after, future))
            assert share_gap(now, then) <= 0.04
            assert ks_gap(now, then) <= 0.04

    @both_models
    def test_concept_drift_breaks_the_old_model_and_can_be_learned(
        self, past: pd.DataFrame, future: pd.DataFrame, train: Train
    ) -> None:
        after = drifted("concept")
        assert auc(train(past), after) <= auc(train(past), future) - 0.05
        assert auc(train(drifted("concept", rows=7_000, day=LATER + dt.timedelta(days=1))), after) >= 0.80

    def test_concept_drift_leaves_the_customers_and_the_churn_rate(self, future: pd.DataFrame) -> None:
        after = drifted("concept")
        pd.testing.assert_frame_equal(after.drop(columns="Churn"), future.drop(columns="Churn"))
        assert churned(after).mean() == pytest.approx(churned(future).mean(), abs=0.02)
