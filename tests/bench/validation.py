"""The validation of a batch beside Great Expectations on pandas: ``python -m tests.bench.validation FILE``.

Prints the seconds of both for every round as JSON; ends with an error if their verdicts differ.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import great_expectations as gx
import numpy as np
import pandas as pd

from include.data import contract, expectations
from include.data.calendar import midnight
from include.spec import UseCase, load
from tests.bench.data import CHURN
from tests.steps.loop import FIRST

ROUNDS = 3
BROKEN_SHARE = 0.002
"""Of the rows, for each kind of fault."""


def main(path: Path) -> None:
    spec = load(CHURN / "spec.yaml")
    conformed = contract.conform(contract.read(path, spec), spec)
    frame = broken(conformed.frame.assign(observed_at=midnight(FIRST)), spec)
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        ours = expectations.validate(frame, conformed.faults, spec)
        between = time.perf_counter()
        theirs = great_expectations_on_pandas(frame, spec)
        rounds.append((between - began, time.perf_counter() - between))
        require_same(ours, theirs)
    print(json.dumps(rounds))


def broken(frame: pd.DataFrame, spec: UseCase) -> pd.DataFrame:
    """``frame`` with values that break each kind of rule, in a few rows each."""
    frame = frame.copy()
    rng = np.random.default_rng(7)
    for name, value in (("Contract", "Weekly"), ("tenure", 999.0), ("MonthlyCharges", -1.0), ("Partner", None)):
        frame.loc[rng.random(len(frame)) < BROKEN_SHARE, name] = value
    twice = np.flatnonzero(rng.random(len(frame)) < BROKEN_SHARE)
    frame.loc[twice, spec.id] = frame[spec.id].to_numpy()[twice - 1]
    return frame


def great_expectations_on_pandas(frame: pd.DataFrame, spec: UseCase) -> set[int]:
    """The rows that break an expectation of the suite."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    asset = context.data_sources.add_pandas("batch").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
    wanted = {"result_format": "COMPLETE", "include_unexpected_rows": False}
    results = batch.validate(expectations.compile_suite(spec), result_format=wanted).results
    return {row for result in results for row in result.result.get("unexpected_index_list") or ()}


def require_same(ours: expectations.Validation, theirs: set[int]) -> None:
    mine = set(np.flatnonzero(ours.broken_rules != "").tolist())
    if mine != theirs:
        raise AssertionError(f"{len(mine - theirs)} rows are refused only by us, {len(theirs - mine)} only by GX")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
