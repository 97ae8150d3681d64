"""English: a table of the identifiers that HIPAA lists, names in notes, and what has to be kept."""

from __future__ import annotations

import pytest

from meddata_pipeline.privacy.detect import Detector
from meddata_pipeline.privacy.detect.models import models
from meddata_pipeline.privacy.detect.models.english import EnglishModel
from meddata_pipeline.privacy.detect.recognizers.iban import iban_valid
from meddata_pipeline.privacy.detect.recognizers.vehicle import vin_valid
from meddata_pipeline_tests.benchmarks.english import corpus, exact_f1, persons
from meddata_pipeline_tests.unit.privacy_text.english_notes import NAMED, NAMELESS, marked

#: A text, the entity (ANY: whichever) and exactly what must be found.
HIPAA = [
    (
        "Home address: 1420 Maple Hollow Drive, Apt 3B, Springfield, IL 62704.",
        "LOCATION",
        "1420 Maple Hollow Drive, Apt 3B, Springfield, IL 62704",
    ),
    ("lives at 27 Church Lane, Bristol BS8 1TH", "LOCATION", "27 Church Lane"),
    ("postcode BS8 1TH now", "LOCATION", "BS8 1TH"),
    ("P.O. Box 1187, Dayton, OH 45402", "LOCATION", "P.O. Box 1187, Dayton, OH 45402"),
    ("transferred from Akron, OH yesterday", "LOCATION", "Akron, OH"),
    ("ZIP code 94110", "LOCATION", "94110"),
    ("She moved here from Milwaukee last year with her patient history.", "LOCATION", "Milwaukee"),
    ("DOB: 03/14/1962", "DATE_TIME", "03/14/1962"),
    ("seen on 14/03/2021", "DATE_TIME", "14/03/2021"),
    ("on 3 March 2021", "DATE_TIME", "3 March 2021"),
    ("March 3rd, 2021 surgery", "DATE_TIME", "March 3rd, 2021"),
    ("on 12-MAR-2021", "DATE_TIME", "12-MAR-2021"),
    ("admitted on 3/14 and", "DATE_TIME", "3/14"),
    ("on the 5th of March she", "DATE_TIME", "5th of March"),
    ("since May 2019", "DATE_TIME", "May 2019"),
    ("2021-03-14T08:30", "DATE_TIME", "2021-03-14T08:30"),
    ("Phone (415) 555-0132", "PHONE_NUMBER", "(415) 555-0132"),
    ("Tel: 020 7946 0958", "PHONE_NUMBER", "020 7946 0958"),
    ("cell 415.555.0132", "PHONE_NUMBER", "415.555.0132"),
    ("Fax: 415-555-0199", "PHONE_NUMBER", "415-555-0199"),
    ("+44 20 7946 0958", "PHONE_NUMBER", "+44 20 7946 0958"),
    ("call her at 4155550132", "PHONE_NUMBER", "4155550132"),
    ("pager 555-0147", "PHONE_NUMBER", "555-0147"),
    ("email: m.holloway@example.org", "EMAIL_ADDRESS", "m.holloway@example.org"),
    ("SSN 219-09-9999", "US_SSN", "219-09-9999"),
    ("MRN 00482913", "MEDICAL_ID", "00482913"),
    ("MRN# 4829-13", "MEDICAL_ID", "4829-13"),
    ("Medical Record Number: A1029384", "MEDICAL_ID", "A1029384"),
    ("Health plan beneficiary number: HPB-8837261", "MEDICAL_ID", "HPB-8837261"),
    ("Member ID: XYZ123456789", "MEDICAL_ID", "XYZ123456789"),
    ("Medicare number 1EG4-TE5-MK73", "MEDICAL_ID", "1EG4-TE5-MK73"),
    ("NHS number 943 476 5919", "MEDICAL_ID", "943 476 5919"),
    ("Account number: 7700129934", "ANY", "7700129934"),
    ("Driver's license D123-4567-8901", "OTHER_ID", "D123-4567-8901"),
    ("driver's license number is 2270-66-1551", "MEDICAL_ID", "2270-66-1551"),
    ("Medical license no. ME0091823", "ANY", "ME0091823"),
    ("License plate 7ABC123", "OTHER_ID", "7ABC123"),
    ("VIN 1HGCM82633A004352", "OTHER_ID", "1HGCM82633A004352"),
    ("Pacemaker serial number PZK600123S", "MEDICAL_ID", "PZK600123S"),
    ("Implant S/N: 4471-AB-2290", "OTHER_ID", "4471-AB-2290"),
    (
        "UDI (01)00844588003288(17)141120(10)7654321D(21)10987654d321",
        "OTHER_ID",
        "(01)00844588003288(17)141120(10)7654321D(21)10987654d321",
    ),
    ("see https://portal.example.org/p/8812", "URL", "https://portal.example.org/p/8812"),
    ("from 192.168.12.45 today", "IP_ADDRESS", "192.168.12.45"),
    ("from 2001:db8:85a3::8a2e:370:7334", "IP_ADDRESS", "2001:db8:85a3::8a2e:370:7334"),
    ("MAC 00:1B:44:11:3A:B7", "OTHER_ID", "00:1B:44:11:3A:B7"),
    ("Fingerprint ID: FP-99120034", "OTHER_ID", "FP-99120034"),
    ("Photo IMG_20210314_face.jpg attached", "OTHER_ID", "IMG_20210314_face.jpg"),
    ("IBAN GB82WEST12345698765432", "OTHER_ID", "GB82WEST12345698765432"),
    ("DEA number BH1234563", "OTHER_ID", "BH1234563"),
    ("a 93-year-old man", "AGE", "93-year-old"),
    ("is 101 years old", "AGE", "101 years old"),
    ("92F with dementia", "AGE", "92F"),
    ("ninety-four years old", "AGE", "ninety-four years old"),
    ("card 4111 1111 1111 1111", "CREDIT_CARD", "4111 1111 1111 1111"),
    ("my name is tomasz wieczorek and", "PERSON", "tomasz wieczorek"),
    ("spoke with siobhan gallagher about results", "PERSON", "siobhan gallagher"),
    ("GONZALEZ, MARIA was seen", "PERSON", "GONZALEZ, MARIA"),
]

#: Numbers and words of clinical text that identify nobody.
KEPT = [
    "BP 142/88, HR 72, RR 16, Temp 98.6, SpO2 98%.",
    "Pain 8/10 for 3/4 days.",
    "Take 1/2 tablet 2x daily.",
    "4/5 strength bilaterally",
    "TSH 2.41, HbA1c 7.2%, LDL 110.",
    "ICD-10 code K04.01; CPT 99213",
    "Teeth 11, 12, 21-23 restored; tooth #30",
    "visit type 2, class 3",
    "age 72 years old",
    "FEV1/FVC 0.72",
    "The patient is 45 years old.",
    "Dose 100 units at 10:30",
    "L4-L5, C5-C6, T12",
    "Pump rate 12 mL/h; pacemaker DDD mode 60",
    "lot of pain; group therapy; claim denied",
    "BRCA1 c.68_69delAG; rs1801133; NM_007294.3",
    "Follow-up in 3 months",
    "since 2019",
    "Grade 3 of 4",
    "Take Tylenol 500 mg 1 tab PO q6h 30 tabs",
    "Lab 12 Culture 3 Day 2",
    "EF 55-60%. CO2 24. pH 7.38",
    "Room air sat 96",
    "Weight 82.5 kg Height 178 cm",
]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector("en")


@pytest.mark.parametrize(("text", "entity", "value"), HIPAA)
def test_hipaa(detector: Detector, text: str, entity: str, value: str) -> None:
    (spans,) = detector.analyze([text])
    found = [(text[span.start : span.end], span.entity) for span in spans]
    assert any(value == what and entity in (kind, "ANY") for what, kind in found), found


@pytest.mark.parametrize("text", KEPT)
def test_kept(detector: Detector, text: str) -> None:
    assert detector.analyze([text]) == [[]]


def test_every_name_in_notes_of_several_hands(detector: Detector) -> None:
    notes = [marked(note) for note in NAMED]
    for (text, names), spans in zip(notes, detector.analyze([text for text, _ in notes]), strict=True):
        covered = {i for span in spans if span.entity == "PERSON" for i in range(span.start, span.end)}
        for start, end in names:
            assert set(range(start, end)) <= covered, text[start:end]
        named = {i for start, end in names for i in range(start, end)}
        assert covered <= named, [text[i] for i in sorted(covered - named)]


def test_clinical_text_without_names_is_kept(detector: Detector) -> None:
    """At least 99.8 % of the characters of notes full of eponyms, drugs, devices, teeth and headings."""
    lost = sum(span.end - span.start for spans in detector.analyze(NAMELESS) for span in spans)
    assert lost <= 0.002 * sum(map(len, NAMELESS))


def test_corpus_floor(detector: Detector) -> None:
    """What was measured on texts that no rule was looked at on, less a little."""
    documents = corpus("odd")
    found = detector.analyze([document["text"] for document in documents])
    covered, precise, loose = persons(documents, found)
    assert covered >= 0.95
    assert precise >= 0.82
    assert loose >= 0.98
    assert exact_f1(documents, found, "EMAIL_ADDRESS") == 1.0
    assert exact_f1(documents, found, "US_SSN") == 1.0
    assert exact_f1(documents, found, "CREDIT_CARD") >= 0.95


def test_the_pipeline_reads_only_what_is_in_doubt() -> None:
    """Ordinary sentences and full names are decided without it; one sentence is read once."""
    model = EnglishModel()
    plain = ["The patient denies chest pain. Lungs are clear.", "Seen with Margaret Thompson today."]
    answers = model.find_many(plain)
    assert model.read == 0
    assert [[(hit.start, hit.end) for hit in hits] for hits in answers] == [[], [(10, 27)]]
    doubtful = ["Anyone may ask Holloway about it."] * 3
    assert len({str(hits) for hits in model.find_many(doubtful)}) == 1
    assert model.read == 1


def test_answers_do_not_depend_on_the_batch(detector: Detector) -> None:
    texts = [marked(note)[0] for note in NAMED]
    together = detector.analyze(texts)
    assert [Detector("en").analyze([text])[0] for text in texts[:3]] == together[:3]


def test_chinese_has_no_english_model() -> None:
    assert all(not isinstance(model, EnglishModel) for model in models("zh"))


def test_check_digits_against_published_examples() -> None:
    assert iban_valid("GB82WEST12345698765432")
    assert not iban_valid("GB82WEST12345698765433")
    assert vin_valid("1M8GDM9AXKP042788")
    assert not vin_valid("1M8GDM9A1KP042788")


@pytest.mark.parametrize("text", ["关节过伸Beighton 8/9", "Apgar 9-10-10", "Apgar评分：8-9-10"])
def test_a_score_is_no_date(text: str) -> None:
    assert not [s for s in Detector("zh").analyze([text])[0] if s.entity == "DATE_TIME"]
