"""What a product's data are called, legally: computed from the keys, the checks and the attacks, never typed.

What belongs here: the decision, and the texts of what it decides. What does not: measuring (attacks.py). No label says
that data are anonymised: that is for people to judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any, Literal

import yaml

from meddata_pipeline.app.outcome import Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.text import Text
from meddata_pipeline.privacy.policy import load_policy
from meddata_pipeline.storage.lake import Partition

Label = Literal["insufficient", "demo", "key-kept", "key-destroyed-joinable", "key-destroyed"]


def decide(*, passed: bool, demo: bool, linkability: str, joined: Sequence[float], limit: float) -> Label:
    """What the data are called; the first that holds.

    Args:
        passed: whether every privacy check passed: class sizes, registers, joins, classes over live versions.
        demo: whether demo keys were used.
        linkability: of the policy: ``none`` or ``versions``.
        joined: for each release it was joined with, the share of the people whose rows an attacker joins rightly.
        limit: the share above which rows count as joinable: the policy's risk threshold, as with a row that is found.

    Returns:
        The label's key in texts.yaml.
    """
    if not passed:
        return "insufficient"
    if demo:
        return "demo"
    if linkability != "none":
        return "key-kept"
    return "key-destroyed-joinable" if any(share > limit for share in joined) else "key-destroyed"


def label_of(workplace: Workplace, product: str) -> tuple[Text, Text]:
    """The label of a candidate and its reason, in both languages."""
    policy = load_policy(workplace.config.find(f"products/{product}/privacy.yaml"))
    joins = workplace.load_object(Partition("candidate", "risk", (product,)))["joins"] or []
    key = decide(
        passed=_passed(workplace, product),
        demo=workplace.keyring.demo,
        linkability=policy.linkability,
        joined=[join["expected_rate"] for join in joins],
        limit=policy.risk.threshold,
    )
    return texts_of(key, joins)


def texts_of(label: Label, joins: Sequence[dict[str, Any]]) -> tuple[Text, Text]:
    """Label and reason in both languages; where rows are joinable the reason names the worst join and its share."""
    source = resources.files("meddata_pipeline.app").joinpath("texts.yaml").read_text(encoding="utf-8")
    texts = yaml.safe_load(source)["legal"][label]
    filled = dict(texts["reason"])
    if label == "key-destroyed-joinable":
        worst = max(joins, key=lambda join: float(join["expected_rate"]))
        share = f"{100 * worst['expected_rate']:.0f} %"
        for lang, text in filled.items():
            filled[lang] = text.format(share=share, other=f"{worst['title'][lang]} {worst['version']}")
    return Text(**texts["label"]), Text(**filled)


def _passed(workplace: Workplace, product: str) -> bool:
    """Whether no blocking check of the candidate's table and of its risk has failed."""
    for name in ("table", "risk"):
        manifest = workplace.manifest(Partition("candidate", name, (product,)))
        if Outcome.from_facts(manifest.digest, manifest.rows, manifest.facts).failed:
            return False
    return True
