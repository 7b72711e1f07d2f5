"""Choose a candidate's settings by successive halving over time-ordered folds of the training rows alone.

Each fold learns from all days before those that it is validated on, so that the folds grow and the first is the
cheapest. Every setting meets it, the better half goes on to the next, and the last two meet on all of them (K. Jamieson
and A. Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016, with folds for
the resource). Which settings there are and which go on depends on the seed and the rows, not on which is ready first:
another number of cores finds the same.
"""

from __future__ import annotations

import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from include.errors import DataRejected
from include.evaluation.metrics import single
from include.spec import LOWER_IS_BETTER, Candidate, UseCase
from include.training.candidates import make
from include.training.preparation import ESTIMATOR, PREPARE, as_categories, fit_prepare, transform
from include.training.split import Fold, time_folds

FINALISTS = 2
OUT_OF_TIME = "out of time"

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting and its score, in the units of the selection metric, on each fold that it met, in their order.

    ``ended`` says in words how far it came and why no further; ``seconds`` were spent on it.
    """

    params: Params
    folds: tuple[float, ...]
    ended: str
    seconds: float

    @property
    def mean(self) -> float:
        """NaN for a setting that met no fold."""
        return float(np.mean(self.folds)) if self.folds else math.nan


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The best of the settings that met every fold.

    ``params`` are the drawn ones, to be given to ``fit``; ``score`` is their mean over the folds. ``validated`` has for
    each fold the positions of the rows that it was validated on and the probabilities that these settings gave them.
    ``out_of_time``: the budget in seconds ended the search, and another machine may find other settings.
    """

    params: Params
    score: float
    trials: tuple[Trial, ...]
    validated: tuple[tuple[np.ndarray, np.ndarray], ...]
    out_of_time: bool
    seconds: float


def search(
    frame: pd.DataFrame, labels: np.ndarray, observed_at: pd.Series, candidate: Candidate, spec: UseCase
) -> SearchResult:
    """Try ``candidate.trials`` seeded settings on ``frame`` (rows, features); the first of equals wins.

    ``labels`` are 0 or 1, of shape (rows,). After ``candidate.seconds`` only the best so far meets the folds that are
    left, so that its score is one over all folds, as any other candidate's. Raises ``DataRejected`` (``TOO_FEW_DAYS``,
    ``ONE_CLASS_FOLD``).
    """
    began = time.monotonic()
    deadline = began + (candidate.seconds or math.inf)
    folds = time_folds(observed_at, spec.training.split.folds)
    _require_both_classes(labels, folds)
    frame = as_categories(frame)
    entrants = [_Entrant(number, params) for number, params in enumerate(draw(candidate, spec))]
    running = entrants
    with ThreadPoolExecutor(threads(spec), initializer=_one_thread_each) as pool:
        for number, fold in enumerate(folds, start=1):
            prepared = _prepare(frame, labels, fold, candidate, spec)
            list(pool.map(partial(_try, prepared, candidate, spec, leader=running[0], deadline=deadline), running))
            running = _ranked(running, number, spec)
            if number < len(folds):
                running = _go_on(running, number, time.monotonic() > deadline)
    best = running[0]
    for place, one in enumerate(running, start=1):
        one.ended = "chosen" if one is best else f"met all folds, rank {place} of {len(running)}"
    return SearchResult(
        params=best.params,
        score=float(np.mean(best.folds)),
        trials=tuple(Trial(one.params, tuple(one.folds), one.ended, one.seconds) for one in entrants),
        validated=tuple((valid, scores) for (_, valid), scores in zip(folds, best.scores, strict=True)),
        out_of_time=any(one.ended.startswith(OUT_OF_TIME) for one in entrants),
        seconds=time.monotonic() - began,
    )


def draw(candidate: Candidate, spec: UseCase) -> list[Params]:
    """The settings to try: without repeats, the same for the same seed."""
    grid = {name: list(values) for name, values in candidate.search.items()}
    trials = min(candidate.trials, len(ParameterGrid(grid)))
    return list(ParameterSampler(grid, trials, random_state=spec.training.seed))


def fit(frame: pd.DataFrame, labels: np.ndarray, candidate: Candidate, params: Params, spec: UseCase) -> Pipeline:
    """The candidate with these settings, fitted on ``frame``, or on those of its rows that ``drawn`` picks."""
    pipeline = make(candidate, spec.feature_types, params, spec.training.seed)
    rows = drawn(len(labels), candidate, spec)
    pipeline[ESTIMATOR].fit(fit_prepare(pipeline[PREPARE], frame.iloc[rows]), labels[rows])
    return pipeline


def drawn(rows: int, candidate: Candidate, spec: UseCase) -> np.ndarray | slice:
    """Which of so many rows the candidate learns from: all, or ``max_rows`` of them by the seed, in their order."""
    if candidate.max_rows is None or rows <= candidate.max_rows:
        return slice(None)
    return np.sort(np.random.default_rng(spec.training.seed).choice(rows, candidate.max_rows, replace=False))


def threads(spec: UseCase) -> int:
    """How many settings are tried at a time: the candidate's share of the cores, which all train side by side."""
    return max(1, (os.cpu_count() or 1) // len(spec.training.candidates))


@dataclass
class _Entrant:
    """A setting while it is tried; ``scores`` are its probabilities for the rows each fold is validated on."""

    number: int
    params: Params
    folds: list[float] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)
    seconds: float = 0.0
    ended: str = ""

    def leave(self, why: str) -> None:
        self.ended = why
        self.scores.clear()


@dataclass(frozen=True)
class _Prepared:
    """A fold as the estimator takes it; its rows are encoded once for all settings."""

    train: np.ndarray
    train_labels: np.ndarray
    valid: np.ndarray
    valid_labels: np.ndarray


def _prepare(frame: pd.DataFrame, labels: np.ndarray, fold: Fold, candidate: Candidate, spec: UseCase) -> _Prepared:
    train, valid = fold
    train = train[drawn(len(train), candidate, spec)]
    prepare = make(candidate, spec.feature_types, {}, spec.training.seed)[PREPARE]
    known = fit_prepare(prepare, frame.iloc[train])
    return _Prepared(known, labels[train], transform(prepare, frame.iloc[valid]), labels[valid])


def _try(
    fold: _Prepared, candidate: Candidate, spec: UseCase, one: _Entrant, *, leader: _Entrant, deadline: float
) -> None:
    """Let ``one`` meet ``fold``, unless the time is over and it is not the leader."""
    began = time.monotonic()
    if began > deadline and one is not leader:
        return
    estimator = make(candidate, spec.feature_types, one.params, spec.training.seed)[ESTIMATOR]
    one.scores.append(estimator.fit(fold.train, fold.train_labels).predict_proba(fold.valid)[:, 1])
    one.folds.append(single(spec.training.selection_metric, fold.valid_labels, one.scores[-1]))
    one.seconds += time.monotonic() - began


def _ranked(running: list[_Entrant], fold: int, spec: UseCase) -> list[_Entrant]:
    """Those that met the fold of this number, best first, of equals the one that was drawn first."""
    for one in running:
        if len(one.folds) < fold:
            one.leave(f"{OUT_OF_TIME} before fold {fold}")
    sign = 1 if spec.training.selection_metric in LOWER_IS_BETTER else -1
    met = [one for one in running if len(one.folds) == fold]
    return sorted(met, key=lambda one: (sign * np.mean(one.folds), one.number))


def _go_on(ranked: list[_Entrant], fold: int, out_of_time: bool) -> list[_Entrant]:
    """Those that meet the next fold; the others leave."""
    count = 1 if out_of_time else max(FINALISTS, math.ceil(len(ranked) / 2))
    why = OUT_OF_TIME if out_of_time else "halved"
    for place, one in enumerate(ranked[count:], start=count + 1):
        one.leave(f"{why} after fold {fold}, rank {place} of {len(ranked)}; the best {count} went on")
    return ranked[:count]


def _one_thread_each() -> None:
    """Sums in another number of threads round differently; the limit holds for the thread that sets it."""
    threadpool_limits(1, user_api="openmp")


def _require_both_classes(labels: np.ndarray, folds: list[Fold]) -> None:
    for number, rows in enumerate(folds, start=1):
        if any(len(np.unique(labels[part])) < 2 for part in rows):
            raise DataRejected(
                "ONE_CLASS_FOLD", f"fold {number} has rows of one class only; lower training.split.folds or add days"
            )
