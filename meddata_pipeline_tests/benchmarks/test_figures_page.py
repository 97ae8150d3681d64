"""The page of figures: one row is replaced, the others stay, the order is that of the figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from meddata_pipeline_tests.benchmarks import figures


def test_a_figure_replaces_its_own_row_only() -> None:
    page = figures.merged(figures.HEAD, "kills", "9 of 10", "2024-01-01")
    page = figures.merged(page, "intervals", "190 of 200", "2024-01-02")
    page = figures.merged(page, "kills", "10 of 10", "2024-01-03")
    rows = figures.rows(page)
    assert list(rows) == ["intervals", "kills"]
    assert "190 of 200" in rows["intervals"]
    assert "10 of 10 | `" in rows["kills"]
    assert "2024-01-03" in rows["kills"]
    assert "9 of 10" not in page
    assert page.startswith(figures.HEAD)
    assert {line.count("|") for line in page.splitlines() if line.startswith("|")} == {8}


def test_a_figure_that_could_not_be_measured_does_not_keep_its_old_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "figures.md"
    page.write_text(figures.merged(figures.HEAD, "kills", "10 of 10", "2024-01-01"), encoding="utf-8")

    def broken(_: object) -> str:
        """Fails."""
        raise RuntimeError("no space left on | device")

    monkeypatch.setattr(figures, "PAGE", page)
    monkeypatch.setitem(figures.FIGURES, "kills", ("", "", broken))
    assert figures.main(["kills"]) == 1
    assert "failed: no space left on / device" in page.read_text(encoding="utf-8")
