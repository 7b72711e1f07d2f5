"""``spec.yaml`` as a ``UseCase``: where the files are, how they are read, and what their errors say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from include.spec.base import SpecError
from include.spec.use_case import UseCase


class _UniqueKeyLoader(yaml.CSafeLoader):
    """YAML takes the last of two equal keys without a word; a spec must not. Every task reads a spec: in C, in 1 ms."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(self.construct_object(key_node, deep=True))
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def load(path: Path) -> UseCase:
    """Read ``spec.yaml`` at ``path``; raise ``SpecError`` listing every fault with its path in the file."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise SpecError(f"{path}: there is no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(content, Mapping):
        raise SpecError(f"{path}: expected a mapping of keys, found {type(content).__name__}")
    try:
        spec = UseCase.model_validate({**content, "folder": path.parent})
    except ValidationError as error:
        faults = [fault for found in error.errors() for fault in _faults(found)]
        raise SpecError(f"{path}: {len(faults)} fault(s)\n" + "\n".join(f"  {fault}" for fault in faults)) from error
    if spec.name != path.parent.name:
        raise SpecError(f"{path}: name: '{spec.name}' is not the name of its folder, '{path.parent.name}'")
    return spec


def _faults(error: Mapping[str, Any]) -> list[str]:
    """What one of pydantic's errors says, each with its path in the file."""
    path = ".".join(map(str, error["loc"]))
    message = str(error["msg"]).removeprefix("Value error, ")
    match error["type"]:
        case "value_error":  # ours; those of the whole spec name their paths themselves
            return [f"{path}: {message}"] if path else message.split("\n")
        case "extra_forbidden":
            return [f"{path}: unknown key"]
        case "missing":
            return [f"{path}: {message}"]
        case "string_type":
            return [f"{path}: {message}, found {error['input']!r}; put it in quotes"]
        case _:
            return [f"{path}: {message}, found {error['input']!r}"]


def sound(folders: Iterable[Path]) -> tuple[dict[str, UseCase], list[SpecError]]:
    """Every use case below ``folders`` that can be used, by name, and what is wrong with each of the others.

    Of a name in two folders the first counts.
    """
    found: dict[str, UseCase] = {}
    faults: list[SpecError] = []
    for path in (path for folder in folders for path in sorted(folder.glob("*/spec.yaml"))):
        try:
            spec = load(path)
            if spec.name in found:
                raise SpecError(f"{path}: '{spec.name}' is already defined in {found[spec.name].folder}")
            found[spec.name] = spec
        except SpecError as fault:
            faults.append(fault)
    return found, faults


def find(name: str, folders: Iterable[Path]) -> UseCase:
    """The use case called ``name``; without it, the error says which ones there are."""
    folders = tuple(folders)
    found = {path.parent.name: path for folder in reversed(folders) for path in folder.glob("*/spec.yaml")}
    if name in found:
        return load(found[name])
    there = ", ".join(sorted(found)) or "none"
    raise SpecError(f"no use case '{name}' in {', '.join(map(str, folders))}; there are: {there}")
