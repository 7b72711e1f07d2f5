"""A home with a small use case, and its DAGs run step by step in real processes, retried as Airflow retries them."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from include.failpoints import VARIABLE
from include.serving.capture import Capture, folder_of
from include.settings import PROJECT, Settings
from tests.bench.capture import prediction
from tests.faults import invariants
from tests.faults.zygote import Ended, Zygote

AS_OF, LATER = "2026-11-24", "2026-12-01"
SOURCE = "simulator:?rows_per_day=40&days=45"
CANDIDATES = {
    "logistic_regression": {"kind": "logistic_regression", "search": {"C": [0.3]}, "trials": 1},
    "decision_tree": {"kind": "decision_tree", "search": {"max_depth": [4]}, "trials": 1},
}
# One step after another; a second word is a further argument.
STEPS = {
    "ingest": ("land", "validate", "publish"),
    "retrain": (
        "validate_window",
        "build_features",
        "compare_with_last_training",
        *(f"train {name}" for name in CANDIDATES),
        "select",
        "evaluate_challenger",
        "explain_challenger",
        "judge",
        "register",
        "promote",
    ),
    "monitor": (
        "collect",
        "check_quality",
        "compare_versions",
        "measure_drift",
        "draw_report",
        "measure_attribution",
        "measure_performance",
        "decide",
        "request_retrain",
    ),
    "score": ("plan", "score_partition 0", "score_partition 1", "publish_scores", "export"),
}
MAPPED = {"select": "train ", "publish_scores": "score_partition "}
"""The steps that are given the records of all of these, which each are given the record before them."""
MODULES = {
    "validate_window": "retrain.window",
    "build_features": "retrain.window",
    "compare_with_last_training": "retrain.training",
    "train": "retrain.training",
    "select": "retrain.training",
    "evaluate_challenger": "retrain.evaluation",
    "explain_challenger": "retrain.explanation",
    "judge": "retrain.judgement",
    "register": "retrain.release",
    "promote": "retrain.release",
    "collect": "monitor.quality",
    "check_quality": "monitor.quality",
    "compare_versions": "monitor.performance",
    "measure_drift": "monitor.drift",
    "draw_report": "monitor.drift",
    "measure_attribution": "monitor.drift",
    "measure_performance": "monitor.performance",
    "decide": "monitor.decision",
    "request_retrain": "monitor.decision",
}
"""Of the steps of the retrain and of the monitor; those of the ingest stand in one module."""
SIDE = ("draw_report", "compare_versions")
"""Steps that nobody waits for."""
TRIES = 3
ENDS = ("NothingToDo", "DataRejected")


@dataclass(frozen=True)
class Home:
    """Where a use case lives; ``environ`` is what its processes are given."""

    settings: Settings
    use_case: str
    environ: dict[str, str]
    zygote: Zygote

    @classmethod
    def make(cls, folder: Path, mlflow_port: int, zygote: Zygote, use_case: str = "faulty", **edits: Any) -> Home:
        """A home in ``folder``; ``edits`` replace parts of the spec by their first key."""
        target = folder / "use_cases" / use_case
        shutil.copytree(PROJECT / "include" / "use_cases" / "churn", target)
        spec = yaml.safe_load((target / "spec.yaml").read_text(encoding="utf-8"))
        spec |= {"name": use_case, "source": {**spec["source"], "uri": SOURCE}}
        spec["training"]["candidates"] = CANDIDATES
        spec["limits"] |= {"minimum_training_rows": 500, "minimum_class_rows": 50}
        spec["gate"] |= {"minimum_rows": 100, "minimum_class_rows": 20}
        for key, value in edits.items():
            spec[key] = {**spec[key], **value} if isinstance(value, dict) else value
        (target / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
        environ = {
            "MODELOPS_HOME": str(folder / "home"),
            "MODELOPS_USE_CASES": str(target.parent),
            "MODELOPS_MLFLOW_PORT": str(mlflow_port),
            VARIABLE: "",
        }
        return cls(Settings.from_environment(environ), use_case, environ, zygote)

    def run(self, call: str, *arguments: Any, failpoints: str = "", **prepare: Any) -> Ended:
        """Call ``module:function`` in a process of this home."""
        return self.zygote.run(call, *arguments, environ={**self.environ, VARIABLE: failpoints}, **prepare)


@dataclass
class DagRun:
    """A run of a DAG, step by step; ``records`` is what each step gave to the next."""

    home: Home
    kind: str
    run_id: str
    conf: dict[str, Any] = field(default_factory=lambda: {"as_of": AS_OF})
    run_type: str = "manual"
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: bool = False
    outcome: str | None = None

    def open(self, **faults: Any) -> Ended:
        """The first step; may be called again, as every other."""
        now = "tests.faults.home:open_run"
        ended = self.home.run(now, self.home.use_case, self.kind, self.run_id, self.conf, self.run_type, **faults)
        return self._keep("open_run", ended)

    def step(self, step: str, **faults: Any) -> Ended:
        """One try of ``step``, with the record of the one before it."""
        name, *further = step.split()
        call = f"include.steps.{MODULES.get(name, self.kind)}:{name}"
        if name in MAPPED:
            mapped = [record for step, record in self.records.items() if step.startswith(MAPPED[name])]
            return self._keep(step, self.home.run(call, mapped[0], mapped, **faults))
        return self._keep(step, self.home.run(call, self._record_for(step), *further, **faults))

    def upto(self, step: str) -> None:
        """Run every step before ``step`` that has not been run."""
        if "open_run" not in self.records:
            self.must(self.open())
        for earlier in STEPS[self.kind]:
            if earlier == step:
                return
            if earlier not in self.records:
                self.must(self.step(earlier))

    def finish(self, tries: int = TRIES) -> str:
        """Run all that is left, each step up to ``tries`` times, and the teardown; returns the outcome."""
        failed = []
        if "open_run" not in self.records and not self._tried(self.open, tries):
            failed.append("open_run")
        for step in STEPS[self.kind]:
            if failed or self.ended:
                break
            if step not in self.records and not self._tried(lambda step=step: self.step(step), tries):
                failed.append(step)
        return self.close(failed)

    def must_end(self, outcome: str) -> None:
        """Run what is left, once; the outcome has to be this one."""
        self.outcome = self.outcome or self.finish()
        assert self.outcome == outcome

    def close(self, failed: list[str] | None = None, **faults: Any) -> str:
        ended = self.home.run(
            "include.steps.ledger:close_run", self.home.use_case, self.kind, self.run_id, failed or [], **faults
        )
        assert ended.raised is None, ended.log
        return str(ended.returned)

    @staticmethod
    def must(ended: Ended) -> None:
        assert ended.signal is None, ended.log
        assert ended.raised in (None, *ENDS), ended.log

    def _tried(self, attempt: Any, tries: int) -> bool:
        return any(self._passed(attempt()) for _ in range(tries))

    def _passed(self, ended: Ended) -> bool:
        return ended.returned is not None or ended.raised in ENDS

    def _keep(self, step: str, ended: Ended) -> Ended:
        if ended.returned is not None:
            self.records[step] = ended.returned
        self.ended = self.ended or ended.raised in ENDS
        return ended

    def _record_for(self, step: str) -> dict[str, Any]:
        steps = STEPS[self.kind]
        before = [name for name in ("open_run", *steps[: steps.index(step)]) if name in self.records]
        for mapped in MAPPED.values():
            if step.startswith(mapped):
                before = [name for name in before if not name.startswith(mapped)]
        return self.records[[name for name in before if name not in SIDE][-1]]


class Loop:
    """One home whose DAGs go on from case to case: what a case leaves behind is what the next one starts from."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._runs = {
            "ingest": DagRun(home, "ingest", "i1"),
            "retrain": DagRun(home, "retrain", "r1"),
            "monitor": DagRun(home, "monitor", "m1", {"as_of": LATER}),
            "score": DagRun(home, "score", "s1", {"as_of": LATER}),
        }
        self._later = DagRun(home, "ingest", "i2", {"as_of": LATER})
        self._answered: list[str] = []

    def at(self, kind: str, step: str) -> DagRun:
        """The run of ``kind``, with everything done that comes before ``step``."""
        if kind != "ingest":
            self._runs["ingest"].must_end("PUBLISHED")
        if kind in ("monitor", "score"):
            self._runs["retrain"].must_end("PROMOTED")
            self._later.must_end("PUBLISHED")
        if kind == "monitor":
            self._answer()
        self._runs[kind].upto(step)
        return self._runs[kind]

    def check(self) -> None:
        """The invariants that hold while runs are at work."""
        invariants.check(self.home.settings, self.home.use_case, over=False)

    def must_end_well(self) -> None:
        """Run what is left; each DAG ends as it does without any fault."""
        ends = {"ingest": "PUBLISHED", "retrain": "PROMOTED", "monitor": "REQUESTED", "score": "SCORED"}
        for kind, outcome in ends.items():
            self.at(kind, STEPS[kind][-1]).must_end(outcome)
        invariants.check(self.home.settings, self.home.use_case)
        assert invariants.collected(self.home.settings, self.home.use_case) == self._answered

    def _answer(self) -> None:
        """What a scoring API has captured when the monitor comes."""
        if not self._answered:
            self._answered = [f"prediction-{number}" for number in range(9)]
            asyncio.run(_capture(self.home, self._answered))


async def _capture(home: Home, ids: list[str]) -> None:
    capture = Capture(folder_of(home.settings, home.use_case))
    await capture.write([prediction(one) for one in ids])
    capture.close()


def open_run(use_case: str, kind: str, run_id: str, conf: dict[str, Any], run_type: str) -> dict[str, Any]:
    """``ledger.open_run`` with arguments that are JSON."""
    from datetime import UTC, datetime

    from include.steps import ledger

    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    return ledger.open_run(
        use_case,
        kind,
        run_id,
        conf=conf,
        run_type=run_type,
        interval_end=None,
        run_after=noon,  # type: ignore[arg-type]
    )
