"""The local stack: MLflow and Airflow under a process supervisor on this machine. Nothing here imports Airflow."""


class StackError(RuntimeError):
    """The stack cannot be started, reached or stopped; the message says why and what to do about it."""
