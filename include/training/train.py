"""One candidate from rows to a model: search, fit, calibrate. A second training of the same rows takes the same way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from include.spec import Candidate, UseCase
from include.training.calibration import Calibration, calibrate
from include.training.search import SearchResult, fit, search


@dataclass(frozen=True, slots=True)
class Trained:
    """``rows`` is how many the model learned from: fewer than there were if the candidate's ``max_rows`` says so."""

    pipeline: Pipeline
    search: SearchResult
    calibration: Calibration
    rows: int


def train(
    frame: pd.DataFrame, labels: np.ndarray, observed_at: pd.Series, candidate: Candidate, spec: UseCase
) -> Trained:
    """Train ``candidate`` on ``frame`` (rows, features) with ``labels`` (0 or 1). Raises what ``search`` raises."""
    found = search(frame, labels, observed_at, candidate, spec)
    fitted = fit(frame, labels, candidate, found.params, spec)
    pipeline, calibration = calibrate(fitted, candidate.calibration, found.validated, labels)
    return Trained(pipeline, found, calibration, min(len(labels), candidate.max_rows or len(labels)))
