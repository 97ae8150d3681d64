"""The description: what it refuses, and that it survives the way to disk."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from meddata_pipeline.catalog.description import build, from_json, newest
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline_tests.unit.catalog.example import parts, release


def test_json_round_trip_gives_the_same_bytes() -> None:
    description = release()
    again = from_json(description.to_json())
    assert again == description
    assert again.to_json() == description.to_json()


def _broken(change: str) -> dict[str, Any]:
    raw = copy.deepcopy(parts())
    if change == "unknown key":
        raw["colour"] = "red"
    elif change == "no publisher":
        del raw["publisher"]
    elif change == "price upside down":
        raw["price"]["low"] = raw["price"]["high"] + 1
    elif change == "path leaves the folder":
        raw["files"][0]["path"] = "a/../../secret.txt"
    elif change == "figure that is no file":
        raw["figures"][0]["path"] = "figures/other.svg"
    elif change == "half a period":
        raw["temporal_end"] = None
    elif change == "risk above one":
        raw["risk"]["highest"] = 1.2
    elif change == "column twice":
        raw["columns"].append(raw["columns"][0])
    elif change == "version with letters":
        raw["version"] = "1.2-beta"
    return raw


@pytest.mark.parametrize(
    "change",
    [
        "unknown key",
        "no publisher",
        "price upside down",
        "path leaves the folder",
        "figure that is no file",
        "half a period",
        "risk above one",
        "column twice",
        "version with letters",
    ],
)
def test_wrong_parts_are_refused_with_the_field(change: str) -> None:
    with pytest.raises(BadInput, match=r"inflammation-pulpitis, field|product, field"):
        build(_broken(change))


def test_message_never_repeats_the_value() -> None:
    raw = parts()
    raw["persons"] = ["王小明"]
    with pytest.raises(BadInput) as caught:
        build(raw)
    assert "王小明" not in str(caught.value)


def test_versions_sort_as_numbers() -> None:
    groups = newest([release(version="1.9"), release(version="1.10"), release("inflammation-pulpitis-cohort")])
    assert [[d.version for d in group] for group in groups] == [["1.10", "1.9"], ["1.2"]]


def test_one_version_described_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="twice"):
        newest([release(), release()])


def test_headline_skips_what_was_suppressed() -> None:
    effects = [{**effect} for effect in parts()["effects"]]
    effects[0]["estimate"] = None
    headline = release(effects=effects).headline
    assert headline is not None
    assert headline.id == "crude/crp_sd/or"
    assert release(effects=[]).headline is None


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"id": "x"}'])
def test_bytes_that_are_no_description(data: bytes) -> None:
    with pytest.raises(BadInput):
        from_json(data)
