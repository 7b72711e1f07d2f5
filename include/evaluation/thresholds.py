"""From which score on a row is acted on when that depends on its group; kept with the model, for whoever serves it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from include.spec import Constraint, Frozen, Many, UseCase


class Thresholds(Frozen):
    """One threshold for each group ``by`` these columns, and ``otherwise`` for any other group.

    They make ``constraint`` hold on ``rows`` training rows whose scores came from models that had not seen them.
    """

    constraint: Constraint
    by: Many[str]
    groups: dict[str, float]
    otherwise: float
    rows: int

    def go_with(self, spec: UseCase) -> bool:
        """Whether the spec still has these groups; if not, one threshold is for all, in a batch as in an answer."""
        return set(self.by) in map(set, spec.groupings)

    def decide(self, scores: np.ndarray, groups: Sequence[str] | np.ndarray) -> np.ndarray:
        """Whether each row is acted on, of shape (rows,): ``groups`` are named as ``Grouping.of_rows`` does."""
        return np.asarray(scores >= np.array([self.groups.get(group, self.otherwise) for group in groups]))
