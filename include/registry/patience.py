"""Operations on MLflow that wait out a short outage.

An answer that is lost says nothing about whether the call took effect, and MLflow's own client sends it again blindly,
which makes a second run or a second version. So its retries are off, and what is repeated is a whole operation, which
first looks for what its earlier try left.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT
from mlflow.exceptions import MlflowException, RestException

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

PATIENCE_SECONDS = 20.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
SILENCE_SECONDS = 30


def switch_off_blind_retries() -> None:
    """Let each call be sent once, and give up a server that says nothing for ``SILENCE_SECONDS``."""
    MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(0)
    MLFLOW_HTTP_REQUEST_TIMEOUT.set(SILENCE_SECONDS)


def patient(operation: Callable[P, R]) -> Callable[P, R]:
    """Repeat ``operation``, which must converge, while MLflow is away, for ``PATIENCE_SECONDS`` at most."""

    @functools.wraps(operation)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> R:
        give_up, pause = time.monotonic() + PATIENCE_SECONDS, FIRST_PAUSE
        while True:
            try:
                return operation(*args, **kwargs)
            except MlflowException as error:
                if not is_outage(error) or time.monotonic() + pause > give_up:
                    raise
                log.warning("%s: trying again in %.1f s: %s", operation.__name__, pause, error)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    return repeated


def is_outage(error: MlflowException) -> bool:
    """Tell whether no answer came, or one of "not now"; a refusal with a reason is none."""
    return not isinstance(error, RestException) and error.error_code == "INTERNAL_ERROR"
