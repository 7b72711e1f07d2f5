"""A registered model trained a second time from its record: the same rows, spec and code make the same model."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from threadpoolctl import threadpool_limits

from include.data.window import LABEL, OBSERVED
from include.features import build as features
from include.spec import UseCase
from include.training.fingerprint import ingredients, model_hash
from include.training.package import Manifest
from include.training.split import split
from include.training.train import train


@dataclass(frozen=True)
class Reproduction:
    """Model hashes, as recorded and as found now; None where other rows made a second training pointless."""

    recorded: str
    found: str | None
    changes: tuple[str, ...]

    @property
    def equal(self) -> bool:
        return self.recorded == self.found


def reproduce(labelled: pd.DataFrame, spec: UseCase, manifest: Manifest) -> Reproduction:
    """Train the candidate of ``manifest`` again on the training rows among ``labelled``.

    ``labelled`` holds the observations that the training could learn from, with ``label``; ``spec`` is the one it was
    trained by.
    """
    labelled = labelled.reset_index(drop=True)
    chosen = split(labelled, spec.training.split).train
    rows = labelled[chosen].reset_index(drop=True)
    recorded = manifest.ingredients
    now = ingredients(rows, spec, recorded.threads)
    changes = tuple(recorded.changes(now))
    if now.rows != recorded.rows:
        return Reproduction(manifest.model_sha256, None, changes)
    matrix = features.build(labelled, spec)[chosen].reset_index(drop=True)
    labels, candidate = rows[LABEL].to_numpy(), spec.training.candidates[manifest.candidate]
    # Sums in another number of threads round differently.
    with threadpool_limits(recorded.threads or None):
        trained = train(matrix, labels, rows[OBSERVED], candidate, spec)
    found = model_hash(trained.pipeline)
    if found != manifest.model_sha256 and candidate.seconds is not None:
        changes += (f"the search had {candidate.seconds:g} s, in which a machine does not always come equally far",)
    return Reproduction(manifest.model_sha256, found, changes)
