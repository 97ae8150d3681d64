"""English clinical notes for tests: with identifiers marked as [[TEXT]], and without any.

Written for this project; whoever is named in them does not exist.
"""

from __future__ import annotations

import re

_MARK = re.compile(r"\[\[(.+?)\]\]")

#: Notes of several hands; what is marked names a person.
NAMED = (
    "[[Margaret Holloway]] is a 58-year-old woman with hypertension who presents with chest pain. Mrs. "
    "[[Holloway]] denies dyspnea. Her husband [[Peter]] drove her in. Seen and examined with Dr. [[Anand "
    "Krishnamurthy]]. Lipitor continued.",
    "Patient: [[Tomasz Wieczorek]]\nAttending: [[Elena Vasquez]], MD\nHPI: Mr. [[Wieczorek]] reports two "
    "days of fever and cough. Started on Levaquin 500 mg daily. Signed electronically by [[Elena "
    "Vasquez]], MD",
    "Dear Dr. [[Whitcombe]],\nThank you for referring [[Siobhan Gallagher]], who has Crohn's disease. "
    "[[Siobhan]] was started on Humira. I will see her again in six weeks.\nSincerely,\n[[Oluwaseun "
    "Adeyemi]], FRCP",
    "OPERATIVE REPORT\nSurgeon: [[Hiroshi Nakagawa]]\nAssistant: [[Beatriz Monteiro]]\nAnesthesia: "
    "General\nProcedure: Laparoscopic cholecystectomy. A Foley catheter was placed. Vicryl was used for "
    "closure. Dr. [[Nakagawa]] was present.",
    "Nursing note: pt resting comfortably. Daughter [[Kateryna]] at bedside. Called [[Bill Thornbury]] "
    "from pharmacy regarding Zosyn dosing. Report given to [[Ngozi Okafor]], RN at shift change.",
    "Dental: tooth #19 restored with Filtek by [[Fergus McAllister]], DDS. Assistant [[Lindsey Park]]. "
    "Consent from mother, [[Rosalind Achterberg]]. Follow up with [[Jürgen Baumgartner]] in endodontics "
    "for root canal therapy.",
    "Discharge summary for [[Dmitri Alexandrovich Belov]]. Emergency contact: [[Irina Belova]]. Mr. "
    "[[Belov]] has Parkinson disease and takes Sinemet. PCP: [[Susan Whitfield]]. Social: lives with his "
    "wife [[Irina]].",
    "Spoke with patient's son, [[Mohammed Al-Rashid]], by phone. He states that [[Fatima Al-Rashid]] has "
    "been confused since starting Ambien. Plan discussed with [[Rebecca Stein]], NP. Hold Ambien, check "
    "labs.",
    "PATIENT NAME: [[GONZALEZ, MARIA]]\nREFERRING: [[ROBERT CHEN]] MD\nFINDINGS: No acute infarct. "
    "Impression: Normal study. Dictated by: [[Robert Chen]]",
    "Psychiatry consult requested by Dr. [[Lindqvist]]. [[Aaliyah Washington]] appeared tearful. "
    "[[Aaliyah]] said that her sister [[Danielle]] died last year. Continue Zoloft 50 mg. Beck Depression"
    " Inventory repeated next visit.",
)

#: Notes without any identifier, dense with what looks like one.
NAMELESS = (
    "HISTORY OF PRESENT ILLNESS: This is a 67-year-old gentleman with Parkinson disease, hypertension, "
    "and type 2 diabetes mellitus who presents with worsening tremor.",
    "Past Medical History: Crohn's disease status post ileocecal resection, Hashimoto thyroiditis, "
    "Barrett esophagus, Raynaud phenomenon. ALLERGIES: Penicillin (rash), Bactrim (hives), Latex.",
    "Medications: Lisinopril 10 mg PO daily, Metformin 500 mg BID, Lipitor 40 mg QHS, Plavix 75 mg, "
    "Synthroid 88 mcg, Lantus 20 units at bedtime, Humira 40 mg SC every other week.",
    "HEENT: Normocephalic, atraumatic. PERRLA. Murphy sign negative. McBurney point non-tender. Babinski "
    "downgoing bilaterally.",
    "Hodgkin lymphoma, stage IIB, Ann Arbor classification. Reed-Sternberg cells present. Continue ABVD.",
    "A Foley catheter was placed and a Pfannenstiel incision was made. A Kocher clamp was applied. The "
    "Bovie was used for hemostasis. A Jackson-Pratt drain was left in place. Closed with 3-0 Vicryl and "
    "4-0 Monocryl.",
    "Ludwig's angina with submandibular swelling; started on Unasyn 3 g IV q6h and Decadron 10 mg IV. "
    "Sjögren syndrome with xerostomia. Schirmer test 3 mm.",
    "Tooth #30: Class II MOD Filtek composite; Ivoclar bonding agent. Obturated with gutta-percha using "
    "Thermafil. Septocaine 4% with epinephrine 1:100,000. Angle Class II Division 1; Frankel appliance; "
    "Invisalign aligners; Hawley retainer.",
    "Kennedy Class I partial edentulism; Straumann implant placed at site 19, 4.1 x 10 mm, torque 35 Ncm;"
    " Bio-Oss used.",
    "Glasgow Coma Scale 15. Mallampati class II. Wells score 4.5. Epley maneuver performed after positive"
    " Dix-Hallpike.",
    "Cultures grew Staphylococcus aureus, Escherichia coli and Klebsiella pneumoniae. Vancomycin and "
    "Zosyn started. Switch to Keflex on discharge. Coumadin held; check INR.",
    "Bell's palsy, House-Brackmann grade III. Guillain-Barré syndrome. Kawasaki disease. Wilms tumor. "
    "Dupuytren contracture.",
    "SOCIAL HISTORY: Lives with spouse. Retired teacher. Former smoker. REVIEW OF SYSTEMS: "
    "Constitutional: Negative for fever. Psychiatric: Positive for anxiety. DISCHARGE INSTRUCTIONS: "
    "Follow up with Cardiology in 2 weeks.",
    "patient c/o pain lower left, took motrin and tylenol, foley in place, hx of crohn disease and "
    "parkinson, will start augmentin.",
    "Obstetrics: Bishop score 7. Category I tracing. Braxton Hicks contractions. Leopold maneuvers: "
    "vertex. Apgar scores 8 and 9.",
    "Charcot-Marie-Tooth disease. Ehlers-Danlos hypermobility type. Factor V Leiden heterozygous. Von "
    "Willebrand disease type 1.",
    "Anesthesia: ASA III. Propofol 150 mg, Rocuronium 50 mg, Sevoflurane. Cormack-Lehane grade 2. "
    "Reversal with Bridion.",
    "Hoffmann sign negative, Kernig and Brudzinski signs absent. Hoehn and Yahr stage 2. Lewy body dementia unlikely.",
)


def marked(note: str) -> tuple[str, list[tuple[int, int]]]:
    """The text of a marked note, and where the marked parts lie in it."""
    text, spans, at = "", [], 0
    for match in _MARK.finditer(note):
        text += note[at : match.start()]
        spans.append((len(text), len(text) + len(match.group(1))))
        text += match.group(1)
        at = match.end()
    return text + note[at:], spans
