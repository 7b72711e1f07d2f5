"""The assets that connect the DAGs, each with who emits it and who consumes it."""

from airflow.sdk import Asset


def retrain_request(use_case: str) -> Asset:
    """Emitted by ``<use case>_monitor``, consumed by ``<use case>_retrain``: a request waits in the request table."""
    return Asset(name=f"{use_case}_retrain_request", uri=f"modelops://{use_case}/retrain-request")
