"""``python -m include card``: what a registered version is for, how good it is, and who let it serve."""

from __future__ import annotations

from include import spec as specs
from include.cli.console import line
from include.cli.registered import fetch
from include.governance.card import HTML, MARKDOWN
from include.registry import versions
from include.settings import Settings
from include.stack import StackError


def card(settings: Settings, name: str, version: str | None) -> int:
    """Print the model card of ``version``, of the champion without one, and say where its page is."""
    specs.find(name, settings.use_case_folders)
    version, _ = fetch(settings, name, version)
    package = versions.folder(settings.home / "models", name, version)
    if not (package / MARKDOWN).is_file():
        raise StackError(f"{name} version {version} was registered without a model card; retrain once")
    print((package / MARKDOWN).read_text(encoding="utf-8"))
    line(f"{name} version {version}, as a page: {package / HTML}")
    return 0
