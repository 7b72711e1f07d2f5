"""Lets one request write at a time where Airflow's database is SQLite; see ``include.stack.one_writer``."""

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from include.stack.one_writer import OneWriter


class OneWriterPlugin(AirflowPlugin):
    name = "one_writer"
    fastapi_root_middlewares = (
        [{"name": "one writer", "middleware": OneWriter}]
        if conf.get("database", "sql_alchemy_conn").startswith("sqlite")
        else []
    )
