"""What a retrain does in the registry, without the training: the same calls in the same order, for faults in each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient

from include.registry import promotion, tracking, versions
from include.registry.promotion import Candidacy
from include.settings import Settings
from include.state import runs
from include.state.database import connect
from include.state.runs import Run
from include.training.package import load


@dataclass(frozen=True)
class Retrain:
    """A retrain of ``use_case`` whose model waits in ``package``."""

    use_case: str
    package: Path
    run_id: str = "r1"
    fingerprint: str = "f" * 64

    @property
    def run(self) -> Run:
        return Run(self.use_case, "retrain", self.run_id, "2026-11-24")

    def register(self, settings: Settings, mlflow_uri: str) -> str:
        """Everything up to the registered challenger; returns its version."""
        engine, client = connect(settings.state_url), tracking.connect(mlflow_uri)
        runs.open_row(engine, self.run)
        champion = promotion.sound_champion(engine, client, self.run, settings.home / "models")
        parent = tracking.parent_run(client, self.run, {"fingerprint": self.fingerprint})
        tracking.log_data(client, parent, self.use_case, "customers@1", "/lake")
        child = tracking.candidate_run(client, self.run, parent, "tree", {})
        with tracking.finishing(client, child):
            tracking.log(client, child, params={"depth": 3}, metrics={"cv_roc_auc": 0.8})
        tracking.log(client, parent, metrics={"roc_auc": 0.8}, files={"figures": [self.package / "card.md"]})
        tags = {"fingerprint": self.fingerprint, "model_sha256": load(self.package).manifest.model_sha256}
        new = versions.Submission(self.use_case, self.package, parent, tags)
        version = versions.register(engine, client, new, load)
        versions.set_alias(client, self.use_case, versions.CHALLENGER, version)
        runs.record(engine, self.run, None, champion=champion, version=version)
        return version

    def promote(self, settings: Settings, mlflow_uri: str) -> None:
        """Make what was registered champion, and end the run."""
        engine, client = connect(settings.state_url), tracking.connect(mlflow_uri)
        row = runs.get(engine, self.use_case, "retrain", self.run_id)
        assert row is not None
        version, champion = row.details["version"], row.details["champion"]
        digest = load(self.package).manifest.model_sha256
        candidacy = Candidacy(
            version, champion, self.run_id, "2026-11-24", digest, self.fingerprint, "customers@1", {}, []
        )
        promotion.promote(engine, client, self.use_case, candidacy)
        versions.drop_alias(client, self.use_case, versions.CHALLENGER)
        runs.record(engine, self.run, "PROMOTED", [])
        self.close(settings, mlflow_uri)

    def close(self, settings: Settings, mlflow_uri: str) -> None:
        runs.close_row(connect(settings.state_url), self.use_case, "retrain", self.run_id, failed=[])
        tracking.end_all(tracking.connect(mlflow_uri), self.run, "FINISHED")

    def whole(self, settings: Settings, mlflow_uri: str) -> None:
        self.register(settings, mlflow_uri)
        self.promote(settings, mlflow_uri)


def whole(use_case: str, package: str, run_id: str, fingerprint: str) -> None:
    """``Retrain.whole`` for a process of its own, whose settings are in its environment."""
    settings = Settings.from_environment()
    Retrain(use_case, Path(package), run_id, fingerprint).whole(settings, settings.mlflow_uri)


def left_in_mlflow(client: MlflowClient, use_case: str) -> dict[str, int]:
    """How many runs, logged models and versions a page of MLflow shows."""
    experiment = tracking.experiment_id(client, use_case)
    return {
        "runs": len(client.search_runs([experiment])),
        "models": len(client.search_logged_models([experiment])),
        "versions": len(versions.registered(client, use_case)),
    }
