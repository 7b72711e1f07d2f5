"""Batch scoring beside scikit-learn on rows that are in memory already, and its memory at ten million rows.

Called with the name of a command and its arguments as JSON, in the environment of a task; answers with one line: what
the command returns, and the most memory that the process has held.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import delete

from include.data import tables
from include.data.calendar import midnight
from include.data.simulator import simulate_day
from include.data.window import Lake
from include.features.build import build
from include.registry import tracking, versions
from include.settings import PROJECT, Settings
from include.spec import Scoring, UseCase, find
from include.stack.environment import process_environment
from include.state import database, publications
from include.state.database import connect
from include.steps import score as steps
from tests.bench import data
from tests.bench.figures import Values
from tests.bench.stack import Stack
from tests.steps import loop

ROUNDS = 3
CHUNK_ROWS, CHUNKS = 1_000_000, 10
COME_AGAIN = 20_000
"""Customers of the chunk before who are observed once more beside a chunk's own, and are scored as they are then."""
TABLE = "customers"
SAME = 1e-6


def scoring(folder: Path, say: Callable[[str], None]) -> Values:
    """At a million rows the time of a whole scoring over scikit-learn's, on one core; at ten million its memory.

    Every task of the scoring of ten million is a process of its own, and the partitions run side by side, as in
    Airflow: what counts is the most that they hold together.
    """
    with Stack(folder / "stack", use_cases=data.boosting_churn(folder / "use_cases")) as stack:
        stack.reset(data.telco(folder))
        run = functools.partial(_in_process, stack.settings)
        run("champion")
        run("publish", 0, 1)
        rounds = run("measure")["returned"]
        for number, (rows, ours, theirs) in enumerate(rounds):
            name = f"round {number}" if number else "warm-up"
            say(f"{name}: {rows:,.0f} rows, scoring {ours:.1f} s, scikit-learn {theirs:.1f} s")
        run("publish", 1, CHUNKS)
        peak = _of_many_rows(run, say)
    ratios = [ours / theirs for _, ours, theirs in rounds[1:]]
    return {"scoring.ratio_vs_memory": ratios, "scoring.peak_gb_10m": [peak]}


def _of_many_rows(run: Callable[..., Any], say: Callable[[str], None]) -> float:
    opened = run("open_run")["returned"]
    planned = run("step", "plan", opened)
    with ThreadPoolExecutor() as side_by_side:
        numbers = map(str, range(Scoring().partitions))
        parts = list(side_by_side.map(lambda n: run("step", "score_partition", planned["returned"], n), numbers))
    records = [part["returned"] for part in parts]
    published = run("step", "publish_scores", records[0], records)
    exported = run("step", "export", published["returned"])
    if (rows := sum(record["rows"] for record in records)) < CHUNK_ROWS * CHUNKS:
        raise RuntimeError(f"{rows:,} rows were scored, {CHUNK_ROWS * CHUNKS:,} expected")
    found = {"plan": [planned], "partitions": parts, "publish": [published], "export": [exported]}
    for name, processes in found.items():
        held = " + ".join(f"{one['gb']:.2f}" for one in processes)
        say(f"{rows:,} rows: {name} {max(one['seconds'] for one in processes):.1f} s, {held} GB")
    return max(sum(one["gb"] for one in processes) for processes in found.values())


def _in_process(settings: Settings, command: str, *arguments: Any) -> Any:
    call = [sys.executable, "-m", __name__, command, json.dumps(arguments)]
    done = subprocess.run(call, env=process_environment(settings), cwd=PROJECT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


# The commands.


def champion() -> None:
    """Make a champion of Telco's rows."""
    outcomes = loop.ingest("telco", loop.FIRST), loop.retrain("telco")
    if outcomes != ("PUBLISHED", "PROMOTED"):
        raise RuntimeError(f"the loop ended {outcomes}")


def publish(first: int, end: int) -> None:
    """Publish these chunks of simulated customers, as ingest would, each as the rows of a day."""
    settings = Settings.from_environment()
    engine, uri = connect(settings.state_url), tables.table_uri(settings.lake_uri, "churn", TABLE)
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        for number, rows in zip(range(first, end), processes.map(chunk, range(first, end)), strict=True):
            before = publications.latest(engine, "churn", "data")
            assert before is not None
            run_id, as_of = f"chunk{number}", day(number + 1)
            version = tables.append(uri, rows.assign(as_of=as_of, run_id=run_id), run_id, before.versions[TABLE])
            made = {**before.versions, TABLE: version}
            now = replace(before, run_id=run_id, as_of=as_of, last_day=day(number), versions=made)
            publications.publish(engine, now)


def measure() -> list[tuple[float, float, float]]:
    """For the warm-up and each round the rows, the seconds of a scoring, plan to exports, and of ``predict_proba``."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    settings = Settings.from_environment()
    engine, client = connect(settings.state_url), tracking.connect(settings.mlflow_uri)
    model = versions.fetch(client, "churn", str(versions.alias(client, "churn")), settings.home / "models")
    inputs = in_memory(settings, find("churn", settings.use_case_folders))[list(model.manifest.feature_types)]
    rounds = []
    for number in range(ROUNDS + 1):
        with engine.begin() as connection:  # else the second one would be UNCHANGED
            connection.execute(delete(database.runs).where(database.runs.c.kind == "score"))
        began = time.perf_counter()
        outcome = loop.score(f"round{number}", day(1))
        between = time.perf_counter()
        theirs = model.pipeline.predict_proba(inputs)[:, 1]
        rounds.append((float(len(inputs)), between - began, time.perf_counter() - between))
        require_same(settings, f"score-round{number}", outcome, theirs)
    return rounds


def open_run() -> Any:
    """The record that the first step of the scoring of all chunks is given."""
    return loop.open_run("score", "many", {"as_of": day(CHUNKS)})


def step(name: str, *arguments: Any) -> Any:
    """A step of the scoring."""
    return getattr(steps, name)(*arguments)


# What they share.


def day(number: int) -> str:
    """The day of a chunk, counted from the first day after Telco's rows."""
    return (date.fromisoformat(loop.FIRST) + timedelta(days=number)).isoformat()


def chunk(number: int) -> pd.DataFrame:
    """The customers of a chunk as ingest types them."""
    today, before = (date.fromisoformat(day(n)) for n in (number, number - 1))
    rows = simulate_day(today, rows=CHUNK_ROWS, seed=7)
    if number:
        again = simulate_day(before, rows=CHUNK_ROWS, seed=7).head(COME_AGAIN)
        rows = pd.concat([rows, again.assign(Contract="Two year")], ignore_index=True)
    return rows.drop(columns="Churn").assign(
        SeniorCitizen=rows["SeniorCitizen"].astype(str),
        tenure=rows["tenure"].astype(float),
        TotalCharges=pd.to_numeric(rows["TotalCharges"], errors="coerce"),
        observed_at=pd.Series(midnight(day(number)), index=rows.index).dt.as_unit("us"),
    )


def in_memory(settings: Settings, spec: UseCase) -> pd.DataFrame:
    """The model inputs of the rows that the rounds score."""
    published = publications.latest(connect(settings.state_url), "churn", "data")
    assert published is not None
    end = date.fromisoformat(day(1))
    lake = Lake(settings.lake_uri, spec, published)
    rows = lake.observations(end - timedelta(days=spec.scoring.window_days), end)
    return build(rows.drop_duplicates(spec.id, keep="last"), spec)


def require_same(settings: Settings, folder: str, outcome: str, theirs: np.ndarray) -> None:
    """The same scores, in whatever order."""
    if outcome != "SCORED":
        raise RuntimeError(f"the scoring ended {outcome}")
    ours = pd.read_parquet(settings.run_folder("churn", folder) / steps.ALL, columns=["score"])["score"].to_numpy()
    if len(ours) != len(theirs) or np.abs(np.sort(ours) - np.sort(theirs)).max() > SAME:
        raise RuntimeError(f"{len(ours):,} scores are not scikit-learn's {len(theirs):,}")


COMMANDS = (champion, publish, measure, open_run, step)


def _answer(command: str, arguments: Iterable[Any]) -> None:
    (call,) = [one for one in COMMANDS if one.__name__ == command]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # MLflow prints
    began = time.perf_counter()
    returned = call(*arguments)
    seconds, gigabytes = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(json.dumps({"returned": returned, "seconds": seconds, "gb": gigabytes}), file=answers, flush=True)


if __name__ == "__main__":
    _answer(sys.argv[1], json.loads(sys.argv[2]))
