"""The parts of the bench: each makes its measurements and returns the value of every round, by figure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from include.settings import PROJECT, Settings
from include.stack.environment import dags_folder, process_environment
from include.stack.home import prepare_home
from tests.bench import data
from tests.bench.capture import lost_after_kill
from tests.bench.figures import Values
from tests.bench.fresh import fresh_machine
from tests.bench.memory import PeakMemory
from tests.bench.scoring import scoring
from tests.bench.serving import serving
from tests.bench.stack import Stack
from tests.bench.warm import WarmProcess, critical_path, path_length

TELCO_ROUNDS, PLAIN_ROUNDS, IDLE_SECONDS = 4, 3, 10.0
"""Without preloading a round takes a minute more, and its ratio hardly varies."""
MANY_ROUNDS = 2
PARSE_ROUNDS = 9

Say = Callable[[str], None]


@dataclass(frozen=True)
class Part:
    """Some figures that are measured together."""

    names: tuple[str, ...]
    measure: Callable[[Path, Say], Values]


def telco(folder: Path, say: Say) -> Values:
    """At Telco's size: the steps in a warm process, through the scheduler, and the same without preloading."""
    source, use_cases = data.telco(folder), data.changed_churn(folder / "use_cases")
    say(f"source: {source}")
    overhead, idle, speedup = [], [], []
    with (
        Stack(folder / "preloaded", use_cases=use_cases) as preloaded,
        Stack(folder / "plain", use_cases=use_cases, preload=False) as plain,
        WarmProcess(preloaded.settings) as warm,
    ):
        for number in range(TELCO_ROUNDS + 1):
            preloaded.reset(source)
            steps = warm.loop()
            preloaded.reset(source)
            with preloaded.awake() as api:
                with_preload = preloaded.loop(api)
                cores = _cores(preloaded)
            said = f"scheduler {with_preload:.2f} s, idle {cores:.3f} cores"
            if number <= PLAIN_ROUNDS:
                plain.reset(source)
                with plain.awake() as api:
                    without = plain.loop(api)
                said += f", without preloading {without:.2f} s"
                speedup.append(without / with_preload)
            say(f"{_round(number)}: steps {critical_path(steps):.2f} s, {said}, {load()}")
            overhead.append((with_preload - critical_path(steps)) / path_length(steps))
            idle.append(cores)
    rounds = {"loop.task_overhead_s": overhead, "loop.idle_cpu": idle, "loop.speedup_by_preload": speedup}
    return {name: values[1:] for name, values in rounds.items()}


def many_rows(folder: Path, say: Say) -> Values:
    """At a million rows, with one trial a candidate: the steps in a warm process, and through the scheduler."""
    few, many = data.telco(folder), data.simulated(folder / "many.csv", data.MANY_ROWS)
    ratio, peak = [], []
    with (
        Stack(folder / "many", use_cases=data.one_trial_churn(folder / "use_cases")) as stack,
        WarmProcess(stack.settings) as warm,
    ):
        for number in range(MANY_ROUNDS + 1):
            seconds: dict[str, float] = {}
            for how in ("steps", "scheduler")[:: 1 if number % 2 else -1]:  # a machine that slows down favours neither
                stack.reset(many if number else few)
                if how == "steps":
                    seconds[how] = critical_path(warm.loop())
                else:
                    with stack.awake() as api, PeakMemory(stack.scheduler()) as memory:
                        seconds[how] = stack.loop(api)
            say(
                f"{_round(number)}: steps {seconds['steps']:.1f} s, scheduler {seconds['scheduler']:.1f} s, "
                f"peak {memory.gigabytes:.2f} GB, {load()}"
            )
            if number:
                ratio.append(seconds["scheduler"] / seconds["steps"])
                peak.append(memory.gigabytes)
    return {"loop.ratio_1m": ratio, "loop.peak_gb_1m": peak}


def validation(folder: Path, say: Say) -> Values:
    """At a million rows, of which some are broken: the validation, and Great Expectations on pandas."""
    source = data.simulated(folder / "many.csv", data.MANY_ROWS)
    rounds = json.loads(_in_task_environment(folder, "-m", "tests.bench.validation", str(source)))
    for number, (ours, gx) in enumerate(rounds, start=1):
        say(f"round {number}: validation {ours:.2f} s, Great Expectations on pandas {gx:.2f} s, {load()}")
    return {"loop.validation_vs_gx_1m": [ours / gx for ours, gx in rounds]}


def promotions(folder: Path, say: Say) -> Values:
    """Of trials on the real Telco file, how many end with a new champion."""
    return _of_real_rows(folder, say, "-m", "tests.bench.gate")


PARSE = """
import airflow.sdk, importlib, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(folder))
began = time.perf_counter()
for path in sorted(folder.glob("*.py")):
    importlib.import_module(path.stem)
print(time.perf_counter() - began)
"""


def parsing(folder: Path, say: Say) -> Values:
    """All DAG files, one after the other, in a fresh process that has imported ``airflow.sdk``."""
    seconds = [float(_in_task_environment(folder, "-c", PARSE, str(dags_folder()))) for _ in range(PARSE_ROUNDS)]
    say(f"{', '.join(f'{one:.3f}' for one in seconds)} s, {load()}")
    return {"dags.parse_s": seconds}


def explaining(folder: Path, say: Say) -> Values:
    """SHAP values of 10,000 rows: for each round those of the kind of candidate that takes longest."""
    rounds = json.loads(_in_task_environment(folder, "-m", "tests.bench.explanation", str(data.telco(folder))))
    for number, seconds in enumerate(rounds, start=1):
        kinds = ", ".join(f"{kind} {one:.2f} s" for kind, one in seconds.items())
        say(f"round {number}: {kinds}, {load()}")
    return {"explain.shap_10k_s": [max(seconds.values()) for seconds in rounds]}


def drifting(folder: Path, say: Say) -> Values:
    """Of windows of real rows, how many alarm: without drift, with a price rise, with another mix of contracts."""
    return _of_real_rows(folder, say, "-m", "tests.bench.drift", "windows")


def concept(folder: Path, say: Say) -> Values:
    """Of windows of real rows with labels, how many alarm: as they are, and with a ROC AUC that is lower."""
    return _of_real_rows(folder, say, "-m", "tests.bench.concept")


def comparing(rows: int, folder: Path, say: Say) -> list[float]:
    """The time of the drift check of so many rows a side over that of Evidently's preset, with the same distances."""
    rounds = json.loads(_in_task_environment(folder, "-m", "tests.bench.drift", "speed", str(rows)))
    for number, (ours, theirs) in enumerate(rounds, start=1):
        say(f"{rows:,} rows, round {number}: {ours:.2f} s, Evidently's preset {theirs:.2f} s, {load()}")
    return [ours / theirs for ours, theirs in rounds]


def _of_real_rows(folder: Path, say: Say, *command: str) -> Values:
    real = os.environ.get("MODELOPS_TELCO_CSV")
    if not real:
        raise RuntimeError("needs the real Telco file: set MODELOPS_TELCO_CSV to it")
    found: Values = json.loads(_in_task_environment(folder, *command, real))
    for name, rounds in found.items():
        say(f"{name}: {', '.join(f'{one:.3f}' for one in rounds)}, {load()}")
    return found


def _round(number: int) -> str:
    return f"round {number}" if number else "warm-up"


def load() -> str:
    """The load of the machine, to be seen beside what was measured under it."""
    return f"load {os.getloadavg()[0]:.1f}"


def _cores(stack: Stack) -> float:
    """Processor seconds a second that the scheduler with its workers takes while nothing runs."""
    scheduler = stack.scheduler()
    before, began = _processor_seconds(scheduler), time.monotonic()
    time.sleep(IDLE_SECONDS)
    return (_processor_seconds(scheduler) - before) / (time.monotonic() - began)


def _processor_seconds(scheduler: psutil.Process) -> float:
    times = [process.cpu_times() for process in (scheduler, *scheduler.children())]
    return sum(time.user + time.system for time in times)


def _in_task_environment(folder: Path, *arguments: str) -> str:
    """The output of a Python process that has the environment of a task of a stack at ``folder``."""
    settings = Settings.from_environment({"MODELOPS_HOME": str(folder / "home")})
    prepare_home(settings)
    result = subprocess.run(
        [sys.executable, *arguments],
        env=process_environment(settings),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"{' '.join(arguments)[:80]} failed:\n{result.stderr[-3000:]}")
    return result.stdout.strip().splitlines()[-1]


PARTS = (
    Part(("capture.lost_after_kill",), lost_after_kill),
    Part(("dags.parse_s",), parsing),
    Part(("drift.false_alarm_rate", "drift.power_price", "drift.power_mix", "drift.power_mix_500"), drifting),
    Part(("drift.concept_power", "drift.concept_false_alarm_rate"), concept),
    Part(
        ("drift.time_vs_preset_1m",),
        lambda folder, say: {"drift.time_vs_preset_1m": comparing(1_000_000, folder, say)},
    ),
    Part(
        ("drift.time_vs_preset_5m",),
        lambda folder, say: {"drift.time_vs_preset_5m": comparing(5_000_000, folder, say)},
    ),
    Part(("explain.shap_10k_s",), explaining),
    Part(("serving.p50_ms", "serving.throughput_vs_mlflow", "serving.p99_vs_mlflow"), serving),
    Part(("loop.task_overhead_s", "loop.idle_cpu", "loop.speedup_by_preload"), telco),
    Part(("loop.validation_vs_gx_1m",), validation),
    Part(("gate.aa_promotion_rate", "gate.ab_power_real", "gate.ab_power_small", "gate.bootstrap_100k_s"), promotions),
    Part(("scoring.ratio_vs_memory", "scoring.peak_gb_10m"), scoring),
    Part(("loop.ratio_1m", "loop.peak_gb_1m"), many_rows),
    Part(("loop.fresh_s", "loop.again_s"), fresh_machine),
)

TOGETHER = {"serving": ("serving.", "scoring.", "drift.", "capture.")}
"""What else is measured with a name: whatever happens to a model once it is in production."""


def parts_of(only: str) -> list[Part]:
    """The parts with a figure that is called so or begins so; all of them for the empty text."""
    beginnings = TOGETHER.get(only, (only,))
    return [part for part in PARTS if any(name.startswith(beginnings) for name in part.names)]
