"""Nothing leaves the order of rows to chance: DuckDB's threads return ties as they please, and digests would differ."""

from __future__ import annotations

from meddata_pipeline.app import nights
from meddata_pipeline_tests.conftest import Demo
from meddata_pipeline_tests.e2e import pipeline

ORDER = ("source_table", "source_file", "source_row", "record_key")


def test_the_order_of_a_day_s_records_has_no_ties(demo: Demo) -> None:
    place = pipeline.workplace(demo.home, demo.landing)
    split = 0
    for kind in nights.DEID_KINDS:
        for hospital in ("hospital-a", "hospital-b", "hospital-c"):
            for day in nights.days_with_records(place, hospital):
                table, _ = nights._latest_of_day(place, kind, hospital, day)
                rows = list(zip(*(table[name].to_pylist() for name in ORDER), strict=True))
                assert rows == sorted(set(rows)), (kind, hospital, day)
                split += len(rows) - len({row[:3] for row in rows})
    assert split > 0, "no source row gave two records: the test shows nothing"
