"""The scoring API beside ``mlflow models serve``: the same gradient boosting, the same rows, the same load."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
from sklearn.pipeline import Pipeline

from include.features.build import build, feature_version
from include.registry import tracking, versions
from include.settings import HOST, PROJECT, Settings
from include.spec import UseCase, load
from include.stack.environment import process_environment
from include.stack.home import prepare_home
from include.stack.migrations import tail
from include.stack.programs import mlflow_server
from include.stack.secrets import local_key
from include.state.database import connect
from include.state.runs import Run
from include.training import package
from include.training.fingerprint import Ingredients
from include.training.preparation import as_categories
from include.training.search import fit
from tests.bench import data
from tests.bench.figures import Values
from tests.bench.load import Found, Load, put
from tests.ports import free_port, own_ports

ROUNDS = 5
ALONE_SECONDS, TOGETHER_SECONDS, MLFLOW_SECONDS = 4.0, 6.0, 12.0
"""MLflow answers so few requests a second that its 99th percentile needs more of them."""
TOGETHER = 16
ROWS = 200
"""Different ones, asked for in turn."""
CANDIDATE = "gradient_boosting"
PARAMS = {"learning_rate": 0.1, "max_leaf_nodes": 20, "l2_regularization": 1.0}
"""The largest trees of its search."""
NO_RATE_LIMIT = {"requests_per_second": 1_000_000}
START_SECONDS = 120.0


@dataclass(frozen=True)
class Model:
    """A fitted candidate of churn, and rows to ask it for: as they are, and as its inputs."""

    spec: UseCase
    pipeline: Pipeline
    about: package.Provenance
    rows: Sequence[str]
    inputs: Sequence[str]


def serving(folder: Path, say: Callable[[str], None]) -> Values:
    """One row a request: alone, and 16 at a time beside MLflow, in turns; what is answered is captured."""
    use_cases = data.changed_churn(folder / "use_cases", lambda spec: spec.update(serving=NO_RATE_LIMIT))
    model = train(data.telco(folder), load(use_cases / "churn" / "spec.yaml"))
    found: dict[str, list[float]] = {"p50_ms": [], "throughput_vs_mlflow": [], "p99_vs_mlflow": []}
    with _api(folder / "home", model) as (port, key), _mlflow_serve(folder / "mlflow-model", model) as theirs:
        own = {"Authorization": f"Bearer {key}"}
        for number in range(ROUNDS + 1):
            alone = put(Load(port, "/v1/predict", own, model.rows, 1, ALONE_SECONDS))
            ours = put(Load(port, "/invocations", own, model.inputs, TOGETHER, TOGETHER_SECONDS))
            mlflow = put(Load(theirs, "/invocations", {}, model.inputs, TOGETHER, MLFLOW_SECONDS))
            say(
                f"{'warm-up' if number == 0 else f'round {number}'}: alone {_shown(alone)}; "
                f"{TOGETHER} at a time {_shown(ours)}; MLflow {_shown(mlflow)}; load {os.getloadavg()[0]:.1f}"
            )
            if number:
                found["p50_ms"].append(alone.p50)
                found["throughput_vs_mlflow"].append(ours.per_second / mlflow.per_second)
                found["p99_vs_mlflow"].append(ours.p99 / mlflow.p99)
    return {f"serving.{name}": values for name, values in found.items()}


def _shown(found: Found) -> str:
    return f"{found.per_second:,.0f}/s, p50 {found.p50:.2f} ms, p99 {found.p99:.1f} ms"


def train(path: Path, spec: UseCase) -> Model:
    """The candidate on all rows of a file of customers."""
    table = pd.read_csv(path, dtype={"SeniorCitizen": str})
    table["TotalCharges"] = pd.to_numeric(table["TotalCharges"], errors="coerce")
    inputs = build(table, spec)
    labels = (table[spec.target.column] == spec.target.positive).to_numpy().astype(int)
    candidate = spec.training.candidates[CANDIDATE]
    pipeline = fit(as_categories(inputs), labels, candidate, PARAMS, spec)
    about = package.Provenance(
        use_case=spec.name,
        candidate=CANDIDATE,
        kind=candidate.kind,
        params=PARAMS,
        feature_types=dict(spec.feature_types),
        trained_from="2026-01-01",
        trained_until="2026-03-01",
        feature_version=feature_version(spec),
        ingredients=Ingredients(rows="0" * 64, spec="0" * 64, sources={}, libraries={}, threads=1),
    )
    asked = table.drop(columns=spec.target.column).head(ROWS)
    return Model(
        spec,
        pipeline,
        about,
        rows=[json.dumps({"rows": [row]}) for row in _records(asked)],
        inputs=[
            json.dumps({"dataframe_split": {"columns": [*row], "data": [[*row.values()]]}})
            for row in _records(inputs.head(ROWS))
        ],
    )


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON has them."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


@contextmanager
def _api(home: Path, model: Model) -> Iterator[tuple[int, str]]:
    """The scoring API with the model as champion in an MLflow of its own; its port and a key."""
    folders = {"MODELOPS_HOME": str(home), "MODELOPS_USE_CASES": str(model.spec.folder.parent)}
    settings = Settings.from_environment({**folders, **own_ports()})
    prepare_home(settings)
    (home / "mlflow").mkdir()
    environment = process_environment(settings)
    health, ready = f"{settings.mlflow_uri}/health", f"{settings.api_url}/ready"
    with _running(["mlflow", *mlflow_server(settings)], environment, health, home / "mlflow.log"):
        promote(settings, model, home / "package")
        key = local_key(settings)
        with _running(["include.serving"], environment, ready, home / "api.log"):
            yield settings.api_port, key


def promote(settings: Settings, model: Model, folder: Path, fingerprint: str = "0") -> str:
    """Register the model, from its package in ``folder``, and let it be champion; returns its version."""
    package.save(folder, model.pipeline, model.about)
    client = tracking.connect(settings.mlflow_uri)
    run = tracking.parent_run(client, Run(model.spec.name, "retrain", "bench", "2026-03-01"), {})
    new = versions.Submission(model.spec.name, folder, run, {"fingerprint": fingerprint})
    version = versions.register(connect(settings.state_url), client, new, package.load)
    versions.set_alias(client, model.spec.name, versions.CHAMPION, version)
    return version


@contextmanager
def _mlflow_serve(folder: Path, model: Model) -> Iterator[int]:
    """The same pipeline, saved by MLflow in its format that runs no code, behind MLflow's own server; its port."""
    import mlflow.sklearn
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    columns = [
        ColSpec("double" if k == "number" else "string", n, required=False)
        for n, k in model.about.feature_types.items()
    ]
    mlflow.sklearn.save_model(
        model.pipeline,
        folder,
        serialization_format="skops",
        skops_trusted_types=list(package.TRUSTED_TYPES),
        signature=ModelSignature(inputs=Schema(columns)),
        pip_requirements=[],
        pyfunc_predict_fn="predict_proba",
    )
    port = free_port()
    command = ["mlflow", "models", "serve", f"--model-uri={folder}", f"--host={HOST}", f"--port={port}"]
    settings = Settings.from_environment({"MODELOPS_HOME": str(folder.parent / "home")})
    with _running(
        [*command, "--env-manager=local"], process_environment(settings), f"http://{HOST}:{port}/ping", folder / "log"
    ):
        yield port


@contextmanager
def _running(arguments: list[str], environment: dict[str, str], url: str, log: Path) -> Iterator[None]:
    """A Python module as a server that answers at ``url`` with success."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env=environment,
            cwd=PROJECT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(arguments)} does not answer at {url}:\n{tail(log)}")
            time.sleep(0.2)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.HTTPError:
        return False
