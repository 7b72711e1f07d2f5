"""How good the challenger is on parts of the rows: by the values of a column, or of several taken together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from include.evaluation.metrics import OF_ALL_ROWS, single
from include.evaluation.resampling import Figure, resample
from include.spec import MISSING, Decision, Gate, Slices, UseCase

MOST_RESAMPLES, LEAST_RESAMPLES, DRAWN_ROWS = 500, 200, 5_000_000
"""Of each slice so many as draw about this number of rows: the figures of a large one hardly vary."""
OTHER = "other"
"""The group of the rows with a value that the spec does not list any more."""


@dataclass(frozen=True)
class Grouping:
    """The rows divided ``by`` columns: ``codes``, of shape (rows,), are the places in ``values`` of each row's group.

    ``values`` has all groups that there can be, by column, also those without a row.
    """

    by: tuple[str, ...]
    values: tuple[dict[str, str], ...]
    codes: np.ndarray

    @property
    def names(self) -> list[str]:
        """What the groups are called, such as ``gender: Female, SeniorCitizen: 1``."""
        return [name_of(values) for values in self.values]

    @property
    def of_rows(self) -> np.ndarray:
        """The name of each row's group, of shape (rows,)."""
        return np.array(self.names, dtype=object)[self.codes]

    def rows(self) -> Iterator[np.ndarray]:
        """The places of the rows of each group, in their order."""
        order = np.argsort(self.codes, kind="stable")
        ends = np.searchsorted(self.codes[order], np.arange(len(self.values)), side="right")
        yield from np.split(order, ends[:-1])


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows with these ``values``. ``insufficient`` are the metrics for which there are too few of them."""

    values: dict[str, str]
    name: str
    n: int
    positives: int
    figures: tuple[Figure, ...]
    insufficient: tuple[str, ...]


def name_of(values: Mapping[str, str]) -> str:
    """What the group with these values, by column, is called."""
    return ", ".join(f"{column}: {value}" for column, value in values.items())


def groupings(rows: pd.DataFrame, spec: UseCase) -> tuple[Grouping, ...]:
    """The ways in which the spec divides ``rows``, which have all columns of ``spec.groupings``."""
    return tuple(grouping(rows, by, spec) for by in spec.groupings)


def grouping(rows: pd.DataFrame, by: tuple[str, ...], spec: UseCase) -> Grouping:
    """How these columns divide ``rows``: each value of the one with each of the others."""
    coded = [_coded(rows[name], name, spec) for name in by]
    codes = np.ravel_multi_index([codes for codes, _ in coded], [len(groups) for _, groups in coded])
    values = tuple(dict(zip(by, values, strict=True)) for values in product(*(groups for _, groups in coded)))
    return Grouping(by, values, codes)


def measure(
    divisions: Sequence[Grouping],
    labels: np.ndarray,
    scores: Mapping[str, np.ndarray],
    gate: Gate,
    decision: Decision,
    *,
    seed: int,
) -> tuple[Slice, ...]:
    """Each metric of the gate's rules on each slice, for the challenger and, if it is among ``scores``, the champion.

    ``labels`` (0 or 1) and the scores (probabilities) are of shape (rows,).
    """
    metrics = sorted({rule.metric for rule in gate.rules})

    def measured(values: dict[str, str], places: np.ndarray) -> Slice:
        truth, of_models = labels[places], {model: found[places] for model, found in scores.items()}
        n, positives = len(places), int(truth.sum())
        enough = [metric for metric in metrics if _suffices(metric, n, positives, gate.slices)]
        figures: list[Figure] = []
        if enough:
            resamples = max(LEAST_RESAMPLES, min(MOST_RESAMPLES, DRAWN_ROWS // n))
            draws = resample(truth, of_models, enough, decision, seed=seed, resamples=resamples)
            for metric in enough:
                found = {model: single(metric, truth, one, decision) for model, one in of_models.items()}
                figures.append(draws.figure(metric, found, n, gate.confidence))
        insufficient = tuple(metric for metric in metrics if metric not in enough)
        return Slice(values, name_of(values), n, positives, tuple(figures), insufficient)

    return tuple(
        measured(values, places)
        for division in divisions
        for values, places in zip(division.values, division.rows(), strict=True)
    )


def _suffices(metric: str, n: int, positives: int, asked: Slices) -> bool:
    """Whether there are rows enough, and of each class where the metric compares them."""
    rarer = min(positives, n - positives)
    return n >= asked.minimum_support and (metric in OF_ALL_ROWS or rarer >= asked.minimum_class_support)


def _coded(column: pd.Series, name: str, spec: UseCase) -> tuple[np.ndarray, tuple[str, ...]]:
    """For each row the place of its group, and the groups."""
    groups = spec.groups_of(name)
    if spec.columns[name].is_numeric:
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        codes = np.searchsorted(spec.gate.slices.bins[name], numbers, side="right")
    else:
        codes = pd.Index(groups).get_indexer(pd.Index(column.astype("str")))
    absent = column.isna().to_numpy()
    for others, group in ((absent, MISSING), (~absent & (codes < 0), OTHER)):
        if others.any():
            groups = groups if group in groups else (*groups, group)
            codes = np.where(others, groups.index(group), codes)
    return codes, groups
