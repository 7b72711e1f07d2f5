"""A version of the model with the features that it was trained on: all that is needed to answer, made ready once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from include.evaluation.slices import grouping
from include.evaluation.thresholds import Thresholds
from include.explanation.samples import BACKGROUND, FOLDER
from include.explanation.single import background_of
from include.features.build import Columns, FeatureError, Function, feature_version, load_functions
from include.files import read_json
from include.registry import versions
from include.serving.problems import Problem
from include.serving.rows import Contract, Row
from include.spec import UseCase
from include.training.package import LoadedModel
from include.training.preparation import PREPARE, learned_categories

log = logging.getLogger(__name__)

VERDICT = "verdict.json"


class FeaturesDiffer(RuntimeError):
    """The model was trained with other features than the use case has now; the message says how to mend it."""


@dataclass(frozen=True)
class Scored:
    """Of each row: the probability of the positive class, whether to act on it, and which categories are unknown."""

    scores: list[float]
    decisions: list[bool]
    unseen: list[list[str]]


@dataclass(frozen=True)
class Scorer:
    """``version`` as the registry numbers it; ``package`` is the folder that it was loaded from."""

    version: str
    model: LoadedModel
    spec: UseCase
    contract: Contract
    functions: Mapping[str, Function]
    learned: Mapping[str, frozenset[str]]
    background: pd.DataFrame | None
    """Of explanations; None for a package without one."""
    metrics: Mapping[str, float | int | None]
    """Of the hold-out that it was promoted with; none for a package without a verdict."""

    @classmethod
    def make(cls, version: str, model: LoadedModel, spec: UseCase, cache: Path) -> Scorer:
        """Raises ``FeaturesDiffer``, and what ``load_functions`` raises."""
        if model.manifest.feature_version != feature_version(spec):
            raise FeaturesDiffer(
                f"version {version} was trained with other features than {spec.folder} has now; put those back, or "
                f"run {spec.name}_retrain"
            )
        package = versions.folder(cache, spec.name, version)
        return cls(
            version,
            model,
            spec,
            Contract(spec),
            load_functions(spec),
            learned_categories(model.pipeline[PREPARE]),
            background_of(package, model) if (package / FOLDER / BACKGROUND).is_file() else None,
            read_json(package / VERDICT)["metrics"]["challenger"] if (package / VERDICT).is_file() else {},
        )

    @property
    def thresholds(self) -> Thresholds | None:
        """Those by group, while the spec has the groups; else one threshold is for all, as when a batch is scored."""
        own = self.model.manifest.thresholds
        return own if own and own.go_with(self.spec) else None

    @property
    def is_quick(self) -> bool:
        """Whether a few scores take less than it takes to hand them to another thread."""
        return self.model.compiled is not None

    def takes(self, other: Scorer, *, inputs: bool) -> bool:
        """Whether rows that were checked for ``other`` fit this one as well; ``inputs``: rows of model inputs."""
        if inputs:
            return self.spec.feature_types == other.spec.feature_types
        return self.spec.columns == other.spec.columns and self.spec.observed_at == other.spec.observed_at

    def features(self, rows: Sequence[Row]) -> Columns:
        """Model inputs of checked rows. Raises ``Problem`` when a feature has none for a row."""
        try:
            return self.contract.features(rows, self.functions)
        except FeatureError as error:
            raise Problem("NO_SCORE", f"{error}; the row is what the spec allows, so mend the feature") from error

    def score(self, features: Columns, rows: Sequence[Row]) -> Scored:
        """Score model inputs; ``rows`` are what they were made of, or they themselves."""
        scores = self.model.score_columns(features)
        if not np.isfinite(scores).all():
            place = int(np.flatnonzero(~np.isfinite(scores))[0])
            raise Problem("NO_SCORE", f"row {place} has values so large that its score is no number")
        return Scored(scores.tolist(), self._decide(scores, rows), self._unseen(features, len(rows)))

    def _decide(self, scores: np.ndarray, rows: Sequence[Row]) -> list[bool]:
        if (thresholds := self.thresholds) is None:
            return [score >= self.spec.decision.threshold for score in scores.tolist()]
        return thresholds.decide(scores, self._groups(rows, thresholds)).tolist()

    def _groups(self, rows: Sequence[Row], thresholds: Thresholds) -> list[str]:
        """The group of each row; none where the columns that tell it were not sent, as with rows of model inputs."""
        if not all(name in rows[0] for name in thresholds.by):
            return [""] * len(rows)
        columns = pd.DataFrame({name: [row[name] for row in rows] for name in thresholds.by})
        return grouping(columns, thresholds.by, self.spec).of_rows.tolist()

    def _unseen(self, features: Columns, rows: int) -> list[list[str]]:
        found: list[list[str]] = [[] for _ in range(rows)]
        for name, learned in self.learned.items():
            for place, value in enumerate(features[name].tolist()):
                if value not in learned:
                    found[place].append(name)
        return found
