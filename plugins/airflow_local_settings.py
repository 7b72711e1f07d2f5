"""Loads once what tasks import, in the scheduler or the Celery worker, and what DAG files do, in the DAG processor.

Airflow imports a module of this name from the plugins folder while it initialises. LocalExecutor forks its workers
from the scheduler, a Celery worker its pool from itself, and both fork each task from one of these; the DAG processor
forks a parser for each file. What is imported here need not be imported there. Elsewhere (API server, command line)
this module does nothing. ``MODELOPS_PRELOAD=0`` switches it off: tasks then import what they need themselves, some
seconds each.

Only imports: a process that has opened a Delta table, fitted a model or started a thread must not be forked. An edit of
the project's own modules is seen by the next task, without a restart: every fork looks whether there was one.
"""

import importlib
import os
import sys
import time
import warnings
from pathlib import Path

# Nothing here is a setting of Airflow's.
__all__: list[str] = []

PROJECT = Path(__file__).resolve().parents[1]

LIBRARIES = (
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "scipy.stats",
    "sqlalchemy.orm",
    "sklearn.calibration",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.inspection",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.neural_network",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.svm",
    "sklearn.tree",
    "matplotlib.pyplot",
    "skops.io",
    "mlflow.sklearn",
    "great_expectations",
    "evidently.presets",
    "deltalake.fs",
    "fairlearn.metrics",
    # What these import only when they are used.
    "jinja2.ext",
    "matplotlib.backends.backend_agg",
    "mlflow.tracing.processor.base_mlflow",
    "mlflow.tracing.processor.otel",
    "mlflow.tracking.request_header.registry",
    "narwhals._interchange.dataframe",
    "narwhals._pandas_like.namespace",
    "narwhals.stable.v2._namespace",
    "opentelemetry.sdk.metrics",
    "pandas.api.internals",
    "pandas.core.arrays.arrow.extension_types",
    "pyarrow.dataset",
    "PIL.BmpImagePlugin",
    "PIL.GifImagePlugin",
    "PIL.JpegImagePlugin",
    "PIL.PpmImagePlugin",
)
AIRFLOW = (
    "airflow.dag_processing.bundles.local",
    "airflow.providers.common.io.assets.file",
    "airflow.providers.standard.decorators.python",
    "airflow.sdk.bases.operatorlink",
    "airflow.sdk.definitions.asset.metadata",
    "airflow.sdk.definitions.connection",
    "airflow.sdk.definitions.decorators",
    "airflow.sdk.definitions.timetables.trigger",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.serialization.definitions.assets",
)
FOR_DAG_FILES = ("include.spec", "include.stack.home")


def _needed() -> tuple[str, ...]:
    """What is imported in the processes that this one forks."""
    if os.environ.get("MODELOPS_PRELOAD", "1") == "0":
        return ()
    is_local = "LocalExecutor" in os.environ.get("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
    match sys.argv[1:3]:
        case ["dag-processor", *_]:
            return (*AIRFLOW, *FOR_DAG_FILES)
        case ["scheduler", *_] if is_local:
            return (*LIBRARIES, *AIRFLOW, *_steps())
        case ["celery", "worker"]:
            return (*LIBRARIES, *AIRFLOW, *_steps())
    return ()


def _preload(names: tuple[str, ...]) -> None:
    began = time.monotonic()
    # Looked at before they are loaded: what is edited meanwhile counts as edited.
    as_loaded = {path: _version(path) for path in (PROJECT / "include").rglob("*.py")}
    with warnings.catch_warnings():
        # skops asks every loaded module for every NumPy function, and Airflow's old modules each answer with a warning.
        warnings.simplefilter("ignore")
        for name in names:
            try:
                importlib.import_module(name)
            except Exception as error:  # noqa: BLE001 - the task that needs it fails with this error, where it is seen
                _say(f"Cannot preload {name}: {error}")
    os.register_at_fork(after_in_child=lambda: _forget_edited(as_loaded))
    _say(f"Preloaded {len(names)} modules with what they import in {time.monotonic() - began:.1f} s")


def _steps() -> tuple[str, ...]:
    """The modules of ``include.steps``; with them comes what they import."""
    found = (path.relative_to(PROJECT).with_suffix("") for path in (PROJECT / "include/steps").rglob("*.py"))
    return tuple(sorted(".".join(path.parts).removesuffix(".__init__") for path in found))


def _forget_edited(as_loaded: dict[Path, tuple[int, int] | None]) -> None:
    """If a file is not as it was loaded, let every module of the project be imported anew: they belong together."""
    if any(_version(path) != loaded for path, loaded in as_loaded.items()):
        for name in [name for name in sys.modules if name.partition(".")[0] == "include"]:
            del sys.modules[name]
        as_loaded.clear()
        importlib.invalidate_caches()


def _version(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _say(message: str) -> None:
    """Print: Airflow sets up its logging only after this module is imported."""
    print(f"airflow_local_settings: {message}", file=sys.stderr, flush=True)


# The plugin manager imports every module of the folder, so this one a second time; nothing is left to do then.
if FOR_DAG_FILES[0] not in sys.modules and (needed := _needed()):
    _preload(needed)
