"""What lies in the landing folder: deliveries, their files, whether they are complete, and their digest.

What belongs here: looking at folders and files without reading what is in them. What does not: file formats (sniff,
readers) and what a file means (profile). The landing folder belongs to the operator and is never written to.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path

from meddata_pipeline.core.canonical import digest8, digest_of, file_sha256
from meddata_pipeline.core.errors import BadInput

COMPLETE = "_COMPLETE"
MANIFEST = "_manifest.csv"

_HOSPITAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_UNFINISHED = (".part", ".tmp")


@dataclass(frozen=True)
class LandingFile:
    """One file as it lies in the landing folder; its name may hold a patient's name and stays restricted."""

    path: Path
    name: str
    size: int
    mtime_ns: int

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the content, computed once."""
        try:
            return file_sha256(self.path)
        except OSError:
            raise BadInput("A landing file cannot be read", next_step="Check its mode and owner") from None


@dataclass(frozen=True)
class ManifestLine:
    """What the sender says of one file."""

    rows: int | None
    sha256: str | None


@dataclass(frozen=True)
class Delivery:
    """What one hospital delivered on one day.

    Attributes:
        hospital: id of the hospital, safe in paths and partition keys.
        day: yyyy-mm-dd, the name of the folder.
        path: the folder.
        files: data and control files, sorted by name; markers and unfinished files are not among them.
        complete: whether the sender marked the delivery as complete.
    """

    hospital: str
    day: str
    path: Path
    files: tuple[LandingFile, ...]
    complete: bool

    @property
    def date(self) -> date:
        """The day as a date."""
        return date.fromisoformat(self.day)

    @cached_property
    def digest(self) -> str:
        """Digest of names and contents; neither times nor the order of arrival count."""
        return digest_of(sorted([file.name, file.sha256] for file in self.files))

    def fingerprint(self) -> str:
        """Digest of names, sizes and times: equal over two looks means that nobody is writing any more."""
        return digest_of([[file.name, file.size, str(file.mtime_ns)] for file in self.files])

    def public_name(self, file: LandingFile) -> str:
        """How a file is called outside the restricted zone."""
        return f"{self.hospital}/{self.day}/{digest8(file.sha256)}"


@dataclass(frozen=True)
class Landing:
    """One look at a landing folder.

    Attributes:
        deliveries: sorted by hospital and day.
        ignored: (number of the entry in its sorted folder, why) of folders that cannot be deliveries. Their names are
            left out, because a name may identify someone.
    """

    deliveries: tuple[Delivery, ...]
    ignored: tuple[tuple[str, str], ...] = field(default=())


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir(), key=lambda p: p.name)
    except OSError:
        raise BadInput("The landing folder cannot be read", next_step="Check that it exists and its mode") from None


def _is_skipped(name: str) -> bool:
    # ~$ is the lock file that a spreadsheet program leaves beside an open workbook.
    return name.startswith((".", "~$")) or name.lower().endswith(_UNFINISHED)


def _is_day(name: str) -> bool:
    if not _DAY.fullmatch(name):
        return False
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    return True


def look(landing: Path) -> Landing:
    """Look at a landing folder, laid out as ``<hospital>/<yyyy-mm-dd>/files``.

    Args:
        landing: the folder.

    Returns:
        The deliveries, and which folders were ignored and why.

    Raises:
        BadInput: the folder itself cannot be read.
    """
    deliveries: list[Delivery] = []
    ignored: list[tuple[str, str]] = []
    for number, hospital in enumerate(_children(landing), start=1):
        if _is_skipped(hospital.name) or not hospital.is_dir():
            continue
        if not _HOSPITAL.fullmatch(hospital.name):
            ignored.append((f"entry {number}", "hospital-name"))
            continue
        for index, day in enumerate(_children(hospital), start=1):
            if _is_skipped(day.name) or not day.is_dir():
                continue
            if not _is_day(day.name):
                ignored.append((f"{hospital.name}, entry {index}", "day-name"))
                continue
            deliveries.append(delivery(hospital.name, day.name, day))
    return Landing(tuple(deliveries), tuple(ignored))


def scan(landing: Path) -> list[Delivery]:
    """The deliveries of a landing folder, sorted by hospital and day; see look() for what was ignored."""
    return list(look(landing).deliveries)


def delivery(hospital: str, day: str, path: Path) -> Delivery:
    """Look at one delivery's folder. Sub-folders, dot files, ``.part`` and ``.tmp`` are not part of it."""
    files: list[LandingFile] = []
    complete = False
    for child in _children(path):
        if child.name == COMPLETE:
            complete = True
            continue
        if _is_skipped(child.name):
            continue
        try:
            if not child.is_file():
                continue
            stat = child.stat()
        except OSError:
            continue  # it went away while we looked; the next look will tell
        # Names that macOS wrote are decomposed: 'é' must match a profile's 'é'.
        name = unicodedata.normalize("NFC", child.name)
        files.append(LandingFile(child, name, stat.st_size, stat.st_mtime_ns))
    files.sort(key=lambda f: f.name)
    return Delivery(hospital, day, path, tuple(files), complete)


def read_manifest(found: Delivery) -> dict[str, ManifestLine] | None:
    """Read the delivery's ``_manifest.csv`` (file, rows, sha256).

    Args:
        found: the delivery.

    Returns:
        What the sender says of each file, or None where there is no manifest.

    Raises:
        BadInput: the manifest cannot be understood; then nothing of the delivery can be trusted to be whole.
    """
    file = next((f for f in found.files if f.name == MANIFEST), None)
    if file is None:
        return None
    where = found.public_name(file)
    hint = "Send the delivery again with a manifest of the columns file, rows, sha256"
    try:
        with file.path.open(encoding="utf-8-sig", newline="") as handle:
            rows = list(csv.DictReader(handle))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise BadInput("The manifest cannot be read", where=where, next_step=hint) from None
    lines: dict[str, ManifestLine] = {}
    for number, row in enumerate(rows, start=1):
        name, count, sha = row.get("file"), (row.get("rows") or "").strip(), (row.get("sha256") or "").strip().lower()
        if not name or (count and not count.isascii()) or (count and not count.isdigit()):
            raise BadInput(f"Line {number} of the manifest is wrong", where=where, next_step=hint)
        key = unicodedata.normalize("NFC", name.strip())
        lines[key] = ManifestLine(int(count) if count else None, sha or None)
    return lines
