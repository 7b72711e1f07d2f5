from __future__ import annotations

import dataclasses
import os
import socket

import pytest

from include.settings import Settings
from include.stack import StackError
from include.stack.ports import is_taken, require_free, stack_ports


def test_free_ports_pass(settings: Settings) -> None:
    require_free(stack_ports(settings))


def test_a_taken_port_is_named_with_its_variable_and_its_holder(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", settings.airflow_port)), pytest.raises(StackError) as caught:
        require_free(stack_ports(settings))
    message = str(caught.value)
    assert f"Port {settings.airflow_port}, which Airflow needs, is taken by process {os.getpid()}" in message
    assert "MODELOPS_AIRFLOW_PORT=" in message
    assert "MLflow" not in message


def test_a_listener_on_all_addresses_counts(settings: Settings) -> None:
    with socket.create_server(("", settings.mlflow_port)):
        assert is_taken(settings.mlflow_port)
    assert not is_taken(settings.mlflow_port)


def test_one_port_for_two_services_is_refused(settings: Settings) -> None:
    port = settings.airflow_port
    twice = dataclasses.replace(settings, mlflow_port=port, mlflow_uri=f"http://127.0.0.1:{port}")
    with pytest.raises(StackError, match="MODELOPS_AIRFLOW_PORT and MODELOPS_MLFLOW_PORT are both"):
        require_free(stack_ports(twice))
