"""A detector that is unsure on purpose, so that there is something to review."""

from __future__ import annotations

from dataclasses import replace

from meddata_pipeline.privacy.detect.merge import MergeRules, default_rules

SHIPPED = default_rules()


def doubtful_rules() -> MergeRules:
    """The shipped rules, under which unexplained numbers and less plain institutions do not count but are uncertain."""
    return replace(
        SHIPPED,
        threshold={**SHIPPED.threshold, "OTHER_ID": 0.6, "ORGANIZATION": 0.58},
        review={**SHIPPED.review, "OTHER_ID": 0.45, "ORGANIZATION": 0.5},
    )
