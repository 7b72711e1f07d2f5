"""All logic of the project; nothing below this package imports Airflow."""
