"""All that is said about one model, and its files."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.explanation import figures, importance
from include.explanation.importance import DEPENDENCE_ROWS, Dependence, PermutationImportance
from include.explanation.model import Explained
from include.explanation.reasons import describe
from include.explanation.samples import BACKGROUND, as_csv, pinned
from include.explanation.shapley import TOLERANCE, Attributions, attribute
from include.explanation.surrogate import Surrogate, distil
from include.files import read_json, require_hash, whole, write_parquet, write_text
from include.spec import UseCase
from include.training.package import LoadedModel

BACKGROUND_ROWS = 200
EXPLAINED_ROWS, SAMPLED_ROWS = 1000, 500
"""Rows that are explained: of a kind that is explained exactly, and of any other."""
FITTED_ROWS = 5000
"""Training rows whose scores the surrogate learns."""
SUMMARY, VALUES = "explanation.json", "shap_values.parquet"


@dataclass(frozen=True)
class Explanation:
    """Everything about one model on pinned rows; ``rows`` are the inputs of ``attributions``, ``scores`` theirs."""

    attributions: Attributions
    background: pd.DataFrame
    rows: pd.DataFrame
    scores: np.ndarray
    permutation: PermutationImportance
    dependence: tuple[Dependence, ...]
    surrogate: Surrogate
    descriptions: dict[str, str]

    @cached_property
    def order(self) -> list[int]:
        """The inputs from the most important on, by SHAP."""
        return np.argsort(-self.attributions.importance, kind="stable").tolist()

    def summary(self) -> dict[str, Any]:
        """What ``explanation.json`` holds."""
        found = self.attributions
        return {
            "method": found.method,
            "sampled": found.method == "sampled",
            "unit": found.unit,
            "rows": len(self.rows),
            "base_value": found.base,
            "background": {"rows": len(self.background), "sha256": found.background_sha256},
            "additivity": {"error": found.error, "tolerance": TOLERANCE},
            "importance": [self._of_input(number) for number in self.order],
            "permutation": {"metric": self.permutation.metric, "baseline": _number(self.permutation.baseline)},
            "partial_dependence": {
                one.name: {"values": list(one.values), "scores": one.scores.tolist(), "shares": one.shares.tolist()}
                for one in self.dependence
            },
            "surrogate": {
                **{name: _number(getattr(self.surrogate, name)) for name in ("r2", "rank_agreement")},
                "fitted_on": self.surrogate.fitted_on,
                "rows": self.surrogate.rows,
                "rules": self.surrogate.rules,
                "tree": asdict(self.surrogate.root),
            },
        }

    def _of_input(self, number: int) -> dict[str, Any]:
        name = self.attributions.names[number]
        return {
            "input": name,
            "description": self.descriptions[name],
            "mean_abs_shap": float(self.attributions.importance[number]),
            "permutation_mean": _number(self.permutation.mean[number]),
            "permutation_std": _number(self.permutation.std[number]),
        }


def explain(
    model: LoadedModel, training: pd.DataFrame, rows: pd.DataFrame, labels: np.ndarray, spec: UseCase
) -> Explanation:
    """Explain ``model`` on pinned ``rows`` that it was not trained on; ``labels`` are theirs, 0 or 1.

    ``training`` gives the background and what the surrogate learns from. Both frames are model inputs; of each only so
    many rows are used, drawn by the spec's seed. Raises ``AdditivityError``.
    """
    seed = spec.training.seed
    seen = Explained(model.pipeline)
    background = training.iloc[pinned(training, BACKGROUND_ROWS, seed)]
    fitted = training.iloc[pinned(training, FITTED_ROWS, seed)]
    places = pinned(rows, SAMPLED_ROWS if seen.method == "sampled" else EXPLAINED_ROWS, seed)
    rows, labels = rows.iloc[places], labels[places]
    scores = model.score(rows)
    few = rows.iloc[pinned(rows, DEPENDENCE_ROWS, seed)]
    return Explanation(
        attributions=attribute(seen, rows, background, seed),
        background=background,
        rows=rows,
        scores=scores,
        permutation=importance.permutation_importance(seen, rows, labels, spec.training.selection_metric, seed),
        dependence=tuple(importance.partial_dependence(seen, few)),
        surrogate=distil(fitted, model.score(fitted), rows, scores),
        descriptions={name: describe(spec, name) for name in seen.names},
    )


def write(explanation: Explanation, folder: Path, *, rows: str = "rows", positive: str = "positive") -> list[Path]:
    """Write data and figures to ``folder`` and return their paths.

    ``rows`` says what the explained rows are, ``positive`` what the score is the probability of.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = explanation.attributions
    write_text(folder / SUMMARY, json.dumps(explanation.summary(), indent=2, ensure_ascii=False))
    with whole(folder / BACKGROUND) as path:
        path.write_bytes(as_csv(explanation.background))
    values = pd.DataFrame(found.values, columns=list(found.names))
    values = values.assign(base_value=found.base, output=found.outputs, score=explanation.scores)
    write_parquet(folder / VALUES, values)
    write_parquet(folder / "explained_rows.parquet", explanation.rows)
    data = [folder / name for name in (SUMMARY, BACKGROUND, VALUES, "explained_rows.parquet")]
    return [*data, *figures.draw(explanation, folder, rows=rows, positive=positive)]


def kept(folder: Path) -> dict[str, bytes]:
    """Of what ``write`` wrote, the files that stay with the model: small, and enough to explain a score later, and to
    see whether it goes by other inputs then.

    Raises ``FileDamaged``.
    """
    require_hash(folder / BACKGROUND, read_json(folder / SUMMARY)["background"]["sha256"])
    return {name: (folder / name).read_bytes() for name in (SUMMARY, BACKGROUND, VALUES)}


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else float(value)
