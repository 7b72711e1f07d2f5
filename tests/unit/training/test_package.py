"""A package is checked before it is used, and nothing in it is executed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from include.training.package import MANIFEST, MODEL, PackageRefused, Provenance, load, save

CARD = {"card.md": b"# Card", "figures/roc.png": b"png"}


@pytest.fixture
def package(tmp_path: Path, models: dict[str, Pipeline], about: Provenance) -> Path:
    save(tmp_path / "package", models["logistic_regression"], about, CARD)
    return tmp_path / "package"


def put(package: Path, name: str, content: bytes) -> None:
    """Replace a file and its hash: what an attacker does who can write the whole folder."""
    (package / name).write_bytes(content)
    rewrite(package, lambda manifest: manifest["files"].update({name: hashlib.sha256(content).hexdigest()}))


def rewrite(package: Path, change) -> None:
    manifest = json.loads((package / MANIFEST).read_text(encoding="utf-8"))
    change(manifest)
    (package / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize(
    "kind",
    ["logistic_regression", "decision_tree", "random_forest", "gradient_boosting", "linear_svm", "mlp", "calibrated"],
)
def test_a_loaded_model_scores_as_before(kind: str, models, training, about: Provenance, tmp_path: Path) -> None:
    written = save(tmp_path / "new" / "package", models[kind], about, CARD)
    loaded = load(tmp_path / "new" / "package")
    inputs = training.inputs.iloc[:300]
    assert loaded.manifest == written
    assert set(written.files) == {MODEL, *CARD}
    expected = models[kind].predict_proba(inputs)[:, 1]
    np.testing.assert_allclose(loaded.score(inputs[inputs.columns[::-1]]), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        loaded.score_columns({name: inputs[name].to_numpy() for name in inputs}), expected, 1e-12
    )
    assert loaded.score(inputs.iloc[:0]).shape == (0,)
    with pytest.raises(ValueError, match="tenure"):
        loaded.score(inputs.drop(columns="tenure"))


def test_a_package_that_says_so_is_scored_by_scikit_learn(models, training, about: Provenance, tmp_path: Path) -> None:
    slow = about.model_copy(update={"scoring": "scikit-learn"})
    save(tmp_path / "package", models["gradient_boosting"], slow)
    loaded = load(tmp_path / "package")
    inputs = training.inputs.iloc[:50]
    assert loaded.compiled is None
    assert loaded.differences(inputs) is None
    expected = models["gradient_boosting"].predict_proba(inputs)[:, 1]
    np.testing.assert_array_equal(loaded.score(inputs), expected)
    np.testing.assert_array_equal(loaded.score_columns({name: inputs[name].to_numpy() for name in inputs}), expected)


def test_a_package_is_replaced_as_a_whole_and_nothing_else_is(package: Path, models, about: Provenance) -> None:
    save(package, models["decision_tree"], about)
    assert sorted(path.name for path in package.iterdir()) == [MANIFEST, MODEL]
    (package.parent / "other").mkdir()
    (package.parent / "other" / "precious.txt").touch()
    with pytest.raises(FileExistsError):
        save(package.parent / "other", models["decision_tree"], about)
    assert [path.name for path in package.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", [MODEL, "card.md", "figures/roc.png"])
def test_a_flipped_bit_is_refused(name: str, package: Path) -> None:
    content = bytearray((package / name).read_bytes())
    content[len(content) // 2] ^= 1
    (package / name).write_bytes(content)
    with pytest.raises(PackageRefused, match=name):
        load(package)


def _link(package: Path) -> None:
    (package / "card.md").rename(package.parent / "card.md")
    (package / "card.md").symlink_to(package.parent / "card.md")


def _linked_folder(package: Path) -> None:
    (package / "figures").rename(package.parent / "figures")
    (package / "figures").symlink_to(package.parent / "figures")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda p: (p / "card.md").unlink(), "card.md: missing", id="missing file"),
        pytest.param(lambda p: (p / "more.py").touch(), "more.py: not listed", id="file not listed"),
        pytest.param(lambda p: (p / "figures" / ".hidden").touch(), "hidden: not listed", id="hidden file not listed"),
        pytest.param(_link, "card.md: is a link", id="link"),
        pytest.param(_linked_folder, "figures: is a link", id="linked folder"),
        pytest.param(lambda p: (p / MANIFEST).unlink(), "manifest.json: missing", id="no manifest"),
        pytest.param(lambda p: (p / MANIFEST).write_text("{"), "manifest.json: ", id="broken manifest"),
        pytest.param(lambda p: rewrite(p, lambda m: m.update(x=1)), "manifest.json: ", id="unknown key"),
        pytest.param(lambda p: rewrite(p, lambda m: m.update(format_version=2)), "manifest.json: ", id="other format"),
        pytest.param(lambda p: rewrite(p, lambda m: m["files"].pop(MODEL)), "model.skops: not listed", id="no model"),
        pytest.param(lambda p: rewrite(p, lambda m: m.update(model_sha256="0")), "not the one", id="other model"),
        pytest.param(lambda p: rewrite(p, lambda m: m["feature_types"].pop("tenure")), "inputs", id="other inputs"),
    ],
)
def test_a_changed_package_is_refused(change, message: str, package: Path) -> None:
    change(package)
    with pytest.raises(PackageRefused, match=message):
        load(package)


@pytest.mark.parametrize(
    "name", ["../card.md", "/etc/hostname", "a/../card.md", "./card.md", "a//b", "", "c:x", "a\\b"]
)
def test_a_name_that_leaves_the_folder_is_refused(name: str, package: Path, models, about: Provenance) -> None:
    rewrite(package, lambda manifest: manifest["files"].update({name: "0"}))
    with pytest.raises(PackageRefused, match="not a plain relative file name"):
        load(package)
    with pytest.raises(PackageRefused, match="not a plain relative file name"):
        save(package, models["decision_tree"], about, {name: b""})


class Plant(TransformerMixin, BaseEstimator):
    """Runs a command as soon as it is loaded by a reader that trusts it."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __setstate__(self, state: dict) -> None:
        os.system(f"touch {state['marker']}")


def planted_state(marker: Path, model: Pipeline) -> bytes:
    return skops.io.dumps(Pipeline([("plant", Plant(str(marker))), *model.steps]))


def planted_function(_marker: Path, model: Pipeline) -> bytes:
    return skops.io.dumps(Pipeline([("plant", FunctionTransformer(os.system)), *model.steps]))


def planted_class(marker: Path, model: Pipeline) -> bytes:
    """A file whose outermost object says that it is made by ``posix.system``."""
    stored, changed = zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))), io.BytesIO()
    with zipfile.ZipFile(changed, "w") as target:
        for name in stored.namelist():
            content = stored.read(name)
            if name == "schema.json":
                schema = {**json.loads(content), "__module__": "posix", "__class__": "system"}
                content = json.dumps({**schema, "command": f"touch {marker}"}).encode()
            target.writestr(name, content)
    return changed.getvalue()


def test_the_plant_works_where_it_is_trusted(tmp_path: Path, models) -> None:
    stored = planted_state(tmp_path / "marker", models["logistic_regression"])
    skops.io.loads(stored, trusted=skops.io.get_untrusted_types(data=stored))
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("plant", "named"),
    [(planted_state, "Plant"), (planted_function, "posix.system"), (planted_class, "posix.system")],
)
def test_a_planted_call_is_refused_and_never_made(plant, named: str, package: Path, models) -> None:
    marker = package.parent / "marker"
    put(package, MODEL, plant(marker, models["logistic_regression"]))
    with pytest.raises(PackageRefused, match=f"not trusted: .*{named}"):
        load(package)
    assert not marker.exists()


class Exploit:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04", b"{}"], ids=["pickle", "empty", "torn zip", "json"])
def test_what_is_not_a_skops_file_is_refused(content: bytes | None, package: Path) -> None:
    marker = package.parent / "marker"
    put(package, MODEL, pickle.dumps(Exploit(marker)) if content is None else content)
    with pytest.raises(PackageRefused, match="not readable as a skops file"):
        load(package)
    assert not marker.exists()


def test_an_object_that_is_no_pipeline_is_refused(package: Path) -> None:
    put(package, MODEL, skops.io.dumps({"a": 1}))
    with pytest.raises(PackageRefused, match="holds a dict"):
        load(package)
