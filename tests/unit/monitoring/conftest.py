"""Telco's rows as the monitor reads them: typed, observed over 60 days, with a score that follows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.data import contract
from include.spec import UseCase

Deal = Callable[..., tuple[pd.DataFrame, pd.DataFrame]]


@pytest.fixture(scope="session")
def rows(telco_csv: Path, churn: UseCase) -> pd.DataFrame:
    frame = contract.conform(contract.read(telco_csv, churn), churn).frame
    odds = 1 - frame["tenure"] / 24 + (frame["Contract"] == "Month-to-month") + (frame["MonthlyCharges"] - 65) / 40
    days = pd.to_timedelta(np.arange(len(frame)) % 60, unit="D")
    return frame.assign(score=1 / (1 + np.exp(-odds)), observed_at=pd.Timestamp("2026-01-01", tz="UTC") + days)


@pytest.fixture(scope="session")
def deal(rows: pd.DataFrame) -> Deal:
    """Two samples of Telco without a row in common: of one distribution, so that there is no drift."""

    def deal(reference: int = 5000, current: int = 1000, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
        order = np.random.default_rng([reference, current, seed]).permutation(len(rows))
        return rows.iloc[order[:reference]], rows.iloc[order[reference : reference + current]]

    return deal
