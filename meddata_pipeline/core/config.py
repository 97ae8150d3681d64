"""Where configuration lies and how it is read: package data, overlaid by the operator's own folders.

What belongs here: finding and parsing YAML. What does not: what the keys mean; each package has the model of its file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from meddata_pipeline.core.errors import ConfigError

PACKAGE_CONFIG = Path(__file__).resolve().parent.parent / "config"


def shown_name(path: Path) -> str:
    """What messages call a configuration file: its folder and name, or the name alone as it was given."""
    return "/".join(part for part in (path.parent.name, path.name) if part)


def load_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        ConfigError: the file is not there, is not YAML (with its line) or is not a mapping.
    """
    name = shown_name(path)
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError("The configuration file is missing", where=name) from None
    except IsADirectoryError:
        raise ConfigError("The configuration file is a folder", where=name) from None
    except UnicodeDecodeError:
        raise ConfigError("The configuration file is not UTF-8", where=name, next_step="Save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise ConfigError("The configuration file is not valid YAML", where=f"{name}{line}") from None
    except (ValueError, RecursionError):
        # A day that no calendar has, a number of too many digits, lists in lists without end.
        raise ConfigError("The configuration file holds a value that can't be read", where=name) from None
    if not isinstance(loaded, dict):
        raise ConfigError("The configuration file must be a mapping of keys", where=name)
    return loaded


class Config:
    """The configuration folders; a later folder wins over an earlier one, the package's own data come last.

    Args:
        dirs: the operator's folders in rising order of priority, each laid out as ``products/<id>/*.yaml``,
            ``hospitals/<id>.yaml``.
    """

    def __init__(self, dirs: Sequence[Path] = ()) -> None:
        self.dirs = [PACKAGE_CONFIG, *(Path(d) for d in dirs)]

    def find(self, relative: str) -> Path:
        """The file that counts for a relative path.

        Raises:
            ConfigError: no folder holds it.
        """
        for folder in reversed(self.dirs):
            candidate = folder / relative
            if candidate.is_file():
                return candidate
        raise ConfigError(f"No configuration file {relative}", next_step="Add it to the home's config folder")

    def has(self, relative: str) -> bool:
        """Whether any folder holds the file."""
        return any((folder / relative).is_file() for folder in self.dirs)

    def load(self, relative: str) -> dict[str, Any]:
        """Find and read one YAML mapping."""
        return load_yaml(self.find(relative))

    def products(self) -> list[str]:
        """Ids of all configured products, sorted."""
        return sorted({p.parent.name for folder in self.dirs for p in folder.glob("products/*/product.yaml")})

    def hospitals(self) -> list[str]:
        """Ids of all hospitals that have a profile, sorted."""
        return sorted({p.stem for folder in self.dirs for p in folder.glob("hospitals/*.yaml")})
