"""Follows the aliases of the registry: which version answers, and what keeps the one that should from doing so.

A version is checked and compiled before it takes the place of the one that answers, and that is one assignment.
What answers stays while MLflow is away, and when the version that should take its place is damaged or needs other
features. A process that starts goes on with the version that answered last, from the disk, before it asks anybody.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from include import spec as specs
from include.features.build import FeatureError
from include.files import FileDamaged, read_json, write_text
from include.registry import tracking, versions
from include.serving.answers import Trouble
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
FILES = ("spec.yaml", "features.py")

TROUBLES = {
    "FEATURES_DIFFER": "was trained with other features than the use case has now",
    "VERSION_REFUSED": "is damaged or does not fit",
    "VERSION_UNAVAILABLE": "cannot be fetched",
}
Source = tuple[tuple[int, int], ...]
UNUSABLE = (PackageRefused, FeaturesDiffer, SpecError, FeatureError)


@dataclass(frozen=True)
class Refusal:
    """Why a version could not be made ready with the use case's files in one state, and when to try again."""

    source: Source
    trouble: Trouble
    cause: str
    again_at: float


class Follower:
    """``champion`` and ``challenger`` are what answers now; read each of them once a request.

    ``follow`` is called from one thread. What others read of this is replaced as a whole, never changed.
    """

    def __init__(self, settings: Settings, spec: UseCase) -> None:
        self._settings, self._spec = settings, spec
        self._cache = settings.home / "models"
        self._record = settings.home / "serving" / spec.name / "champion.json"
        self._answered_at = time.monotonic()
        self._aliases: Mapping[str, str] | None = None
        self._refusals: Mapping[str, Refusal] = {}
        self._made_of: dict[str, Source] = {}
        self.champion: Scorer | None = None
        self.challenger: Scorer | None = None

    @property
    def troubles(self) -> list[Trouble]:
        """What stands between the registry and what answers; none when all is as it should be."""
        found = []
        if self._aliases is None or time.monotonic() - self._answered_at > AWAY_SECONDS:
            found.append(Trouble("MLFLOW_AWAY", "the registry does not answer; what was served goes on"))
        named = self._aliases or {}
        if self._aliases is not None and versions.CHAMPION not in named:
            found.append(Trouble("NO_CHAMPION", f"no version is champion; run {self._spec.name}_retrain"))
        source = self._source()
        for role in (versions.CHAMPION, versions.CHALLENGER):
            refusal = self._refusals.get(named.get(role, "")) if self._wants(role) else None
            if refusal is not None and refusal.source == source:
                found.append(refusal.trouble)
        if self.champion and self.challenger and not self.challenger.takes(self.champion, inputs=False):
            detail = f"version {self.challenger.version} needs other columns than the champion and scores nothing"
            found.append(Trouble("CHALLENGER_DIFFERS", detail))
        return found

    @property
    def is_current(self) -> bool:
        """Whether the champion of the registry is what answers, as far as is known."""
        named = (self._aliases or {}).get(versions.CHAMPION)
        return self.champion is not None and named == self.champion.version

    def resume(self) -> None:
        """Go on with the version that answered last, if its package is whole and fits; asks nobody."""
        source = self._source()
        try:
            last = read_json(self._record)
            model = package.load(versions.folder(self._cache, self._spec.name, last["version"]))
            if model.manifest.model_sha256 != last["model_sha256"]:
                raise PackageRefused(f"version {last['version']} is another model than the one that answered")
            self._put(versions.CHAMPION, self._ready(last["version"], model), source)
        except FileDamaged as none:  # nothing has answered from this home yet
            log.info("%s: no version to go on with: %s", self._spec.name, none)
        except (*UNUSABLE, KeyError, TypeError) as problem:
            log.warning("%s: what answered last cannot go on: %s", self._spec.name, problem)

    def follow(self) -> None:
        """Ask the registry once, and change what answers if it says so. Raises what MLflow raises."""
        client = tracking.connect(self._settings.mlflow_uri)
        self._aliases = versions.aliases(client, self._spec.name)
        self._answered_at = time.monotonic()
        self._follow(client, versions.CHAMPION)
        self._follow(client, versions.CHALLENGER)
        if self.champion is None:
            self._fall_back(client)

    def _follow(self, client: MlflowClient, role: str) -> None:
        named = (self._aliases or {}).get(role) if self._wants(role) else None
        present: Scorer | None = getattr(self, role)
        if named is None:
            if role == versions.CHALLENGER:
                self.challenger = None
            return  # a champion stays: nobody has said who should answer instead
        source = self._source()
        if present is not None and present.version == named and self._made_of[role] == source:
            return
        if (made := self._try(client, named, source)) is not None:
            self._put(role, made, source)

    def _wants(self, role: str) -> bool:
        return role == versions.CHAMPION or self._spec.serving.challenger != "off"

    def _put(self, role: str, scorer: Scorer, source: Source) -> None:
        setattr(self, role, scorer)
        self._made_of[role] = source
        log.info("%s: version %s is the %s that is served", self._spec.name, scorer.version, role)
        if role == versions.CHAMPION:
            self._spec = scorer.spec
            self._note(scorer)

    def _note(self, champion: Scorer) -> None:
        """Keep what the next start goes on with."""
        last = {"version": champion.version, "model_sha256": champion.model.manifest.model_sha256}
        try:
            self._record.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._record, json.dumps(last))
        except OSError as problem:  # it serves all the same
            log.warning("%s: the next start will have to ask the registry: %s", self._spec.name, problem)

    def _try(self, client: MlflowClient, version: str, source: Source) -> Scorer | None:
        """The version ready to answer; None where it cannot, which is tried again after a while."""
        before = self._refusals.get(version)
        if before is not None and before.source == source and time.monotonic() < before.again_at:
            return None
        others = {other: refusal for other, refusal in self._refusals.items() if other != version}
        try:
            made = self._ready(version, versions.fetch(client, self._spec.name, version, self._cache))
        except FeaturesDiffer as problem:
            self._refusals = others | {version: self._refusal("FEATURES_DIFFER", version, source, problem, before)}
            return None
        except UNUSABLE as problem:
            self._refusals = others | {version: self._refusal("VERSION_REFUSED", version, source, problem, before)}
            return None
        except (MlflowException, OSError) as problem:
            self._refusals = others | {version: self._refusal("VERSION_UNAVAILABLE", version, source, problem, before)}
            return None
        self._refusals = others
        return made

    def _refusal(self, code: str, version: str, source: Source, cause: Exception, before: Refusal | None) -> Refusal:
        """Who asks from outside is told the kind of trouble, the log has the cause."""
        if before is None or before.cause != str(cause):
            log.error("%s: version %s cannot be served: %s", self._spec.name, version, cause)
        pause = UNAVAILABLE_SECONDS if code == "VERSION_UNAVAILABLE" else REFUSED_SECONDS
        trouble = Trouble(code, f"version {version} {TROUBLES[code]}; the log says more")
        return Refusal(source, trouble, str(cause), time.monotonic() + pause)

    def _ready(self, version: str, model: LoadedModel) -> Scorer:
        """Of the spec as it is on the disk now: a retrain may have learned from another one than was read before."""
        spec = specs.load(self._spec.folder / FILES[0])
        return Scorer.make(version, model, spec, self._cache)

    def _source(self) -> Source:
        """What tells one state of the use case's files from another: an edit of them is followed, too."""
        stats = [path.stat() for name in FILES if (path := self._spec.folder / name).is_file()]
        return tuple((stat.st_mtime_ns, stat.st_size) for stat in stats)

    def _fall_back(self, client: MlflowClient) -> None:
        """Nothing answers and the champion cannot: let the one do so that was promoted before it and is whole."""
        source = self._source()
        past = promotions.history(connect(self._settings.state_url), self._spec.name)
        for version in dict.fromkeys(one.version for one in past):
            if (made := self._try(client, version, source)) is not None:
                log.error("%s: version %s is served in place of the champion", self._spec.name, version)
                self._put(versions.CHAMPION, made, source)
                return
