"""The registry of a real MLflow server: one version per fingerprint, and nothing that is damaged is used."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from include.registry import tracking, versions
from include.settings import Settings
from include.state.database import connect
from include.training.package import MODEL, PackageRefused, load
from tests.conftest import MlflowServer
from tests.unit.registry.conftest import Trained


def accept(_package: Path) -> None:
    """A check that lets every package through, for what is not about the check."""


def register(settings: Settings, client: MlflowClient, trained: Trained, check: versions.Check = load) -> str:
    return versions.register(connect(settings.state_url), client, trained.submission(client), check)


def logged_models(client: MlflowClient) -> list[str]:
    return [model.model_id for model in client.search_logged_models([tracking.experiment_id(client, "churn")])]


def test_one_fingerprint_has_one_version(settings: Settings, client: MlflowClient, trained: Trained):
    assert register(settings, client, trained) == register(settings, client, trained)
    (version,) = versions.registered(client, "churn")
    assert [version.source] == [f"models:/{model}" for model in logged_models(client)]
    other = trained.submission(client, "e" * 64)
    assert versions.register(connect(settings.state_url), client, other, accept) == "2"


def test_one_training_that_makes_two_models_is_refused(settings: Settings, client: MlflowClient, trained: Trained):
    first = trained.submission(client)
    engine = connect(settings.state_url)
    versions.register(engine, client, replace(first, tags={**first.tags, "model_sha256": "5e"}), accept)
    with pytest.raises(versions.Irreproducible, match=r"version 1 \(5e\) now made 6f.*reproduce 1 --use-case churn"):
        versions.register(engine, client, replace(first, tags={**first.tags, "model_sha256": "6f"}), accept)
    assert len(versions.registered(client, "churn")) == 1


def test_the_same_training_registered_twice_at_once_is_one_version(
    settings: Settings, client: MlflowClient, trained: Trained
):
    submission, barrier, made = trained.submission(client), threading.Barrier(4), []

    def submit() -> None:
        barrier.wait()
        made.append(versions.register(connect(settings.state_url), client, submission, accept))

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["1"] * 4
    assert len(versions.registered(client, "churn")) == len(logged_models(client)) == 1


def test_what_does_not_pass_the_check_is_never_a_version(settings: Settings, client: MlflowClient, trained: Trained):
    def answers_otherwise(_package: Path) -> None:
        raise PackageRefused("row 3 is answered otherwise")

    with pytest.raises(PackageRefused, match="row 3"):
        register(settings, client, trained, answers_otherwise)
    assert versions.registered(client, "churn") == []
    assert register(settings, client, trained) == "1"
    assert len(logged_models(client)) == 1


def test_the_check_is_given_what_arrived(settings: Settings, client: MlflowClient, trained: Trained):
    answers = []
    register(settings, client, trained, lambda arrived: answers.append(load(arrived).score(trained.rows)))
    np.testing.assert_array_equal(answers, [trained.scores])


def flip_a_bit(package: Path) -> None:
    content = bytearray((package / MODEL).read_bytes())
    content[len(content) // 2] ^= 1
    (package / MODEL).write_bytes(content)


DAMAGE = [
    pytest.param(flip_a_bit, "model.skops: its content", id="S17-bit-flipped"),
    pytest.param(lambda p: (p / "card.md").unlink(), "card.md: missing", id="S17-file-missing"),
    pytest.param(lambda p: (p / "more.pkl").write_bytes(b""), "more.pkl: not listed", id="S17-file-added"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE)
def test_a_package_damaged_in_the_store_is_refused(
    damage, message: str, settings: Settings, client: MlflowClient, trained: Trained, mlflow_server: MlflowServer
):
    version = register(settings, client, trained)
    damage(mlflow_server.package(client.get_model_version("churn", version)))
    with pytest.raises(PackageRefused, match=message):
        versions.fetch(client, "churn", version, settings.home / "models")
    assert not versions.folder(settings.home / "models", "churn", version).exists()


def test_a_damaged_version_is_mended_by_the_same_training(
    settings: Settings, client: MlflowClient, trained: Trained, mlflow_server: MlflowServer
):
    version = register(settings, client, trained)
    flip_a_bit(mlflow_server.package(client.get_model_version("churn", version)))
    assert register(settings, client, trained) == version
    mended = versions.fetch(client, "churn", version, settings.home / "models")
    np.testing.assert_array_equal(mended.score(trained.rows), trained.scores)


def test_a_damaged_copy_is_fetched_again_and_a_whole_one_is_used(
    settings: Settings, client: MlflowClient, trained: Trained, mlflow_server: MlflowServer
):
    cache = settings.home / "models"
    version = register(settings, client, trained)
    versions.fetch(client, "churn", version, cache)
    flip_a_bit(versions.folder(cache, "churn", version))
    versions.fetch(client, "churn", version, cache)
    flip_a_bit(mlflow_server.package(client.get_model_version("churn", version)))
    np.testing.assert_array_equal(versions.fetch(client, "churn", version, cache).score(trained.rows), trained.scores)


def test_a_number_that_was_given_again_means_the_new_model(settings: Settings, client: MlflowClient, trained: Trained):
    """Whoever deletes a registered model in MLflow and trains again gets a version 1 again."""
    cache, engine = settings.home / "models", connect(settings.state_url)
    assert register(settings, client, trained) == "1"
    versions.fetch(client, "churn", "1", cache)
    client.delete_registered_model("churn")
    submission = trained.submission(client)
    other = replace(submission, tags={**submission.tags, "model_sha256": "5e" * 32, "fingerprint": "e" * 64})
    assert versions.register(engine, client, other, accept) == "1"
    with pytest.raises(PackageRefused, match="another model than version 1 of churn"):
        versions.fetch(client, "churn", "1", cache)
    assert not versions.folder(cache, "churn", "1").exists()


def test_an_alias_moves_and_goes(settings: Settings, client: MlflowClient, trained: Trained):
    assert versions.alias(client, "churn") is None
    version = register(settings, client, trained)
    assert versions.alias(client, "churn") is None
    for _ in range(2):
        versions.set_alias(client, "churn", versions.CHALLENGER, version)
        assert versions.alias(client, "churn", versions.CHALLENGER) == version
    for _ in range(2):
        versions.drop_alias(client, "churn", versions.CHALLENGER)
        assert versions.alias(client, "churn", versions.CHALLENGER) is None


def test_one_question_tells_all_aliases(settings: Settings, client: MlflowClient, trained: Trained):
    assert versions.aliases(client, "churn") == {}
    version = register(settings, client, trained)
    assert versions.aliases(client, "churn") == {}
    versions.set_alias(client, "churn", versions.CHAMPION, version)
    versions.set_alias(client, "churn", versions.CHALLENGER, version)
    assert versions.aliases(client, "churn") == {"champion": "1", "challenger": "1"}
