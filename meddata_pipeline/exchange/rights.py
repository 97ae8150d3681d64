"""The rights statement (权属登记): which evidence of the three separated rights was supplied, and which is missing.

What belongs here: listing evidence. What does not: any judgement on who owns what. Software does not 确权, and nothing
here may be read as legal advice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from meddata_pipeline.core.canonical import digest_of
from meddata_pipeline.core.errors import Reason
from meddata_pipeline.core.offer import RIGHTS, Evidence, OfferTerms

# Source: "Data 20 articles" (数据二十条), structural separation of property rights in data.
RIGHT_TITLES: Mapping[str, dict[str, str]] = {
    "holding": {"zh": "数据资源持有权", "en": "Right to hold the data resource"},
    "processing": {"zh": "数据加工使用权", "en": "Right to process and use the data"},
    "operating": {"zh": "数据产品经营权", "en": "Right to operate the data product"},
}

NOTICE = {
    "zh": "本说明仅列示各方提交的材料及其摘要值，不构成权属认定，也不是法律意见。",
    "en": "Lists the documents that were supplied, by digest. It establishes no right and is no legal advice.",
}


def _document(evidence: Evidence, as_of: date | None) -> dict[str, Any]:
    if evidence.sha256 == "missing":
        status = "missing"
    elif as_of is not None and evidence.valid_until is not None and evidence.valid_until < as_of:
        status = "expired"
    else:
        status = "present"
    return {
        "document": evidence.document.model_dump(),
        "sha256": None if evidence.sha256 == "missing" else evidence.sha256,
        "valid_until": evidence.valid_until.isoformat() if evidence.valid_until else None,
        "status": status,
    }


def statement(offer: OfferTerms, contributions: Mapping[str, int], *, as_of: date | None = None) -> dict[str, Any]:
    """List the evidence of every contributor's three rights.

    Args:
        offer: the offer with its rights holders.
        contributions: hospital → persons in the release; hospitals with none are left out. Counts are not repeated
            in the statement, since a small one would tell about persons.
        as_of: day on which validity is judged, usually that of the newest delivery; None judges no validity.

    Returns:
        ``{"product", "holders": [{"hospital", "title", "rights": [{"right", "title", "status", "documents"}]}],
        "complete", "notice", …}``. A right is present only if it has documents and all of them are present.
    """
    holders: list[dict[str, Any]] = []
    for hospital in sorted(name for name, persons in contributions.items() if persons > 0):
        holder = offer.holders.get(hospital)
        rights: list[dict[str, Any]] = []
        for right in RIGHTS:
            documents = [_document(item, as_of) for item in (holder.evidence(right) if holder else [])]
            states = {document["status"] for document in documents}
            if states == {"present"}:
                status = "present"
            else:
                status = "expired" if "expired" in states and "missing" not in states else "missing"
            rights.append({"right": right, "title": RIGHT_TITLES[right], "status": status, "documents": documents})
        title = holder.title.model_dump() if holder else {"zh": hospital, "en": hospital}
        holders.append({"hospital": hospital, "title": title, "rights": rights})
    body = {
        "product": offer.product,
        "as_of": as_of.isoformat() if as_of else None,
        "holders": holders,
        "complete": bool(holders) and all(r["status"] == "present" for h in holders for r in h["rights"]),
        "notice": NOTICE,
    }
    return {**body, "digest": digest_of(body)}


def missing_rights(rights: Mapping[str, Any]) -> list[Reason]:
    """What a rights statement lacks, one reason for each right of each contributor.

    Args:
        rights: answer of :func:`statement`.
    """
    if not rights["holders"]:
        return [Reason("rights-missing", "No contributor", rights["product"])]
    return [
        Reason(f"rights-{right['status']}", f"{right['title']['en']}: evidence {right['status']}", holder["hospital"])
        for holder in rights["holders"]
        for right in holder["rights"]
        if right["status"] != "present"
    ]
