"""The asset graph: pinned by a snapshot, loadable by Dagster's own commands, and told in both languages."""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance, Definitions

from meddata_pipeline.orchestration.build import build_defs
from meddata_pipeline_tests.orchestration import graph, world

ROOT = Path(__file__).resolve().parents[2]
GROUPS = {"landing", "records", "deid", "cohort", "candidate", "release", "catalog", "exchange"}


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> Definitions:
    place = world.workplace(tmp_path_factory.mktemp("graph"))
    return build_defs(resource_overrides={"workplace": place})


def test_the_graph_is_the_one_in_the_snapshot(defs: Definitions) -> None:
    kept, now = graph.SNAPSHOT.read_text(encoding="utf-8"), graph.text(defs)
    difference = "\n".join(difflib.unified_diff(kept.splitlines(), now.splitlines(), "snapshot", "now", lineterm=""))
    assert not difference, f"The asset graph has changed. If that was meant: {graph.COMMAND}\n{difference}"


def test_every_asset_says_who_owns_it_and_what_it_is_in_both_languages(defs: Definitions) -> None:
    nodes = list(defs.resolve_asset_graph().asset_nodes)
    assert {n.group_name for n in nodes} == GROUPS
    for node in nodes:
        name = node.key.to_user_string()
        assert node.owners, name
        assert node.kinds, name
        zh, _, en = (node.description or "").partition("\n\n")
        assert re.search(r"[\u4e00-\u9fff]", zh), name
        assert len(en) > 20, name
        assert not re.search(r"[\u4e00-\u9fff]", en), name
        assert "{" not in zh + en, f"{name}: a placeholder was left in its description"


def test_gates_block(defs: Definitions) -> None:
    resolved = defs.resolve_asset_graph()
    blocking = {(k.asset_key.to_user_string(), k.name) for k in resolved.asset_check_keys if resolved.get(k).blocking}
    must = {
        ("records_quarantine", "row_balance"),
        ("deid_spans", "no_residual_identifiers"),
        ("leak_audit", "planted_recall_floor"),
        ("candidate_table", "k_anonymity"),
        ("candidate_table", "live_versions"),
        ("candidate_risk", "risk_below_limit"),
        ("candidate_risk", "linkage_attack"),
        ("candidate_quality", "contract_errors"),
        ("candidate_dossier", "no_identifier_inside"),
    }
    assert must <= blocking


def test_definitions_load_in_one_piece(defs: Definitions) -> None:
    Definitions.validate_loadable(defs)


def _environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "dagster").mkdir()
    ours = {"DAGSTER_HOME": str(tmp_path / "dagster"), "MEDDATA_HOME": str(tmp_path), "DAGSTER_DISABLE_TELEMETRY": "1"}
    return {**{k: v for k, v in os.environ.items() if not k.startswith(("MEDDATA_", "DAGSTER_"))}, **ours}


@pytest.mark.parametrize(
    "command",
    [["dg", "check", "defs"], ["dagster", "definitions", "validate", "-w", "workspace.yaml"]],
    ids=["dg", "dagster"],
)
def test_dagsters_own_commands_find_the_definitions_valid(command: list[str], tmp_path: Path) -> None:
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [str(program), *command[1:]], cwd=ROOT, env=_environment(tmp_path), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_dagster_yaml_at_the_top_is_the_one_that_homes_get_and_it_loads(tmp_path: Path) -> None:
    top = (ROOT / "dagster.yaml").read_bytes()
    assert top == resources.files("meddata_pipeline.config").joinpath("dagster.yaml").read_bytes()
    (tmp_path / "dagster.yaml").write_bytes(top)
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled
        assert instance.get_concurrency_config().run_queue_config is not None
    assert yaml.safe_load(top)["nux"] == {"enabled": False}
