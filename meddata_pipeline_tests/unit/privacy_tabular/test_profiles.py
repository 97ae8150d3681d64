"""Profiles of acceptable risk, and the policy that the documentation shows."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import yaml

from meddata_pipeline.privacy.policy import WAYS, parse_policy
from meddata_pipeline.privacy.profiles import profiles

_DOCS = Path(__file__).resolve().parents[3] / "docs" / "hierarchies.md"


def test_profiles_go_from_loose_to_strict_and_name_their_source() -> None:
    shipped = profiles()
    assert {name: p.highest for name, p in shipped.items()} == {
        "shared-release": Fraction(1, 5),
        "ema-0070": Fraction(1, 11),
        "strict": Fraction(1, 20),
    }
    for profile in shipped.values():
        assert Fraction(1, profile.k) == profile.highest
        assert re.search(r"20\d\d|0070", profile.source.en) and profile.source.zh != profile.source.en
        assert profile.status in {"confirmed", "general"}
        assert profile.met(profile.k) and not profile.met(profile.k - 1) and profile.met(None)


def test_a_class_of_eleven_meets_the_profile_of_ema() -> None:
    """1/11 is above the 0.09 that it is quoted as."""
    raw = {"quasi_identifiers": {"a": {}}, "privacy": [{"model": "k-anonymity", "k": 1}]}
    assert parse_policy({**raw, "risk": {"profile": "ema-0070"}}).risk.threshold == 1 / 11
    assert parse_policy({**raw, "risk": {"profile": "ema-0070", "threshold": 0.05}}).risk.threshold == 0.05


def test_the_documented_policy_is_one() -> None:
    """It shows every way to build a hierarchy."""
    block = re.search(r"```yaml\n(.*?)```", _DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    policy = parse_policy(yaml.safe_load(block[1]))
    shown = {way for spec in policy.quasi_identifiers.values() for way in WAYS if getattr(spec, way) is not None}
    assert shown == set(WAYS)
    assert policy.risk.attack is not None and policy.risk.profile == "ema-0070"
