"""Single scores explained from a model's package alone: as the command line does it, and as an API may."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from include.explanation.lime import lime
from include.explanation.model import Explained, Method, Unit
from include.explanation.reasons import Reasons, reasons
from include.explanation.samples import BACKGROUND, FOLDER, from_csv
from include.explanation.shapley import attribute
from include.spec import UseCase
from include.training.package import LoadedModel


@dataclass(frozen=True)
class ExplainedScore:
    """``score`` is the probability of the positive class; ``output`` is what the reasons add up to from ``base``.

    Both are in ``unit``. ``sampled`` reasons have an error, the others are exact.
    """

    score: float
    output: float
    base: float
    unit: Unit
    method: Method
    reasons: Reasons


@dataclass(frozen=True)
class LocalReasons:
    """What LIME says of the same score; ``fidelity`` is how well its simple model fits, 1 at best."""

    reasons: Reasons
    fidelity: float


def background_of(package: Path, model: LoadedModel) -> pd.DataFrame:
    """The pinned rows that the package in the folder ``package`` keeps; ``load`` has compared them with their hash.

    Raises ``FileNotFoundError`` for a package without an explanation.
    """
    return from_csv((package / FOLDER / BACKGROUND).read_bytes(), model.manifest.feature_types)


def explain_score(model: LoadedModel, row: pd.DataFrame, background: pd.DataFrame, spec: UseCase) -> ExplainedScore:
    """Explain the score of the one ``row``, model inputs as of ``build``. Raises ``AdditivityError``."""
    inputs = row[list(model.manifest.feature_types)]
    found = attribute(Explained(model.pipeline), inputs, background, spec.training.seed)
    why = reasons(inputs.iloc[0], found.values[0], found.unit, spec)
    score, output = float(model.score(inputs)[0]), float(found.outputs[0])
    return ExplainedScore(score, output, found.base, found.unit, found.method, why)


def explain_rows(model: LoadedModel, rows: pd.DataFrame, background: pd.DataFrame, spec: UseCase) -> list[Reasons]:
    """The reasons of each of several ``rows``, model inputs as of ``build``. Raises ``AdditivityError``."""
    inputs = rows[list(model.manifest.feature_types)]
    found = attribute(Explained(model.pipeline), inputs, background, spec.training.seed)
    return [reasons(inputs.iloc[place], found.values[place], found.unit, spec) for place in range(len(inputs))]


def explain_locally(model: LoadedModel, row: pd.DataFrame, background: pd.DataFrame, spec: UseCase) -> LocalReasons:
    """The same by LIME."""
    inputs = row[list(model.manifest.feature_types)]
    found = lime(Explained(model.pipeline), inputs, background, spec.training.seed)
    return LocalReasons(reasons(inputs.iloc[0], found.effects, found.unit, spec), found.fidelity)
