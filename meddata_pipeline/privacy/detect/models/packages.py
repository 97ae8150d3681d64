"""What the models read out of installed packages: where it lies, and whether it is what was measured (models.yaml).

What belongs here: finding and checking files of packages that are never imported. What does not: reading them.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from meddata_pipeline.core.errors import ConfigError


@cache
def recipes() -> dict[str, Any]:
    """The mapping of models.yaml."""
    source = resources.files("meddata_pipeline.privacy.detect.models").joinpath("models.yaml")
    loaded: dict[str, Any] = yaml.safe_load(source.read_text(encoding="utf-8"))
    return loaded


def package_folder(package: str) -> Path:
    """Where a package lies, without importing it.

    Raises:
        ConfigError: it is not installed.
    """
    found = importlib.util.find_spec(package)
    places = list(found.submodule_search_locations or ()) if found is not None else []
    if not places:
        raise ConfigError(
            f"the package {package.lower()} is missing: the names model for Chinese needs it; "
            "install deploy/requirements-sdist.txt",
            where=package,
        )
    return Path(places[0])


def digest_of(files: Sequence[Path]) -> str:
    """SHA-256 over names and contents of files, in the order of their names."""
    total = hashlib.sha256()
    for path in sorted(files, key=lambda p: p.name):
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
