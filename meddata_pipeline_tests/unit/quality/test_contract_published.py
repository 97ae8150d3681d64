"""The candidate's contract against the published one: refused where its version does not say what changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from meddata_pipeline.app import contracts
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.canonical import file_sha256
from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import Refused
from meddata_pipeline.core.settings import Settings
from meddata_pipeline.exchange import release
from meddata_pipeline_tests.unit.cli.calling import call

PRODUCT = "birthweight-smoking"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose newest version of the product was published under the shipped contract."""
    version = release.product_dir(tmp_path, PRODUCT) / "1.1"
    version.mkdir(parents=True)
    shipped = Config().find(f"products/{PRODUCT}/contract.yaml").read_bytes()
    (version / contracts.FILE).write_bytes(shipped)
    listed = [{"path": contracts.FILE, "sha256": file_sha256(version / contracts.FILE), "bytes": len(shipped)}]
    (version / release.MANIFEST).write_text(json.dumps({"files": listed}), encoding="utf-8")
    monkeypatch.setattr(release, "latest", lambda *_: SimpleNamespace(version="1.1"))
    return tmp_path


def _change(home: Path, change: Callable[[str], str]) -> None:
    target = home / "config" / "products" / PRODUCT
    target.mkdir(parents=True, exist_ok=True)
    shipped = Config().find(f"products/{PRODUCT}/contract.yaml").read_text(encoding="utf-8")
    changed = change(shipped)
    assert changed != shipped
    (target / contracts.FILE).write_text(changed, encoding="utf-8")


def _reasons(home: Path) -> list[dict[str, Any]]:
    place = Workplace(Settings(home, None, "en", 1), home / "landing")
    try:
        contracts.require_version(place, PRODUCT)
    except Refused as refused:
        return [reason.as_dict() for reason in refused.reasons]
    return []


def test_the_same_contract_is_let_through(home: Path) -> None:
    assert _reasons(home) == []
    _change(home, lambda text: text + "# a remark\n")
    assert _reasons(home) == []


def test_a_breaking_change_needs_a_new_major(home: Path) -> None:
    def breaks(text: str) -> str:
        return text.replace("validValues: [1, 2, 3]", "validValues: [1, 2, 3, 4]").replace('value: "g"', 'value: "kg"')

    _change(home, breaks)
    assert [r["code"] for r in _reasons(home)] == ["contract-breaking"] * 2
    answer = call("product", "check", PRODUCT, "--home", str(home), "--json")
    assert answer.code == 1
    assert [r["code"] for r in answer.json["reasons"]] == ["contract-breaking"] * 2
    _change(home, lambda text: breaks(text).replace('version: "1.0"', 'version: "1.1"'))
    assert len(_reasons(home)) == 2
    _change(home, lambda text: breaks(text).replace('version: "1.0"', 'version: "2.0"'))
    assert _reasons(home) == []


def test_another_change_needs_a_new_minor(home: Path) -> None:
    _change(home, lambda text: text.replace("Race as recorded.", "Race as it was recorded."))
    assert [r["code"] for r in _reasons(home)] == ["contract-version"]
    _change(
        home, lambda t: t.replace("Race as recorded.", "Race as it was.").replace('version: "1.0"', 'version: "1.1"')
    )
    assert _reasons(home) == []


def test_a_published_contract_that_was_changed_is_refused(home: Path) -> None:
    path = release.product_dir(home, PRODUCT) / "1.1" / contracts.FILE
    path.write_bytes(path.read_bytes() + b"# later\n")
    assert [r["code"] for r in _reasons(home)] == ["release-damaged"]
