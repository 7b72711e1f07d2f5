"""A model as a folder of files that can be checked before anything of it is used.

``model.skops`` holds the pipeline, ``manifest.json`` its provenance and the SHA-256 of every other file.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import pandas as pd
import skops.io
from pydantic import ValidationError
from sklearn.pipeline import Pipeline

from include.evaluation.thresholds import Thresholds
from include.failpoints import reach
from include.files import naming, sync
from include.spec import Frozen
from include.training.calibration import Calibrated
from include.training.compiled import Compiled, NotCompiled, compiled
from include.training.fingerprint import Ingredients, model_hash
from include.training.preparation import ESTIMATOR, PREPARE, probability

log = logging.getLogger(__name__)

MODEL, MANIFEST = "model.skops", "manifest.json"
CHUNK_ROWS = 100_000
"""Rows scored at once: more need memory without being faster."""

TRUSTED_TYPES = (
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
)
"""What skops may build beside its own defaults. Fixed here: a file cannot widen what it is trusted with."""


class PackageRefused(ValueError):
    """A package that must not be used; the message names the file and what is wrong with it."""


class Provenance(Frozen):
    """Where a model comes from. Dates are ISO 8601: the first training day, and the day after the last.

    ``fitted_rows`` is how many rows it learned from, ``training_rows`` how many there were; older packages do not say.
    ``thresholds`` say from which score on to act, by group; without them the spec's decision does, for all. ``scoring``
    says what scores are made by: *compiled* arrays where the pipeline can be compiled, unless the gate found that they
    differ.
    """

    use_case: str
    candidate: str
    kind: str
    params: dict[str, float | int | str | bool | None]
    feature_types: dict[str, Literal["number", "category"]]
    trained_from: str
    trained_until: str
    feature_version: str
    calibration: Calibrated = "none"
    fitted_rows: int | None = None
    training_rows: int | None = None
    ingredients: Ingredients
    thresholds: Thresholds | None = None
    scoring: Literal["compiled", "scikit-learn"] = "compiled"

    @property
    def fingerprint(self) -> str:
        return self.ingredients.fingerprint


class Manifest(Provenance):
    """What stands in ``manifest.json``: the provenance, the model's hash and the hash of each file."""

    format_version: Literal[1] = 1
    model_sha256: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A pipeline that was checked against its manifest; ``compiled`` is None where scikit-learn makes the scores."""

    pipeline: Pipeline
    manifest: Manifest
    compiled: Compiled | None = None

    @property
    def provenance(self) -> Provenance:
        """The manifest without what is said of the files."""
        return Provenance(**{name: getattr(self.manifest, name) for name in Provenance.model_fields})

    def score(self, features: pd.DataFrame) -> np.ndarray:
        """Probability of the positive class, of shape (rows,), for the output of ``build``, in any column order."""
        suits = self.compiled is not None and self.compiled.suits(len(features))
        return self._score(features, self.compiled.score_frame if self.compiled and suits else self._by_scikit_learn)

    def score_columns(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """The same for the columns of a few rows as of ``derive``, without a frame."""
        return self.compiled.score(columns) if self.compiled else self.score(pd.DataFrame(dict(columns)))

    def differences(self, features: pd.DataFrame) -> np.ndarray | None:
        """How far each compiled score is from scikit-learn's, of shape (rows,); None where there are none."""
        if self.compiled is None:
            return None
        return np.abs(self._score(features, self.compiled.score_frame) - self._score(features, self._by_scikit_learn))

    def _by_scikit_learn(self, inputs: pd.DataFrame) -> np.ndarray:
        return probability(self.pipeline, inputs)

    def _score(self, features: pd.DataFrame, by: Callable[[pd.DataFrame], np.ndarray]) -> np.ndarray:
        names = list(self.manifest.feature_types)
        missing = [name for name in names if name not in features.columns]
        if missing:
            raise ValueError(f"the model's inputs {', '.join(missing)} are missing")
        inputs = features[names]
        chunks = (inputs.iloc[start : start + CHUNK_ROWS] for start in range(0, len(inputs), CHUNK_ROWS))
        return np.concatenate([np.empty(0), *map(by, chunks)])


def save(folder: Path, pipeline: Pipeline, about: Provenance, files: Mapping[str, bytes] | None = None) -> Manifest:
    """Write the package to ``folder``; ``files`` are further files by their relative name, such as a model card.

    An older package there is replaced as a whole; any other content raises ``FileExistsError``.
    """
    contents = {**(files or {}), MODEL: skops.io.dumps(pipeline)}
    manifest = Manifest(
        **about.model_dump(),
        model_sha256=model_hash(pipeline),
        files={_safe(name): hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())},
    )
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise FileExistsError(f"{folder}: holds something else than a model package")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".package-") as staging:
        staged = Path(staging) / "package"
        for name, content in [*contents.items(), (MANIFEST, manifest.model_dump_json(indent=2).encode())]:
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            with naming(folder / name):
                (staged / name).write_bytes(content)
                sync(staged / name)
        reach("package.staged")
        if folder.exists():
            shutil.rmtree(folder)
        staged.rename(folder)
    return manifest


def load(folder: Path) -> LoadedModel:
    """Check the package in ``folder`` and load its model; nothing in it is executed.

    Raises ``PackageRefused`` for a file that is not listed, missing, changed or a link, for a type that is not trusted,
    and for a model that is not the one the manifest describes.
    """
    manifest = _read_manifest(folder)
    contents = _checked_files(folder, manifest)
    pipeline = _unpack(contents)
    if list(getattr(pipeline, "feature_names_in_", ())) != list(manifest.feature_types):
        raise PackageRefused(f"{MODEL}: its inputs are not those of {MANIFEST}")
    if model_hash(pipeline) != manifest.model_sha256:
        raise PackageRefused(f"{MODEL}: the model is not the one {MANIFEST} describes")
    return LoadedModel(pipeline, manifest, _compiled(pipeline) if manifest.scoring == "compiled" else None)


def _compiled(pipeline: Pipeline) -> Compiled | None:
    try:
        return compiled(pipeline)
    except NotCompiled as reason:
        log.info("scikit-learn makes the scores: %s", reason)
        return None


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if path.is_symlink() or not path.is_file():
        raise PackageRefused(f"{MANIFEST}: missing or not a plain file")
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise PackageRefused(f"{MANIFEST}: {error}") from error


def _checked_files(folder: Path, manifest: Manifest) -> bytes:
    """Compare every file with its hash and return the content of the model file, so that no later change counts."""
    listed = {_safe(name) for name in manifest.files}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise PackageRefused(f"{name}: is a link")
        if not path.is_dir() and name not in listed | {MANIFEST}:
            raise PackageRefused(f"{name}: not listed in {MANIFEST}")
    model = None
    for name, expected in manifest.files.items():
        if not (folder / name).is_file():
            raise PackageRefused(f"{name}: missing")
        content = (folder / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != expected:
            raise PackageRefused(f"{name}: its content does not match {MANIFEST}")
        model = content if name == MODEL else model
    if model is None:
        raise PackageRefused(f"{MODEL}: not listed in {MANIFEST}")
    return model


def _safe(name: str) -> str:
    parts = PurePosixPath(name).parts
    plain = parts and PurePosixPath(name).as_posix() == name and not {"..", "/", "."} & set(parts)
    if not plain or "\\" in name or ":" in name or name == MANIFEST:
        raise PackageRefused(f"{name!r}: not a plain relative file name")
    return name


def _unpack(content: bytes) -> Any:
    try:
        untrusted = set(skops.io.get_untrusted_types(data=content)) - set(TRUSTED_TYPES)
        pipeline = None if untrusted else skops.io.loads(content, trusted=list(TRUSTED_TYPES))
    except Exception as error:  # a hostile or broken file can fail anywhere in the reader
        raise PackageRefused(f"{MODEL}: not readable as a skops file: {type(error).__name__}: {error}") from error
    if untrusted:
        raise PackageRefused(f"{MODEL}: contains types that are not trusted: {', '.join(sorted(untrusted))}")
    if not isinstance(pipeline, Pipeline) or list(pipeline.named_steps) != [PREPARE, ESTIMATOR]:
        kind = type(pipeline).__name__
        raise PackageRefused(f"{MODEL}: holds a {kind}, not a pipeline of {PREPARE} and {ESTIMATOR}")
    return pipeline
