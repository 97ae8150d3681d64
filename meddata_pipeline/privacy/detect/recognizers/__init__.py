"""The recognizers, one kind of identifier per file.

What belongs here: rules that find spans in a folded text, free of Presidio, and the list of them. What does not: the
adapter that makes each of them a Presidio recognizer (detect/adapter.py), merging, what is known of a patient.
"""

from __future__ import annotations

from collections.abc import Mapping

from meddata_pipeline.privacy.detect.recognizers.address import AddressRule
from meddata_pipeline.privacy.detect.recognizers.address_english import EnglishAddressRule
from meddata_pipeline.privacy.detect.recognizers.age import AgeRule
from meddata_pipeline.privacy.detect.recognizers.bank_card import BankCardRule
from meddata_pipeline.privacy.detect.recognizers.base import Rule
from meddata_pipeline.privacy.detect.recognizers.date import DateRule
from meddata_pipeline.privacy.detect.recognizers.date_english import EnglishDateRule
from meddata_pipeline.privacy.detect.recognizers.device import DeviceRule
from meddata_pipeline.privacy.detect.recognizers.email import EmailRule
from meddata_pipeline.privacy.detect.recognizers.health_plan import HealthPlanRule
from meddata_pipeline.privacy.detect.recognizers.iban import IbanRule
from meddata_pipeline.privacy.detect.recognizers.insurance import InsuranceRule
from meddata_pipeline.privacy.detect.recognizers.landline import LandlineRule
from meddata_pipeline.privacy.detect.recognizers.licence import LicenceRule
from meddata_pipeline.privacy.detect.recognizers.media_file import MediaFileRule
from meddata_pipeline.privacy.detect.recognizers.mobile import MobileRule
from meddata_pipeline.privacy.detect.recognizers.name_act import NameActRule
from meddata_pipeline.privacy.detect.recognizers.name_bed import NameBedRule
from meddata_pipeline.privacy.detect.recognizers.name_context import NameContextRule
from meddata_pipeline.privacy.detect.recognizers.name_english import EnglishNameRule
from meddata_pipeline.privacy.detect.recognizers.name_label import NameLabelRule
from meddata_pipeline.privacy.detect.recognizers.name_line import NameLineRule
from meddata_pipeline.privacy.detect.recognizers.name_masked import MaskedNameRule
from meddata_pipeline.privacy.detect.recognizers.name_minority import MinorityNameRule
from meddata_pipeline.privacy.detect.recognizers.name_nickname import NicknameRule
from meddata_pipeline.privacy.detect.recognizers.name_pinyin import PinyinNameRule
from meddata_pipeline.privacy.detect.recognizers.name_role import NameRoleRule
from meddata_pipeline.privacy.detect.recognizers.name_title import NameTitleRule
from meddata_pipeline.privacy.detect.recognizers.officer_card import OfficerCardRule
from meddata_pipeline.privacy.detect.recognizers.organization import OrganizationRule
from meddata_pipeline.privacy.detect.recognizers.other_id import OtherIdRule
from meddata_pipeline.privacy.detect.recognizers.passport import PassportRule
from meddata_pipeline.privacy.detect.recognizers.phone_english import EnglishPhoneRule
from meddata_pipeline.privacy.detect.recognizers.plate import PlateRule
from meddata_pipeline.privacy.detect.recognizers.record_no import RecordNumberRule
from meddata_pipeline.privacy.detect.recognizers.resident_id import ResidentIdRule
from meddata_pipeline.privacy.detect.recognizers.social import SocialRule
from meddata_pipeline.privacy.detect.recognizers.ssn import SsnRule
from meddata_pipeline.privacy.detect.recognizers.url import IpRule, UrlRule
from meddata_pipeline.privacy.detect.recognizers.vehicle import VehicleRule

__all__ = ["Rule", "rules"]


def rules(lang: str, id_patterns: Mapping[str, str] | None = None) -> list[Rule]:
    """The rules for texts of one language.

    Args:
        lang: ``zh`` (the English rules too: Chinese notes hold English) or ``en``.
        id_patterns: the hospital's own number shapes by field, as in its profile.

    Returns:
        New rules, in a fixed order.

    Raises:
        ConfigError: a pattern is no regular expression.
    """
    common: list[Rule] = [
        ResidentIdRule(),
        MobileRule(),
        LandlineRule(),
        RecordNumberRule(id_patterns or {}),
        DateRule(),
        EmailRule(),
        UrlRule(),
        IpRule(),
        BankCardRule(),
        PassportRule(),
        SsnRule(),
        EnglishDateRule(),
        EnglishNameRule(),
        EnglishPhoneRule(),
        AgeRule(),
        OtherIdRule(),
        PinyinNameRule(),
        SocialRule(),
        EnglishAddressRule(),
        HealthPlanRule(),
        LicenceRule(),
        VehicleRule(),
        DeviceRule(),
        IbanRule(),
        MediaFileRule(),
    ]
    if lang == "en":
        return common
    return [
        *common,
        NameRoleRule(),
        NameLabelRule(),
        NameBedRule(),
        NameActRule(),
        NameTitleRule(),
        NameContextRule(),
        NameLineRule(),
        MinorityNameRule(),
        MaskedNameRule(),
        NicknameRule(),
        AddressRule(),
        OrganizationRule(),
        PlateRule(),
        InsuranceRule(),
        OfficerCardRule(),
    ]
