"""Bilingual texts of pages: YAML files with `zh` and `en` at the leaves, read as plain strings of one language.

Belongs here: reading and checking such files. Does not belong here: any text (each package keeps its own YAML file).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

LANGUAGES = ("zh", "en")


def _is_leaf(node: Mapping[str, Any]) -> bool:
    return set(node) == set(LANGUAGES) and all(isinstance(text, str) for text in node.values())


def _pick(node: Any, lang: str, path: str) -> Any:
    if isinstance(node, Mapping):
        if _is_leaf(node):
            return node[lang]
        if any(language in node for language in LANGUAGES):
            raise ValueError(f"the text {path!r} lacks one of its languages: {', '.join(LANGUAGES)}")
        return {str(key): _pick(value, lang, f"{path}.{key}".lstrip(".")) for key, value in node.items()}
    if isinstance(node, list):
        return [_pick(value, lang, f"{path}[{index}]") for index, value in enumerate(node)]
    return node


@cache
def load_texts(package: str, name: str = "texts.yaml") -> dict[str, dict[str, Any]]:
    """The texts of a package, by language.

    Args:
        package: Import name of the package that holds the file.
        name: The file's name, relative to the package.

    Returns:
        `{"zh": nested strings, "en": the same keys}`; treat it as read-only, it is shared.

    Raises:
        ValueError: A text has only one language.
    """
    tree = yaml.safe_load(files(package).joinpath(name).read_text(encoding="utf-8"))
    return {lang: _pick(tree, lang, "") for lang in LANGUAGES}
