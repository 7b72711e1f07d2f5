"""What the commands print: in colour on a terminal, as plain lines elsewhere."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from include.stack.airflow_api import AirflowApi, TaskState

STYLES = {
    "success": "green",
    "failed": "bold red",
    "upstream_failed": "red",
    "up_for_retry": "yellow",
    "running": "cyan",
}
# Steps on the way that say nothing to a reader.
PASSING = ("scheduled", "queued", "restarting", "removed")

console = Console(highlight=False, soft_wrap=True)
errors = Console(highlight=False, soft_wrap=True, stderr=True)


def heading(text: str) -> None:
    """Print the title of a part."""
    console.print(Text(f"\n{text}", style="bold"))


def line(text: str) -> None:
    """Print a line below a title."""
    console.print(Text(f"  {text}"))


def say(text: str) -> None:
    """Print a line that stands for itself."""
    console.print(Text(text))


def error(text: str) -> None:
    """Print what went wrong, on stderr."""
    errors.print(Text(f"Error: {text}", style="red"))


def follow(api: AirflowApi, dag_id: str, run_id: str) -> str:
    """Print each task as it goes on, and why those failed that did. Returns the state that the run ended in."""
    failed: list[TaskState] = []
    for task in api.follow(dag_id, run_id):
        if task.state in PASSING:
            continue
        console.print(_task_line(task))
        if task.state == "failed":
            failed.append(task)
    for task in failed:
        console.print(Text(f"  {task.name}: {api.last_error(dag_id, run_id, task) or 'see its log'}", style="red"))
    if failed:
        line(f"Its log: {api.url}/dags/{dag_id}/runs/{run_id}")
    return api.run_state(dag_id, run_id)


def _task_line(task: TaskState) -> Text:
    state = task.state or ""
    word = state.replace("_", " ")
    took = f"{task.seconds:7.1f} s" if task.ended and task.seconds is not None else ""
    return Text(f"  {task.name:<32} ").append(f"{word:<16}{took}".rstrip(), style=STYLES.get(state, "dim"))
