"""A customer simulator: days of data with the schema, the quirks and the statistics of IBM's Telco churn sample.

A customer is drawn trait by trait, each from a logistic model on the traits before it (plan, household, services,
billing); charges follow from the services, and the churn label from a logistic model on all of it. No file is read.
"""

from __future__ import annotations

import datetime as dt
import math
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.str_]
Coefficients = Mapping[str, float]
DriftKind = Literal["covariate", "prior", "concept"]

# Share of customers with at most so many months of tenure; from IBM's Telco churn sample.
TENURE_MONTHS = (0, 1, 2, 3, 5, 8, 12, 18, 24, 36, 48, 60, 66, 69, 70, 71, 72)
TENURE_SHARES = (
    0.002, 0.089, 0.122, 0.151, 0.195, 0.246, 0.310, 0.388, 0.456,
    0.574, 0.682, 0.800, 0.866, 0.908, 0.925, 0.949, 1.000,
)  # fmt: skip
LONGEST_TENURE = 72

# Log-odds of each trait given those above it, fitted to IBM's Telco churn sample. "a*b" is the product of two traits;
# tenure is in units of 72 months, early is 1 / months, every other trait is 0 or 1. A trait that presupposes another
# one was fitted on, and applies to, only the customers who have that: an add-on those with internet, and so on.
TRAITS: Mapping[str, Coefficients] = {
    "male": {"base": 0.02},
    "internet": {"base": 1.29},
    "fiber": {"base": 0.25},
    "term": {"base": -0.51, "tenure": 4.04, "tenure*tenure": 1.77, "early": -2.30, "internet": -1.57, "fiber": -1.59},
    "two_year": {"base": 0.22, "tenure": -4.27, "tenure*tenure": 7.14, "internet": -1.09, "fiber": -0.95},
    "senior": {"base": -3.19, "tenure": 0.94, "internet": 1.05, "fiber": 0.97, "term": -0.92},
    "partner": {"base": -0.93, "tenure": 1.86, "early": -0.71, "term": 0.26},
    "dependents": {"base": -1.87, "tenure": -0.64, "partner": 2.47, "senior": -1.87, "fiber": -0.56, "term": 0.57},
    "phone_with_dsl": {"base": 0.94},
    "lines": {"base": -2.53, "tenure": 2.53, "internet": 0.84, "fiber": 1.04, "senior": 0.41},
    "security": {"base": -1.20, "tenure": 1.72, "fiber": -0.90, "term": 0.58, "two_year": 0.49, "senior": -0.35},
    "backup": {"base": -1.52, "tenure": 2.57, "term": 0.17},
    "protection": {"base": -1.57, "tenure": 1.76, "fiber": 0.21, "term": 0.69, "two_year": 0.56},
    "support": {
        "base": -1.28, "tenure": 0.85, "fiber": -0.69, "term": 0.82, "two_year": 0.94, "security": 0.29,
        "protection": 0.28, "senior": -0.47,
    },
    "tv": {"base": -1.70, "tenure": 1.19, "fiber": 0.96, "term": 0.41, "protection": 0.69, "support": 0.32},
    "movies": {"base": -1.94, "tenure": 0.99, "fiber": 0.64, "term": 0.36, "protection": 0.59, "tv": 1.45},
    "paperless": {
        "base": -0.59, "internet": 0.72, "fiber": 0.79, "term": -0.49, "senior": 0.41, "tv": 0.40, "movies": 0.27,
    },
    "automatic": {"base": -1.13, "tenure": 1.63, "early": -0.99, "term": 0.36, "two_year": 0.27},
    "card": {"base": -0.01},
    "electronic": {
        "base": -1.92, "tenure": 1.76, "internet": 1.45, "fiber": 1.40, "term": -0.82, "two_year": -0.91,
        "senior": 0.70, "paperless": 0.54,
    },
}  # fmt: skip
ADD_ONS = {
    "OnlineSecurity": "security",
    "OnlineBackup": "backup",
    "DeviceProtection": "protection",
    "TechSupport": "support",
    "StreamingTV": "tv",
    "StreamingMovies": "movies",
}

# Log-odds of churn, fitted likewise. Charges are left out: they follow from the services, so that prices can move
# while the way in which customers decide stays.
CHURN: Coefficients = {
    "base": -1.61, "tenure": -2.03, "early": 1.35, "internet": 0.81, "fiber": 0.95, "term": -1.33, "two_year": -1.04,
    "tenure*term": 1.21, "phone": -0.57, "lines": 0.37, "senior": 0.25, "security": -0.32, "support": -0.28,
    "tv": 0.31, "movies": 0.33, "paperless": 0.35, "electronic": 0.33,
}  # fmt: skip

# Dollars a month for each service and the spread around their sum; least squares on the same sample, rounded.
PRICES: Coefficients = {
    "internet": 25.0, "fiber": 25.0, "phone": 20.0, "lines": 5.0, "security": 5.0, "backup": 5.0, "protection": 5.0,
    "support": 5.0, "tv": 10.0, "movies": 10.0,
}  # fmt: skip
PRICE_SPREAD = 1.02
BILLING_SPREAD = 0.2  # of total charges around tenure x monthly charge, in monthly charges per square root of a month
PRICE_STEPS = 20  # to the dollar: charges are multiples of five cents

# What each kind of drift changes; chosen, not fitted.
COVARIATE_LOG_ODDS: Coefficients = {"fiber": 1.1, "term": -1.2, "paperless": 0.6}
COVARIATE_TENURE_POWER = 1.8  # of the uniform draw: above 1 means newer customers
COVARIATE_PRICE_FACTOR = 1.2
PRIOR_ODDS_FACTOR = 2.5
PRIOR_POOL = 4  # customers drawn for each one kept
# Fiber, streaming and electronic checks turn from reasons to leave into reasons to stay; the base keeps the churn rate.
CONCEPT_CHURN: Coefficients = {**CHURN, "base": 0.4, "fiber": -1.5, "electronic": -0.33, "tv": -0.31, "movies": -0.33}

LETTERS = np.array(list(string.ascii_uppercase))
DIGIT_CODES, LETTER_CODES = 10**4, 26**5
ID_DAYS, ID_ROWS = 100_000, 1_000_000  # their product is below DIGIT_CODES * LETTER_CODES


@dataclass(frozen=True)
class Drift:
    """A lasting change of the population from the day ``start`` on.

    ``covariate``: newer customers, more fiber, fewer contracts, higher prices; P(churn | customer) stays.
    ``prior``: more of the customers churn; P(customer | churn) stays.
    ``concept``: other customers churn; the customers stay, row by row.
    """

    kind: DriftKind
    start: dt.date

    def __post_init__(self) -> None:
        if self.kind not in get_args(DriftKind):
            raise ValueError(f"unknown kind of drift {self.kind!r}; known are {', '.join(get_args(DriftKind))}")


def simulate_day(day: dt.date, *, rows: int, seed: int, drift: Drift | None = None) -> pd.DataFrame:
    """Customers observed on ``day``, with labels: ``rows`` x Telco's 21 columns, typed as ``pd.read_csv`` types them.

    Charges are in dollars, ``tenure`` is in months, ``TotalCharges`` is text, blank (" ") where ``tenure`` is 0. The
    frame is a function of the arguments alone; each day has a random stream of its own, and ids do not repeat over
    days. Raises ``ValueError`` for a negative seed and for ``rows`` outside 0 to 1,000,000.
    """
    if not 0 <= rows <= ID_ROWS:
        raise ValueError(f"rows must be from 0 to {ID_ROWS:,}, not {rows:,}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, as {seed} is")
    kind = drift.kind if drift is not None and day >= drift.start else None
    rng = np.random.default_rng([seed, day.toordinal()])
    if kind == "prior":
        customers = _more_churners(rng, _customers(rng, rows * PRIOR_POOL, None), rows)
    else:
        customers = _customers(rng, rows, kind)
    customers.insert(0, "customerID", _ids(day, rows))
    return customers


@dataclass
class _Population:
    """The traits drawn so far, each an array of ``size`` numbers."""

    rng: np.random.Generator
    size: int
    shifts: Coefficients
    traits: dict[str, Floats] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Floats:
        return self.traits[name]

    def sum(self, coefficients: Coefficients) -> Floats:
        total = np.full(self.size, coefficients.get("base", 0.0))
        for name, weight in coefficients.items():
            if name != "base":
                total += weight * math.prod(self.traits[factor] for factor in name.split("*"))
        return total

    def chance(self, coefficients: Coefficients, shift: float = 0.0) -> Floats:
        return 1 / (1 + np.exp(-self.sum(coefficients) - shift))

    def draw(self, *names: str, among: Floats | float = 1.0) -> None:
        """Draw each trait in turn; customers outside ``among`` (0 or 1) do not have it."""
        for name in names:
            drawn = self.rng.random(self.size) < self.chance(TRAITS[name], self.shifts.get(name, 0.0))
            self.traits[name] = np.where(drawn, among, 0.0)


def _customers(rng: np.random.Generator, size: int, kind: DriftKind | None) -> pd.DataFrame:
    """All columns but the id. The label is drawn last, so that concept drift leaves every other column as it was."""
    moved = kind == "covariate"
    people = _Population(rng, size, shifts=COVARIATE_LOG_ODDS if moved else {})
    months = _tenure(people, power=COVARIATE_TENURE_POWER if moved else 1.0)
    _plan(people)
    _household(people)
    _services(people)
    _billing(people)
    monthly, total = _charges(people, months, factor=COVARIATE_PRICE_FACTOR if moved else 1.0)
    churned = rng.random(size) < people.chance(CONCEPT_CHURN if kind == "concept" else CHURN)
    return _frame(people, months, monthly, total, churned)


def _tenure(people: _Population, power: float) -> npt.NDArray[np.int64]:
    quantile = people.rng.random(people.size) ** power
    months = np.ceil(np.interp(quantile, TENURE_SHARES, TENURE_MONTHS)).astype(np.int64)
    people.traits["tenure"] = months / LONGEST_TENURE
    people.traits["early"] = 1 / np.maximum(months, 1)
    return months


def _plan(people: _Population) -> None:
    people.draw("internet")
    people.draw("fiber", among=people["internet"])
    people.draw("term")
    people.draw("two_year", among=people["term"])


def _household(people: _Population) -> None:
    people.draw("male", "senior", "partner", "dependents")


def _services(people: _Population) -> None:
    dsl = people["internet"] - people["fiber"]
    people.draw("phone_with_dsl", among=dsl)
    people.traits["phone"] = 1 - dsl + people["phone_with_dsl"]  # only a DSL customer can be without a telephone
    people.draw("lines", among=people["phone"])
    people.draw(*ADD_ONS.values(), among=people["internet"])


def _billing(people: _Population) -> None:
    people.draw("paperless", "automatic")
    people.draw("card", among=people["automatic"])
    people.draw("electronic", among=1 - people["automatic"])


def _charges(people: _Population, months: npt.NDArray[np.int64], factor: float) -> tuple[Floats, Floats]:
    """Monthly and total charges; the total strays from their product as a sum of independent months would."""
    monthly = _to_price(factor * (people.sum(PRICES) + people.rng.normal(0, PRICE_SPREAD, people.size)))
    strayed = people.rng.normal(0, BILLING_SPREAD, people.size) * np.sqrt(np.maximum(months - 1, 0))
    return monthly, _to_price(monthly * np.maximum(months + strayed, np.minimum(months, 1)))


def _to_price(dollars: Floats) -> Floats:
    return np.round(dollars * PRICE_STEPS) / PRICE_STEPS


def _frame(
    people: _Population, months: npt.NDArray[np.int64], monthly: Floats, total: Floats, churned: npt.NDArray[np.bool_]
) -> pd.DataFrame:
    """Traits in Telco's words, columns in Telco's order."""

    def words(name: str, yes: str | Texts = "Yes", no: str | Texts = "No") -> Texts:
        return np.where(people[name] == 1, yes, no)

    columns = {
        "gender": words("male", "Male", "Female"),
        "SeniorCitizen": people["senior"].astype(np.int64),
        "Partner": words("partner"),
        "Dependents": words("dependents"),
        "tenure": months,
        "PhoneService": words("phone"),
        "MultipleLines": words("phone", words("lines"), "No phone service"),
        "InternetService": words("internet", words("fiber", "Fiber optic", "DSL")),
        **{column: words("internet", words(name), "No internet service") for column, name in ADD_ONS.items()},
        "Contract": words("term", words("two_year", "Two year", "One year"), "Month-to-month"),
        "PaperlessBilling": words("paperless"),
        "PaymentMethod": words(
            "automatic",
            words("card", "Credit card (automatic)", "Bank transfer (automatic)"),
            words("electronic", "Electronic check", "Mailed check"),
        ),
        "MonthlyCharges": monthly,
        "TotalCharges": _texts(f"{dollars:.10g}" if dollars else " " for dollars in total),
        "Churn": np.where(churned, "Yes", "No"),
    }
    return pd.DataFrame(columns)


def _more_churners(rng: np.random.Generator, pool: pd.DataFrame, rows: int) -> pd.DataFrame:
    """``rows`` of the pool, chosen by class alone: this raises the churn rate and keeps P(customer | churn)."""
    if not rows:
        return pool
    weight = np.where(pool["Churn"] == "Yes", PRIOR_ODDS_FACTOR, 1.0)
    kept = rng.choice(len(pool), size=rows, replace=False, p=weight / weight.sum())
    return pool.iloc[kept].reset_index(drop=True)


def _ids(day: dt.date, rows: int) -> Texts:
    """One id in Telco's form (``1234-ABCDE``) per row, unique over any 100,000 days in a row (273 years).

    Day and row make one number below 10^11, and number to id is one to one: the number is ``letters * 10^4 + digits``;
    for fixed digits the first step permutes the letters (its factor is coprime to 26), for fixed letters the second
    permutes the digits (its factor is coprime to 10), so each can be undone.
    """
    number = day.toordinal() % ID_DAYS * ID_ROWS + np.arange(rows, dtype=np.int64)
    letters, digits = np.divmod(number, DIGIT_CODES)
    letters = (letters * 6_364_139 + digits * 1_442_695) % LETTER_CODES
    digits = (digits * 2_897 + letters * 7_919) % DIGIT_CODES
    spelled = LETTERS[letters[:, None] // 26 ** np.arange(5) % 26]
    return _texts(f"{code:04d}-{''.join(word)}" for code, word in zip(digits, spelled, strict=True))


def _texts(values: Iterable[str]) -> Texts:
    """An array that pandas takes for text, also when it is empty."""
    return np.array(list(values), dtype=np.str_)
