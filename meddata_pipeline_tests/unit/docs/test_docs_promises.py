"""What the documents name exists: links, headings, make targets, commands with their options, the example profile."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

_ROOT = Path(__file__).resolve().parents[3]
_DOCUMENTS = sorted([*_ROOT.glob("*.md"), *(_ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
#: A command in a code block or between backticks, at a place where a shell would start one.
_COMMAND = re.compile(r"(?:^|[`;&|] *|\$ |=)(?:\.venv/bin/)?meddata ([a-z][^`\n]*)", re.MULTILINE)
#: Documents that are read in both languages.
_PAIRS = ("README", "docs/architecture", "docs/operations", "docs/deidentification")

documents = pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda p: p.relative_to(_ROOT).as_posix())


@cache
def _text(document: Path) -> str:
    return document.read_text(encoding="utf-8")


@cache
def _anchors(document: Path) -> set[str]:
    """Anchors of a document's headings, as GitHub makes them."""
    anchors = set()
    for title in re.findall(r"^#+ +(.+)$", _CODE_BLOCK.sub("", _text(document)), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).strip().lower()
        kept = (c for c in plain if c in "-_ " or unicodedata.category(c)[0] in "LN")
        anchors.add("".join(kept).replace(" ", "-"))
    return anchors


@documents
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for target in _LINK.findall(_CODE_BLOCK.sub("", _text(document))):
        if target.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert not broken


@documents
def test_no_machine_and_no_index_is_named(document: Path) -> None:
    named = re.findall(r"/(?:root|work|tmp/pip)/\S*|\S*--(?:extra-)?index-url\S*|\S*pypi\S*", _text(document))
    assert not named


@documents
def test_make_targets_exist(document: Path) -> None:
    makefile = (_ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", _text(document), re.MULTILINE))
    assert named <= targets


@cache
def _tool() -> Any:
    from meddata_pipeline.cli import app

    return typer.main.get_command(app)


def _missing(words: list[str]) -> str | None:
    """The first word of a command line that the tool does not know, or None."""
    command: Any = _tool()
    while words and hasattr(command, "commands"):
        word, words = words[0], words[1:]
        if not re.fullmatch(r"[a-z][a-z-]*", word):
            return None  # a variable or prose: the group itself exists
        if word not in command.commands:
            return word
        command = command.commands[word]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return next((w for w in words if w.startswith("--") and w.partition("=")[0] not in {*known, "--help"}), None)


@documents
def test_commands_exist_with_their_options(document: Path) -> None:
    unknown = []
    for line in _COMMAND.findall(_text(document)):
        words = [word.strip("[]().,;:\"'") for word in line.partition("#")[0].split()]
        if (missing := _missing(words)) is not None:
            unknown.append(f"meddata {line.strip()}: {missing}")
    assert not unknown


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_example_profile_is_a_profile(name: str) -> None:
    from meddata_pipeline.ingest.profile import parse_profile

    found = re.findall(r"^```yaml\n(hospital:.*?)^```$", _text(_ROOT / name), re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    profile = parse_profile(yaml.safe_load(found[0]), name)
    listed = re.findall(r"\b(\S+_20240101\.csv)", _text(_ROOT / name))
    files = [file.rpartition("/")[2] for file in listed]
    assert len(files) == 5
    assert {profile.table_of(file) for file in files} == set(profile.tables)


@pytest.mark.parametrize("name", _PAIRS)
def test_both_languages_show_the_same_commands(name: str) -> None:
    def shell(path: Path) -> list[str]:
        blocks = re.findall(r"^```sh\n(.*?)^```$", _text(path), re.MULTILINE | re.DOTALL)
        lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
        return [re.sub(r'--reason "[^"]*"| --lang zh', "", line).rstrip() for line in lines]

    english, chinese = _ROOT / f"{name}.md", _ROOT / f"{name}.zh-CN.md"
    assert shell(english) == shell(chinese)
    headings = [len(re.findall(r"^##+ ", _CODE_BLOCK.sub("", _text(p)), re.MULTILINE)) for p in (english, chinese)]
    assert headings[0] == headings[1]


def test_pictures_are_small_and_shown() -> None:
    pictures = [p for p in (_ROOT / "docs" / "images").iterdir() if p.is_file()]
    assert pictures
    shown = "".join(_text(document) for document in _DOCUMENTS)
    for picture in pictures:
        assert picture.stat().st_size <= 300_000, picture.name
        assert picture.name in shown, f"{picture.name} is shown nowhere"


def test_decision_records_are_numbered_without_gaps() -> None:
    names = sorted(p.name for p in (_ROOT / "docs" / "adr").glob("*.md"))
    assert [name[:4] for name in names] == [f"{n:04d}" for n in range(1, len(names) + 1)]
    for name in names:
        assert _text(_ROOT / "docs" / "adr" / name).startswith(f"# {name[:4]} ")
