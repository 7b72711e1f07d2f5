"""Derived features of churn: pure functions of named columns.

``columns`` maps a column's name to an array of shape (rows,): float64 for numbers (NaN where null), text for
categories. Each function returns an array of the same length and needs nothing but its argument, so that it gives the
same value for one row online and for millions in a batch.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Columns = Mapping[str, np.ndarray]

ADD_ONS = ("OnlineSecurity", "OnlineBackup", "DeviceProtection", "TechSupport", "StreamingTV", "StreamingMovies")
CENT = 0.01
AUTOMATIC = ("Bank transfer (automatic)", "Credit card (automatic)")


def charge_change(columns: Columns) -> np.ndarray:
    """This month's charge divided by the average monthly charge so far; 1 for who has not paid a cent yet."""
    monthly, total, tenure = columns["MonthlyCharges"], columns["TotalCharges"], columns["tenure"]
    average = np.divide(total, tenure, out=monthly.astype(float), where=(tenure > 0) & (total >= CENT))
    return np.divide(monthly, average, out=np.ones(len(monthly)), where=average > 0)


def add_ons(columns: Columns) -> np.ndarray:
    """Number of internet add-ons taken, 0 to 6."""
    return sum((columns[name] == "Yes").astype(float) for name in ADD_ONS)


def pays_automatically(columns: Columns) -> np.ndarray:
    """1.0 when the payment needs no act of the customer, else 0.0."""
    return np.isin(columns["PaymentMethod"], AUTOMATIC).astype(float)
