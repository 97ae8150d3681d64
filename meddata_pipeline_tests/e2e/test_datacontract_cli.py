"""The shipped contracts and the demo's released tables are green before datacontract-cli."""

from __future__ import annotations

from pathlib import Path

import pytest

from meddata_pipeline.core.config import Config
from meddata_pipeline_tests.conftest import Demo
from meddata_pipeline_tests.evaluation import contract_tool


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    try:
        contract_tool.tool()
    except contract_tool.NotInstalled as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("product", Config().products())
def test_lint_is_green(product: str) -> None:
    code, said = contract_tool.lint(Config().find(f"products/{product}/contract.yaml"))
    assert code == 0, said


@pytest.mark.slow
def test_released_tables_pass_their_contract(demo: Demo, tmp_path: Path) -> None:
    released = sorted((demo.home / "products").glob("*/*/data.parquet"))
    assert released
    for data in released:
        code, counts = contract_tool.test(data.parent / "contract.yaml", data, tmp_path)
        # The tool can't check types in Parquet files and says so as a warning.
        assert code == 0 and counts["passed"] > 20 and set(counts) <= {"passed", "warning"}, counts
