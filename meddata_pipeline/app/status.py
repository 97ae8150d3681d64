"""Where everything stands, and whether the installation is sound: read from disk and the ledger, with Dagster down.

What belongs here: looking. What does not: computing or changing anything; a look at a home must not create it.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from meddata_pipeline.app import candidates, releases
from meddata_pipeline.app.outcome import Check
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.errors import BadInput, ConfigError, MeddataError
from meddata_pipeline.core.settings import Settings
from meddata_pipeline.storage.keys import Keyring, default_key_file, demo_keyring, home_uses_demo_keys
from meddata_pipeline.storage.lake import Lake

#: A hospital that has been silent for longer than this is not late, it has stopped.
_LATE_DAYS = 31
_ARRIVAL = "arrival.yaml"
_DISK_LOW = 5 * 2**30
_SIGN_OFF_CODES = {"missing-signature", "untrusted-signature", "rejected"}


def require_home(settings: Settings) -> None:
    """Insist that there is a home.

    Raises:
        BadInput: there is none at this place.
    """
    if not settings.home.is_dir():
        raise BadInput(
            "There is no home here",
            where="--home",
            next_step="Name it with --home or MEDDATA_HOME, or say `meddata demo`",
        )


def manifests(settings: Settings) -> Lake:
    """The lake, good for manifests only: they are not encrypted, so no key is touched or created to read them."""
    return Lake(settings.restricted, Keyring(bytes(32)))


def deliveries(settings: Settings) -> dict[tuple[str, str], dict[str, Any]]:
    """Facts of every ingested delivery: (hospital, day) → balance of its rows, reasons, withheld columns."""
    lake = manifests(settings)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for partition in lake.partitions("quarantine", "rows"):
        manifest = lake.manifest(partition)
        if manifest is not None:
            found[partition.keys[0], partition.keys[1]] = dict(manifest.facts["facts"])
    return found


# -- status ------------------------------------------------------------------------------------------------------------


def overview(workplace: Workplace) -> dict[str, Any]:
    """What has arrived, is late or partial, per hospital; where each product stands and what to do next.

    Args:
        workplace: home and landing folder; neither needs to be complete.

    Returns:
        ``{"home", "demo", "hospitals": […], "products": […], "ignored": […], "orders"}``.

    Raises:
        BadInput: there is no home.
    """
    settings = workplace.settings
    require_home(settings)
    hospitals, ignored = arrivals(workplace)
    return {
        "home": str(settings.home),
        "demo": home_uses_demo_keys(settings),
        "hospitals": hospitals,
        "products": [_product(workplace, product) for product in workplace.config.products()],
        "ignored": ignored,
        "orders": _orders(workplace),
    }


def arrivals(workplace: Workplace) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """What has arrived, is late or partial, per hospital, and what in the landing folder is no delivery.

    Args:
        workplace: home and landing folder; neither needs to be complete.
    """
    from meddata_pipeline.ingest import landing

    settings = workplace.settings
    looked = landing.look(workplace.landing) if workplace.landing.is_dir() else landing.Landing(())
    ingested = deliveries(settings)
    days: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for delivery in looked.deliveries:
        days[delivery.hospital][delivery.day] = {"state": "waiting" if delivery.complete else "partial"}
    for (hospital, day), facts in ingested.items():
        counts = {name: int(facts[name]) for name in ("rows_in", "rows_mapped", "rows_quarantined", "rows_recorded")}
        days[hospital][day] = {"state": "ingested", **counts}
    newest = max((day for of in days.values() for day in of), default="")
    known = workplace.config.hospitals()
    hospitals = [
        _hospital(hospital, days.get(hospital, {}), days, newest, configured=hospital in known)
        for hospital in sorted({*known, *days})
    ]
    return hospitals, [{"entry": entry, "reason": why} for entry, why in looked.ignored]


class ArrivalTerms(BaseModel):
    """arrival.yaml.

    Attributes:
        days: a hospital is late when its newest delivery is older.
        hospitals: the same for single hospitals.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: int = Field(ge=1)
    hospitals: dict[str, int]


def on_time(workplace: Workplace, today: date) -> Check:
    """Whether every hospital has delivered lately; it only warns.

    Args:
        workplace: home and landing folder.
        today: the day to count from; the wall clock is read by whoever asks.

    Raises:
        ConfigError: arrival.yaml is wrong.
    """
    try:
        terms = ArrivalTerms.model_validate(workplace.config.load(_ARRIVAL))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ConfigError(f"The key {'.'.join(map(str, first['loc']))} is wrong", where=_ARRIVAL) from None
    late: dict[str, str] = {}
    stopped: dict[str, str] = {}
    hospitals, _ = arrivals(workplace)
    for hospital in hospitals:
        whole = [d["day"] for d in hospital["days"] if d["state"] != "partial"]
        if not whole:
            continue
        silent = (today - date.fromisoformat(whole[-1])).days
        if silent > max(_LATE_DAYS, terms.hospitals.get(hospital["id"], terms.days)):
            stopped[hospital["id"]] = whole[-1]
        elif silent > terms.hospitals.get(hospital["id"], terms.days):
            late[hospital["id"]] = whole[-1]
    detail = "; ".join(f"{hospital}: newest delivery {day}" for hospital, day in late.items())
    facts = {
        "late": late,
        "stopped": stopped,
        "behind_others": {h["id"]: h["late"] for h in hospitals if h["late"]},
        "partial": {h["id"]: h["partial"] for h in hospitals if h["partial"]},
    }
    return Check(
        "hospitals_on_time", not late, "warning", "late-hospitals", detail or "every hospital is on time", facts
    )


def _hospital(
    hospital: str,
    own: Mapping[str, Mapping[str, Any]],
    every: Mapping[str, Mapping[str, Any]],
    newest: str,
    *,
    configured: bool,
) -> dict[str, Any]:
    last = max(own, default="")
    late: list[str] = []
    if last and (date.fromisoformat(newest) - date.fromisoformat(last)).days <= _LATE_DAYS:
        late = sorted({day for other, days in every.items() if other != hospital for day in days if day > last})
    listed = [{"day": day, **own[day]} for day in sorted(own)]
    return {
        "id": hospital,
        "profile": configured,
        "arrived": len(own),
        "ingested": sum(d["state"] == "ingested" for d in listed),
        "waiting": [d["day"] for d in listed if d["state"] == "waiting"],
        "partial": [d["day"] for d in listed if d["state"] == "partial"],
        "late": late,
        "rows": sum(d.get("rows_in", 0) for d in listed),
        "recorded": sum(d.get("rows_recorded", 0) for d in listed),
        "quarantine": sum(d.get("rows_quarantined", 0) for d in listed),
        "days": listed,
    }


def _product(workplace: Workplace, product: str) -> dict[str, Any]:
    from meddata_pipeline.exchange import release

    made = release.latest(workplace.home, product)
    base = {
        "id": product,
        "version": made.version if made else None,
        "as_of": made.as_of if made else None,
        "demo": made.demo if made else None,
        "candidate": "",
    }
    try:
        spec = candidates.spec_of(workplace, product)
    except MeddataError as error:
        reason = {"code": "configuration", "detail": str(error), "where": product}
        return {**base, "title": None, "state": "failed", "reasons": [reason], "next_command": _check(product)}
    state = releases.state_of(workplace, product) or releases.State("published" if made else "none")
    reasons, command = list(state.reasons), state.next_command
    if any(r["code"] in _SIGN_OFF_CODES for r in reasons):
        reasons, command = _signatures(workplace, product, state.candidate)
    if not command and state.status in ("none", "failed"):
        command = f"meddata run --product {product}" if state.status == "failed" else "meddata run --landing DIR"
    if not command and state.status == "refused":
        command = f"meddata release show {product}" if state.candidate else _check(product)
    return {
        **base,
        "title": spec.title.model_dump(),
        "state": state.status,
        "candidate": state.candidate,
        "reasons": reasons,
        "next_command": command,
    }


def _check(product: str) -> str:
    return f"meddata product check {product}"


def _signatures(workplace: Workplace, product: str, digest: str) -> tuple[list[dict[str, str]], str]:
    """Where the signatures stand now; people may have signed since the last run."""
    status = sign_off_status(workplace, product, digest)
    reasons = [r.as_dict() for r in status.reasons()]
    if status.rejected:
        return reasons, f"meddata release show {product}"
    if status.missing:
        return reasons, f"meddata release approve {product} --role {status.missing[0]} --key KEY --reason TEXT"
    return reasons, f"meddata run --product {product}"


def sign_off_status(workplace: Workplace, product: str, digest: str) -> Any:
    """The sign-offs of a candidate, judged without opening the home's real keys."""
    from meddata_pipeline.exchange import signoff

    seed = workplace.settings.demo_seed
    roles = signoff.Roles.load(workplace.config, demo_keyring(seed) if seed is not None else None)
    return signoff.status(workplace.home, candidates.offer_of(workplace, product), digest, roles)


def _orders(workplace: Workplace) -> int:
    if not (workplace.home / "ledger.db").exists() and not os.environ.get("MEDDATA_LEDGER_URL"):
        return 0
    with workplace.ledger() as ledger:
        return len(ledger.orders())


# -- doctor ------------------------------------------------------------------------------------------------------------


def doctor(workplace: Workplace) -> list[dict[str, str]]:
    """Check the installation.

    Returns:
        One ``{"id", "status": passed | warning | failed, "detail"}`` per check.
    """
    settings = workplace.settings
    return [
        _python(),
        _packages(),
        *_home(settings),
        _keys(settings),
        _landing(workplace.landing),
        _disk(settings.home),
        _dagster(settings),
        _configuration(workplace),
    ]


def _found(check: str, status: str, detail: str) -> dict[str, str]:
    return {"id": check, "status": status, "detail": detail}


def _python() -> dict[str, str]:
    fits = (3, 11) <= sys.version_info[:2] < (3, 15)
    version = ".".join(str(part) for part in sys.version_info[:3])
    return _found("python", "passed" if fits else "failed", f"Python {version}; 3.11 to 3.14 are supported")


def _packages() -> dict[str, str]:
    from importlib import metadata

    try:
        named = metadata.requires("meddata-pipeline") or []
    except metadata.PackageNotFoundError:
        return _found("packages", "failed", "meddata-pipeline is not installed; say `make install`")
    plain = [requirement for requirement in named if ";" not in requirement]
    missing = []
    for requirement in plain:
        name = "".join(c if c.isalnum() or c in "-_." else " " for c in requirement).split()[0]
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return _found("packages", "failed", f"not installed: {', '.join(missing)}; say `make install`")
    return _found("packages", "passed", f"{len(plain)} packages installed")


def _home(settings: Settings) -> list[dict[str, str]]:
    home = settings.home
    if not home.is_dir():
        parent = next(p for p in home.parents if p.exists())
        able = os.access(parent, os.W_OK)
        status = "warning" if able else "failed"
        return [_found("home", status, "there is no home yet" + ("" if able else ", and it cannot be created here"))]
    checks = [
        _found("home", *(("passed", "writable") if os.access(home, os.W_OK) else ("failed", "cannot be written to"))),
    ]
    if settings.restricted.is_dir():
        mode = stat.S_IMODE(settings.restricted.stat().st_mode)
        closed = not mode & 0o077
        detail = f"restricted/ has mode {mode:04o}" + ("" if closed else "; others can read it: chmod 700")
        checks.append(_found("restricted-mode", "passed" if closed else "failed", detail))
    return checks


def _keys(settings: Settings) -> dict[str, str]:
    if settings.demo_seed is not None or home_uses_demo_keys(settings):
        return _found("keys", "warning", "demo keys: NOT FOR REAL DATA")
    for variable in ("MEDDATA_KEY", "MEDDATA_KEY_COMMAND"):
        if os.environ.get(variable):
            return _found("keys", "passed", f"the root key comes from {variable}")
    named = os.environ.get("MEDDATA_KEY_FILE")
    path = Path(named) if named else default_key_file()
    if not path.is_file():
        if named:
            return _found("keys", "failed", "the file that MEDDATA_KEY_FILE names is not there")
        return _found("keys", "warning", "no root key yet; one is created at first use, keep a copy of it")
    if path.resolve().is_relative_to(settings.home):
        return _found("keys", "failed", "the root key lies inside the home; move it out, see MEDDATA_KEY_FILE")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return _found("keys", "failed", f"the root key file has mode {mode:04o}; others can read it: chmod 600")
    return _found("keys", "passed", "the root key lies outside the home")


def _landing(landing: Path) -> dict[str, str]:
    if not landing.is_dir():
        return _found("landing", "warning", "no landing folder; name it with --landing or MEDDATA_LANDING")
    if not os.access(landing, os.R_OK | os.X_OK):
        return _found("landing", "failed", "the landing folder cannot be read")
    mode = stat.S_IMODE(landing.stat().st_mode)
    if mode & 0o007:
        return _found(
            "landing", "warning", f"the landing folder has mode {mode:04o}: everybody on this machine can look in"
        )
    return _found("landing", "passed", f"the landing folder has mode {mode:04o}")


def _disk(home: Path) -> dict[str, str]:
    free = shutil.disk_usage(next(p for p in (home, *home.parents) if p.exists())).free
    status = "passed" if free >= _DISK_LOW else "warning"
    return _found("disk", status, f"{free / 2**30:.1f} GiB free")


def _dagster(settings: Settings) -> dict[str, str]:
    if (settings.home / "dagster" / "dagster.yaml").is_file():
        return _found("dagster", "passed", "dagster/dagster.yaml is there")
    return _found("dagster", "warning", "no dagster/dagster.yaml in the home yet; `meddata run` writes it")


def _configuration(workplace: Workplace) -> dict[str, str]:
    from meddata_pipeline.ingest.profile import load_profile

    config = workplace.config
    try:
        for product in config.products():
            candidates.spec_of(workplace, product)
        for hospital in config.hospitals():
            load_profile(config, hospital)
    except MeddataError as error:
        return _found("configuration", "failed", str(error))
    return _found("configuration", "passed", f"{len(config.products())} products, {len(config.hospitals())} hospitals")
