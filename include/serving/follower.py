"""Follows the aliases of the registry: which version answers, and what keeps the one that should from doing so.

A version is checked and compiled before it takes the place of the one that answers, and that is one assignment.
What answers stays while MLflow is away, and when the version that should take its place is damaged or needs other
features. A process that starts goes on with the version that answered last, from the disk, before it asks anybody.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from include import spec as specs
from include.features.build import FeatureError
from include.files import FileDamaged, read_json, write_text
from include.registry import tracking, versions
from include.serving.scorer import FeaturesDiffer, Scorer
from include.settings import Settings
from include.spec import SpecError, UseCase
from include.state import promotions
from include.state.database import connect
from include.training import package
from include.training.package import LoadedModel, PackageRefused

log = logging.getLogger(__name__)

POLL_SECONDS = 3.0
AWAY_SECONDS = 10.0
"""Without an answer for so long MLflow is away, also when it only hangs."""
REFUSED_SECONDS, UNAVAILABLE_SECONDS = 60.0, 5.0
"""Until a version is tried again that was refused, since somebody may mend it, or that could not be fetched."""

UNUSABLE = (PackageRefused, FeaturesDiffer, SpecError, FeatureError)


@dataclass(frozen=True)
class Trouble:
    """Why what answers is not, or may not be, what the registry says; ``code`` is stable and short."""

    code: str
    detail: str


class Follower:
    """``champion`` and ``challenger`` are what answers now; read each of them once a request."""

    def __init__(self, settings: Settings, spec: UseCase, swapped: Callable[[], None] = lambda: None) -> None:
        self._settings, self._spec, self._swapped = settings, spec, swapped
        self._cache = settings.home / "models"
        self._record = settings.home / "serving" / spec.name / "champion.json"
        self._asked = time.monotonic()
        self._refused: dict[str, tuple[float, Trouble]] = {}
        self._aliases: dict[str, str] | None = None
        self.champion: Scorer | None = None
        self.challenger: Scorer | None = None

    @property
    def troubles(self) -> list[Trouble]:
        """What stands between the registry and what answers; none when all is as it should be."""
        found = []
        if time.monotonic() - self._asked > AWAY_SECONDS or self._aliases is None:
            found.append(Trouble("MLFLOW_AWAY", f"{self._settings.mlflow_uri} has not answered"))
        named = self._aliases or {}
        if self._aliases is not None and versions.CHAMPION not in named:
            found.append(Trouble("NO_CHAMPION", f"{self._spec.name} has no champion; run {self._spec.name}_retrain"))
        for role, version in sorted(named.items()):
            if version in self._refused and self._wants(role):
                found.append(self._refused[version][1])
        return found

    @property
    def is_current(self) -> bool:
        """Whether the champion of the registry is what answers, as far as is known."""
        named = (self._aliases or {}).get(versions.CHAMPION)
        return self.champion is not None and named == self.champion.version

    def resume(self) -> None:
        """Go on with the version that answered last, if its package is whole and fits; asks nobody."""
        try:
            last = read_json(self._record)
            model = package.load(versions.folder(self._cache, self._spec.name, last["version"]))
            if model.manifest.model_sha256 != last["model_sha256"]:
                raise PackageRefused(f"version {last['version']} is another model than the one that answered")
            self.champion = self._ready(last["version"], model)
        except FileDamaged:  # there is no record: nothing has answered yet
            return
        except (*UNUSABLE, KeyError, TypeError) as problem:
            log.warning("%s: what answered last cannot go on: %s", self._spec.name, problem)
            return
        log.info("%s: version %s answers, as before", self._spec.name, self.champion.version)
        self._swapped()

    def follow(self) -> None:
        """Ask the registry once, and change what answers if it says so. Raises what MLflow raises."""
        client = tracking.connect(self._settings.mlflow_uri)
        self._aliases = versions.aliases(client, self._spec.name)
        self._asked = time.monotonic()
        self._follow(client, versions.CHAMPION)
        self._follow(client, versions.CHALLENGER)
        if self.champion is None:
            self._fall_back(client)
        self._asked = time.monotonic()

    def _follow(self, client: MlflowClient, role: str) -> None:
        named = (self._aliases or {}).get(role) if self._wants(role) else None
        present: Scorer | None = getattr(self, role)
        if present is not None and present.version == named:
            return
        if named is None:
            if role == versions.CHALLENGER and present is not None:
                self._put(role, None)
            return  # a champion stays: nobody has said who should answer instead
        if (made := self._try(client, named)) is not None:
            self._put(role, made)

    def _wants(self, role: str) -> bool:
        return role == versions.CHAMPION or self._spec.serving.challenger != "off"

    def _put(self, role: str, scorer: Scorer | None) -> None:
        setattr(self, role, scorer)
        log.info("%s: version %s is %s", self._spec.name, scorer.version if scorer else "none", role)
        if role == versions.CHAMPION and scorer is not None:
            self._spec = scorer.spec
            self._record.parent.mkdir(parents=True, exist_ok=True)
            last = {"version": scorer.version, "model_sha256": scorer.model.manifest.model_sha256}
            write_text(self._record, json.dumps(last))
        self._swapped()

    def _try(self, client: MlflowClient, version: str) -> Scorer | None:
        """The version ready to answer; None where it cannot, which is tried again after a while."""
        again_at, before = self._refused.get(version, (0.0, None))
        if time.monotonic() < again_at:
            return None
        try:
            made = self._ready(version, self._fetch(client, version))
        except (*UNUSABLE, MlflowException, OSError) as problem:
            refused = isinstance(problem, UNUSABLE)
            code = "VERSION_REFUSED" if refused else "VERSION_UNAVAILABLE"
            code = "FEATURES_DIFFER" if isinstance(problem, FeaturesDiffer) else code
            trouble = Trouble(code, f"version {version} cannot answer: {problem}")
            if trouble != before:
                log.error("%s: %s", self._spec.name, trouble.detail)
            pause = REFUSED_SECONDS if refused else UNAVAILABLE_SECONDS
            self._refused[version] = (time.monotonic() + pause, trouble)
            return None
        self._refused.pop(version, None)
        return made

    def _fetch(self, client: MlflowClient, version: str) -> LoadedModel:
        """The model that the registry means by ``version``, whatever an older copy of that name holds."""
        name = self._spec.name
        registered = versions.model_hash(client, name, version)
        for _ in range(2):
            model = versions.fetch(client, name, version, self._cache)
            if registered in (None, model.manifest.model_sha256):
                return model
            shutil.rmtree(versions.folder(self._cache, name, version))
        raise PackageRefused(f"the package of version {version} holds another model than was registered")

    def _ready(self, version: str, model: LoadedModel) -> Scorer:
        """Of the spec as it is on the disk now: a retrain may have learned from another one than was read here."""
        spec = specs.load(self._spec.folder / "spec.yaml")
        return Scorer.make(version, model, spec, self._cache)

    def _fall_back(self, client: MlflowClient) -> None:
        """Nothing answers and the champion cannot: let the one do so that was promoted before it and is whole."""
        for version in self._earlier():
            if (made := self._try(client, version)) is not None:
                log.error("%s: version %s answers in place of the champion", self._spec.name, version)
                self._put(versions.CHAMPION, made)
                return

    def _earlier(self) -> Iterator[str]:
        past = promotions.history(connect(self._settings.state_url), self._spec.name)
        yield from dict.fromkeys(one.version for one in past)
