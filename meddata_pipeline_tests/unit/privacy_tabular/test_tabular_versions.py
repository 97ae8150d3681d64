"""A frozen scheme, rows that must not be released, and tables that stand beside earlier versions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from meddata_pipeline.core.errors import BadInput, ConfigError, Refused
from meddata_pipeline.privacy import versions
from meddata_pipeline.privacy.policy import Policy, parse_policy
from meddata_pipeline.privacy.release import rekey
from meddata_pipeline.privacy.tabular import Anonymized, anonymize
from meddata_pipeline.privacy.tabular.verify import verify

HERE = Path()
KEY = b"k" * 32


def policy(**changes: Any) -> Policy:
    raw = {
        "unit": "person_id",
        "quasi_identifiers": {
            "age": {"raw": False, "open": True, "intervals": [[20, 40, 60], [40], []]},
            "sex": {},
        },
        "sensitive": ["finding"],
        "privacy": [{"model": "k-anonymity", "k": 5}],
        "suppression_limit": 0.2,
        "suppressed": "drop",
    }
    return parse_policy({**raw, **changes})


def people(count: int, seed: int = 1, first: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "person_id": [f"p{first + n}" for n in range(count)],
            "age": rng.integers(0, 80, count),
            "sex": rng.choice(["f", "m"], count),
            "finding": rng.choice(["a", "b", "c"], count),
        }
    )


def recounted(made: Anonymized, table: pd.DataFrame, terms: Policy) -> dict[str, Any]:
    unit = table["person_id"]
    counted = verify(
        made.require(), terms, unit=unit, report=made.report, original=table, background=made.background, base=HERE
    )
    assert made.report["suppressed_rows"] == int(made.suppressed.sum())
    return counted


def protect(
    table: pd.DataFrame, terms: Policy, *earlier: versions.Classes, scheme: Mapping[str, int] | None = None
) -> versions.Protected:
    persons = table["person_id"]
    return versions.protect(table, terms, HERE, persons=persons, earlier=earlier, scheme=scheme, key=KEY)


def test_the_scheme_that_was_found_gives_the_same_table() -> None:
    table, terms = people(120), policy()
    found = anonymize(table, terms, HERE)
    given = anonymize(table, terms, HERE, scheme=found.transformation)
    pd.testing.assert_frame_equal(found.require(), given.require())
    for name in ("transformation", "loss", "suppressed_rows", "classes", "columns", "risk"):
        assert given.report[name] == found.report[name]
    coarser = anonymize(table, terms, HERE, scheme={"age": 2, "sex": 0})
    assert set(coarser.require()["age"]) == {"*"}
    recounted(coarser, table, terms)


def test_levels_that_fit_no_more_need_a_new_major_version() -> None:
    table = people(30)
    scheme = {"age": 0, "sex": 0}
    with pytest.raises(Refused) as refusal:
        anonymize(table, policy(suppression_limit=0.0), HERE, scheme=scheme).require()
    assert [r.code for r in refusal.value.reasons] == ["frozen-scheme"]
    for wrong in ({"age": 0}, {"age": 3, "sex": 0}, {"age": -1, "sex": 0}):
        with pytest.raises(BadInput):
            anonymize(table, policy(), HERE, scheme=wrong)
    with pytest.raises(BadInput, match="mondrian"):
        anonymize(table, policy(search="mondrian"), HERE, scheme=scheme)


@pytest.mark.parametrize("suppressed", ["drop", "keep"])
def test_rows_that_must_stay_out_are_in_no_class(suppressed: str) -> None:
    table, terms = people(150), policy(suppressed=suppressed)
    scheme = {"age": 1, "sex": 0}
    withheld = np.zeros(len(table), dtype=bool)
    withheld[::10] = True
    made = anonymize(table, terms, HERE, scheme=scheme, withheld=withheld)
    alone = anonymize(table[~withheld], terms, HERE, scheme=scheme)
    assert made.report["classes"] == alone.report["classes"]
    assert made.suppressed[withheld].all()
    shown = versions.classes_of(made.require(), terms, table["person_id"])
    assert set(shown.index) == set(table["person_id"][~made.suppressed])
    assert recounted(made, table, terms)["suppressed_rows"] == (made.suppressed_rows if suppressed == "keep" else 0)


@pytest.mark.parametrize(
    "model",
    [
        {"model": "distinct-l-diversity", "attribute": "finding", "l": 3},
        {"model": "t-closeness", "attribute": "finding", "t": 0.3},
        {"model": "delta-disclosure", "attribute": "finding", "delta": 2.0},
    ],
    ids=lambda model: model["model"],
)
def test_all_models_are_met_without_those_who_are_withheld(model: dict[str, Any]) -> None:
    terms = policy(privacy=[{"model": "k-anonymity", "k": 4}, model], suppression_limit=0.9)
    for seed in range(4):
        first = people(90, seed)
        before = protect(first, terms)
        assert not before.withheld.any()
        # Some leave, some age, some come.
        second = pd.concat([first[3:].assign(age=first["age"].where(first.index % 17 > 0, 70)), people(20, 9, 90)])
        second = second.reset_index(drop=True)
        after = protect(second, terms, before.classes, scheme=before.made.transformation)
        assert after.exposed
        recounted(after.made, second, terms)
        assert versions.recount([before.classes, after.classes])["smallest"] >= 4
        assert set(after.classes.index) == set(second["person_id"][~after.made.suppressed])


def test_what_would_take_too_many_rows_is_refused_with_the_number_of_people() -> None:
    table = people(200)
    terms = policy(suppression_limit=0.02)
    before = protect(table, terms, scheme={"age": 2, "sex": 0})
    assert before.classes.nunique() == 2
    # One leaves from each of two classes: four more would have to leave each, eight of 198, and 3 may.
    gone = [before.classes.index[before.classes == name][0] for name in before.classes.unique()]
    rest = table[~table["person_id"].isin(gone)]
    with pytest.raises(Refused) as refusal:
        protect(rest, terms, before.classes, scheme={"age": 2, "sex": 0})
    (reason,) = refusal.value.reasons
    assert reason.code == "versions-expose"
    assert "would expose 2 persons" in reason.detail
    passed = protect(rest, policy(suppression_limit=0.05), before.classes, scheme={"age": 2, "sex": 0})
    assert (int(passed.withheld.sum()), passed.exposed) == (8, 2)
    mondrian = policy(search="mondrian", suppression_limit=0.5)
    own = protect(table, mondrian)
    assert not protect(table, mondrian, own.classes).withheld.any()
    with pytest.raises(Refused):
        protect(rest, mondrian, own.classes)


def test_all_rows_of_a_person_go_together() -> None:
    table = pd.concat([people(60), people(60, 2)]).reset_index(drop=True)  # two rows a person
    terms = policy(suppression_limit=1.0, privacy=[{"model": "k-anonymity", "k": 3}])
    made = protect(table, terms, scheme={"age": 1, "sex": 0})
    whose = made.withheld[:60], made.withheld[60:]
    assert (whose[0] == whose[1]).all()
    assert versions.recount([made.classes])["smallest"] >= 3


def test_a_scheme_means_the_same_only_with_the_same_hierarchies(tmp_path: Path) -> None:
    (tmp_path / "sex.csv").write_text("f,*\nm,*\n", encoding="utf-8")
    raw = {"age": {"intervals": [[20, 40], [40]], "open": True}, "sex": {"hierarchy": "sex.csv"}}
    terms = policy(quasi_identifiers=raw)
    kept = versions.scheme_digest(terms, tmp_path)
    for same in (terms, policy(quasi_identifiers=raw, suppression_limit=0.1, search="heuristic")):
        versions.require_same(kept, same, tmp_path, "1.1")
    age = {"intervals": [[20, 50], [50]], "open": True}
    for other in (policy(quasi_identifiers={**raw, "age": age}), policy(quasi_identifiers=raw, search="local")):
        with pytest.raises(Refused) as refusal:
            versions.require_same(kept, other, tmp_path, "1.1")
        assert "new major version" in refusal.value.reasons[0].detail
    (tmp_path / "sex.csv").write_text("f,any\nm,any\n", encoding="utf-8")
    with pytest.raises(Refused):
        versions.require_same(kept, terms, tmp_path, "1.1")
    (tmp_path / "sex.csv").unlink()
    with pytest.raises(ConfigError):
        versions.scheme_digest(terms, tmp_path)


def test_row_ids_stay_only_where_the_key_does() -> None:
    assert policy(linkability="versions", longitudinal=True).longitudinal
    with pytest.raises(ConfigError, match="longitudinal"):
        policy(longitudinal=True)


def test_dates_move_alike_under_other_row_ids() -> None:
    table = people(40).assign(seen=pd.Timestamp("2024-03-01"))
    first, second, other = (
        rekey(table.assign(who=table["person_id"]), key=key, shift_key=shift, date_columns=["seen"]).set_index("who")
        for key, shift in ((b"a" * 32, KEY), (b"b" * 32, KEY), (b"b" * 32, None))
    )
    assert not set(first["row_id"]) & set(second["row_id"])
    assert list(first.index) != list(second.index)
    assert (first["seen"] == second["seen"].reindex(first.index)).all()
    assert (first["seen"] != other["seen"].reindex(first.index)).mean() > 0.9
