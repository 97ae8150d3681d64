"""Long runs of digits and codes that no other rule explains: in a clinical text they are numbers of somebody."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, digit_bounded
from meddata_pipeline.privacy.detect.types import Hit

_RUN = compiled(r"[0-9](?<![0-9A-Za-z.:>_].)[0-9]{8,39}(?![0-9A-Za-z_])")
_CODE = compiled(
    r"[A-Za-z](?<![A-Za-z0-9_.].)[A-Za-z]{0,5}[\-_]?[0-9]{6,24}(?:[\-_/][0-9A-Za-z]{1,12})*(?![A-Za-z0-9_])"
)
#: Devices and what is implanted, by label.
_DEVICE = compiled(
    r"(?:序列号|设备号|仪器号|机身号|设备编号|仪器编号|机器编号|出厂编号|唯一标识|UDI|S/N|SN|IMEI)(?:码|为|是|[:#() ])*"
    r"([A-Za-z0-9][A-Za-z0-9\-_/]{4,39})(?![A-Za-z0-9])"
)
#: Prefixes of codes of knowledge, not of persons: variants, genes, trials, literature.
_KNOWLEDGE = (
    "rs",
    "nm_",
    "nc_",
    "np_",
    "nr_",
    "ng_",
    "ens",
    "nct",
    "chictr",
    "pmid",
    "hgnc",
    "omim",
    "rcv",
    "vcv",
    "scv",
    "cosm",
    "gca",
    "grch",
    "hg",
)


class OtherIdRule(Rule):
    """Unexplained numbers and codes."""

    name = "other-id"
    entities = ("OTHER_ID",)
    needs = "digits"
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.5 and 0.45: any other rule's finding goes before."""
        for match in _DEVICE.finditer(text):
            if sum(c.isdigit() for c in match.group(1)) >= 4:
                yield Hit(*match.span(1), "OTHER_ID", 0.9)
        for match in _RUN.finditer(text):
            if digit_bounded(text, match.start(), match.end()):
                yield Hit(match.start(), match.end(), "OTHER_ID", 0.5)
        for match in _CODE.finditer(text):
            if not match.group().lower().startswith(_KNOWLEDGE):
                yield Hit(match.start(), match.end(), "OTHER_ID", 0.45)
