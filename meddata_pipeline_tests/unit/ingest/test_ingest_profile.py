"""Profiles are strict: a mistake is an error that names file and field, never a column that is silently not taken."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.ingest.profile import load_profile, parse_profile
from meddata_pipeline_tests.unit.ingest.deliveries import TABLES, profile


def _broken(path: str, value: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"hospital": "h", "title": "H", "tables": copy.deepcopy(TABLES)}
    *parents, last = path.split(".")
    place = data
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    place[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("optouts", {"files": "x"}, "optouts"),
        ("tables.patients.colums", {}, "tables.patients.colums"),
        ("tables.patients.kind", "person", "kind person is unknown"),
        ("tables.patients.delivery", "daily", "tables.patients.delivery"),
        ("tables.patients.columns.nme", {"from": "x"}, "patient has no such column"),
        ("tables.patients.columns.name", {"form": "x"}, "tables.patients.columns.name"),
        ("tables.patients.columns.name", {}, "either 'from' or 'const'"),
        ("tables.patients.columns.name", {"from": "x", "const": "y"}, "either 'from' or 'const'"),
        ("tables.patients.columns.name", {"from": "x", "unit_from": "y"}, "only the value of a lab table"),
        ("tables.patients.columns.sex", {"from": "x", "codes": {True: "M"}}, "in quotes"),
        ("tables.patients.record_key", ["visit_no"], "record_key: visit_no"),
        ("tables.labs.columns.flag", {"from": "x"}, "ingest computes it"),
        ("tables.visits.also.0.columns.value", {"from": "x"}, "filled from 'values'"),
        ("tables.visits.also.0.kind", "lab", "laboratory|observations"),
        ("id_patterns", {"patient_no": "("}, "id_patterns.patient_no"),
        ("excluded_groups", {"x": {"icd10": ["F0"]}}, "F0"),
        ("encoding", "utf8", "encoding"),
        ("tables", {}, "tables"),
    ],
)
def test_mistakes_name_file_and_field(path: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        parse_profile(_broken(path, value), "hospitals/h.yaml")
    assert "hospitals/h.yaml" in str(error.value)
    assert "pydantic" not in str(error.value)


def test_codes_may_be_written_as_numbers() -> None:
    values = profile().tables["visits"].also[0].values
    assert values["smoking"].codes == {"是": "1", "否": "0"}


def test_the_most_specific_glob_takes_a_file() -> None:
    tables = copy.deepcopy(TABLES)
    tables["labs_correction"] = {**tables["labs"], "files": ["检验更正*"], "delivery": "correction"}
    with_correction = profile(tables=tables)
    assert with_correction.table_of("检验_1.csv") == "labs"
    assert with_correction.table_of("检验更正_1.csv") == "labs_correction"
    assert with_correction.table_of("other.csv") is None


def test_loading(tmp_path: Path) -> None:
    (tmp_path / "hospitals").mkdir()
    (tmp_path / "hospitals" / "x.yaml").write_text("hospital: y\ntitle: Y\ntables: {}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="tables"):
        load_profile(Config([tmp_path]), "x")
    with pytest.raises(ConfigError, match="hospitals/nobody"):
        load_profile(Config([tmp_path]), "nobody")


@pytest.mark.parametrize("hospital", Config().hospitals())
def test_shipped_profiles_are_right(hospital: str) -> None:
    assert load_profile(Config(), hospital).tables
