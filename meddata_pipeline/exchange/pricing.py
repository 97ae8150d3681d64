"""The price estimate (定价测算) by the cost approach, with its breakdown and the reason of every step.

What belongs here: exact arithmetic in fen from offer.yaml and facts of the release. What does not: an appraisal
(资产评估), which only a licensed appraiser may give.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from meddata_pipeline.core.canonical import digest_of
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.core.offer import COST_CATEGORIES, OfferTerms

Number = int | float | str | Decimal | Fraction

CATEGORY_TITLES: Mapping[str, dict[str, str]] = {
    "acquisition": {"zh": "取得", "en": "Acquisition"},
    "taxes": {"zh": "税费", "en": "Taxes"},
    "de-identification": {"zh": "脱敏", "en": "De-identification"},
    "cleaning": {"zh": "清洗", "en": "Cleaning"},
    "annotation": {"zh": "标注", "en": "Annotation"},
    "integration": {"zh": "整合", "en": "Integration"},
    "analysis": {"zh": "分析", "en": "Analysis"},
    "visualisation": {"zh": "可视化", "en": "Visualisation"},
    "rights-attestation": {"zh": "数据权属鉴证", "en": "Rights attestation"},
    "quality-evaluation": {"zh": "质量评估", "en": "Quality evaluation"},
    "registration-settlement": {"zh": "登记结算", "en": "Registration and settlement"},
    "security-management": {"zh": "安全管理", "en": "Security management"},
}

NOTICE = {
    "zh": "定价测算由成本法按公开参数计算，仅供议价参考，不是资产评估。",
    "en": "Cost approach, from the parameters shown. A basis for negotiation, not an appraisal.",
}


def round_half_up(value: Fraction, step: int = 1) -> int:
    """Round a non-negative amount to a multiple of ``step``, halves upwards, exactly."""
    return int((value / step + Fraction(1, 2)) // 1) * step


def exact(value: Number) -> Fraction:
    """A number as a fraction; a binary float counts as the shortest decimal that prints it (0.97 = 97/100).

    Raises:
        BadInput: not a finite number.
    """
    try:
        return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    except (ValueError, OverflowError, ZeroDivisionError):
        raise BadInput("A fact of the price estimate is not a number") from None


def percent(value: Fraction) -> str:
    """A rate as people write it: 6/5 → ``120%``."""
    text = format(Decimal(value.numerator * 100) / Decimal(value.denominator), "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"


def yuan(fen: int) -> str:
    """An amount in fen as people write it: 1234567 → ``12,345.67``."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"


def estimate(offer: OfferTerms, facts: Mapping[str, Number]) -> dict[str, Any]:
    """Estimate a price by the cost approach.

    (costs x (1 + margin) / expected sales) x modifiers, rounded to the offer's step; the range is the offer's
    low and high share of it, and the low end never lies below the costs that one expected sale must bear.

    Args:
        offer: costs, margin, expected sales, modifiers, range.
        facts: what modifiers may ask for: ``quality`` (0–1), ``persons``, ``hospitals``. A modifier whose fact is
            absent leaves the price as it is, and the step says so.

    Returns:
        ``low_fen``, ``point_fen``, ``high_fen``; ``breakdown`` by category; ``steps``, each with its amount and reason.

    Raises:
        BadInput: a fact is not a number.

    Source:
        Cost approach of GB/T 40685-2021 Annex A; categories of the accounting rule for data resources.
    """
    rule = offer.price
    total = sum(item.amount for item in offer.costs)
    breakdown = []
    for category in COST_CATEGORIES:
        items = [item for item in offer.costs if item.category == category]
        if items:
            breakdown.append(
                {
                    "category": category,
                    "title": CATEGORY_TITLES[category],
                    "amount_fen": sum(item.amount for item in items),
                    "items": [{"title": item.title.model_dump(), "amount_fen": item.amount} for item in items],
                }
            )
    steps: list[dict[str, Any]] = []

    def step(step_id: str, amount: Fraction, zh: str, en: str) -> None:
        steps.append({"id": step_id, "amount_fen": round_half_up(amount), "reason": {"zh": zh, "en": en}})

    value = Fraction(total)
    step("costs", value, "各项成本之和", "Sum of all costs")
    value *= 1 + rule.margin
    step("margin", value, f"加成 {percent(rule.margin)}", f"Margin of {percent(rule.margin)}")
    value /= rule.expected_sales
    step(
        "expected-sales",
        value,
        f"非独占销售，期限内预计 {rule.expected_sales} 次，成本由各次分担",
        f"Non-exclusive: {rule.expected_sales} sales are expected within the term and share the costs",
    )
    for modifier in rule.modifiers:
        name, reason = modifier.fact, modifier.reason
        if name not in facts:
            step(f"modifier-{name}", value, f"{reason.zh}：无数据，不调整", f"{reason.en}: not known, unchanged")
            continue
        fact = exact(facts[name])
        factor = next((s.factor for s in reversed(modifier.steps) if fact >= s.at_least), Fraction(1))
        value *= factor
        rate = percent(factor)
        step(f"modifier-{name}", value, f"{reason.zh}：系数 {rate}", f"{reason.en}: factor {rate}")
    point = round_half_up(value, rule.round_to)
    step("rounding", Fraction(point), f"取整到 {yuan(rule.round_to)} 元", f"Rounded to {yuan(rule.round_to)} yuan")
    floor = Fraction(total, rule.expected_sales)
    low = min(point, round_half_up(max(value * rule.low, floor), rule.round_to))
    high = max(point, round_half_up(value * rule.high, rule.round_to))
    step(
        "low",
        Fraction(low),
        f"下限：{percent(rule.low)}，且不低于单次应分担成本 {yuan(round_half_up(floor))} 元",
        f"Low end: {percent(rule.low)}, not below the {yuan(round_half_up(floor))} yuan that one sale must bear",
    )
    step("high", Fraction(high), f"上限：{percent(rule.high)}", f"High end: {percent(rule.high)}")
    body = {
        "product": offer.product,
        "approach": "cost",
        "currency": "CNY",
        "costs_fen": total,
        "low_fen": low,
        "point_fen": point,
        "high_fen": high,
        "expected_sales": rule.expected_sales,
        "months": offer.terms.months,
        "breakdown": breakdown,
        "steps": steps,
        "notice": NOTICE,
    }
    return {**body, "digest": digest_of(body)}
