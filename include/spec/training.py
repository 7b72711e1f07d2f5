"""How models are made of the data: the split along time, the candidates, what a decision is worth."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from include.spec.base import Count, Frozen, Many, Name, Scalar

FIXED = {
    "random_state": "set training.seed instead",
    "early_stopping": "would hold out random rows, across days; search max_iter or tol instead",
}
"""Parameters of estimators that a candidate cannot have, and why."""


class Split(Frozen):
    """Time-ordered split: the newest days with mature labels are the hold-out."""

    window_days: Count = 365
    holdout_fraction: float = Field(0.25, gt=0, lt=1)
    folds: int = Field(3, ge=2)
    ids_return: bool = False  # one id may be observed on many days


class Candidate(Frozen):
    """One kind of model, the grid from which ``trials`` settings are drawn, seeded, and what training may cost."""

    kind: Literal[
        "logistic_regression", "decision_tree", "random_forest", "hist_gradient_boosting", "linear_svm", "mlp"
    ]
    params: dict[str, Scalar] = {}
    search: dict[str, Annotated[Many[Scalar], Field(min_length=1)]] = {}
    trials: Count = 1
    seconds: float | None = Field(None, gt=0)
    """After so long no further setting is tried. What is found then depends on the machine, and trained again it may be
    another model, so there is no such budget unless it is asked for."""
    max_rows: int | None = Field(None, ge=1000)
    """Learn from so many training rows at most, drawn by the seed; for kinds that take too long for all of them."""
    calibration: Literal["none", "sigmoid", "isotonic", "auto"] = "none"
    """What may bring the probabilities closer to the rates that were seen; ``auto`` tries both. It is used only where
    it lowers the Brier score on later days of the training rows."""

    @model_validator(mode="after")
    def _says_each_setting_once(self) -> Self:
        if both := sorted(set(self.params) & set(self.search)):
            raise ValueError(f"{', '.join(both)}: stands both in 'params' and in 'search'")
        for name, instead in FIXED.items():
            if name in self.params or name in self.search:
                raise ValueError(f"{name}: {instead}")
        return self

    @model_validator(mode="after")
    def _writes_numbers_as_numbers(self) -> Self:
        for _, name, value in self.settings:
            if isinstance(value, str) and _is_number(value):
                raise ValueError(
                    f"{name}: {value!r} is text in YAML; write a number without quotes and with a point, such as 1.0e-2"
                )
        return self

    @property
    def settings(self) -> list[tuple[str, str, Scalar]]:
        """Every value that a parameter may have: the part it stands in, the parameter and the value."""
        given = [("params", name, value) for name, value in self.params.items()]
        return given + [("search", name, value) for name, values in self.search.items() for value in values]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class Training(Frozen):
    split: Split = Split()
    seed: int = Field(0, ge=0)
    selection_metric: Literal["roc_auc", "average_precision", "log_loss", "brier"] = "roc_auc"
    candidates: dict[Name, Candidate] = Field(min_length=1)
    """By name, the slowest first: it has the processor before the others, which train beside it."""


class Decision(Frozen):
    """What a row is worth, in any one unit, by its label and by whether it was acted on."""

    true_positive: float = 1.0
    false_positive: float = -1.0
    false_negative: float = 0.0
    true_negative: float = 0.0

    @model_validator(mode="after")
    def _acting_pays_for_the_right_rows(self) -> Self:
        if self.true_positive <= self.false_negative or self.true_negative <= self.false_positive:
            raise ValueError(
                "to act has to be worth more than not to act for a positive row (true_positive, false_negative), and "
                "less for a negative one (false_positive, true_negative)"
            )
        return self

    @property
    def threshold(self) -> float:
        """The probability from which on acting is worth more than not acting; 0.5 for the default values.

        C. Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001, equation 2.
        """
        right, wrong = self.true_positive - self.false_negative, self.true_negative - self.false_positive
        return wrong / (wrong + right)
