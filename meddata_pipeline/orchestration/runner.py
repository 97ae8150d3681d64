"""`meddata run`: the whole Dagster job on a landing folder, in this process, only what has changed.

What belongs here: which jobs run for which partitions, in which order, and the summary. What does not: what a step does
(app/), printing (cli). Each run is an ordinary Dagster run of an ordinary job: the UI shows it with its lineage.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dagster import DagsterEventType, DagsterInstance, Definitions, ExecuteInProcessResult

from meddata_pipeline.app import candidates, leak_audit, nights, publication, quality_station, releases
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.orchestration import jobs
from meddata_pipeline.orchestration.build import build_defs
from meddata_pipeline.orchestration.instance import PID_TAG, close_dead_runs, open_instance
from meddata_pipeline.orchestration.partitions import add_delivery, add_products, delivery_key

if TYPE_CHECKING:
    from meddata_pipeline.ingest.landing import Delivery

Progress = Callable[[str, int, int], None]


@dataclass
class Summary:
    """What `meddata run --json` answers."""

    run_ids: list[str] = field(default_factory=list)
    rows_in: int = 0
    rows_mapped: int = 0
    rows_quarantined: int = 0
    files_refused: list[dict[str, str]] = field(default_factory=list)
    products: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The summary as plain JSON."""
        return dict(self.__dict__)

    @property
    def refused(self) -> bool:
        """Whether a product was refused or a step failed."""
        return bool(self.failed) or any(p["status"] in ("refused", "failed") for p in self.products)


class Runner:
    """One call of `meddata run`.

    Args:
        workplace: home and landing folder.
        progress: called with what is being done, how many runs are done, and how many are planned so far.
    """

    def __init__(self, workplace: Workplace, progress: Progress | None = None) -> None:
        self.workplace = workplace
        self.progress = progress or (lambda _what, _done, _planned: None)
        self.summary = Summary()
        self.defs: Definitions = build_defs(resource_overrides={"workplace": workplace})
        self._done = 0
        self._planned = 0

    def run(
        self,
        *,
        products: Sequence[str] = (),
        hospitals: Sequence[str] = (),
        days: Sequence[str] = (),
    ) -> Summary:
        """Run the nights of all deliveries, then the products.

        Args:
            products: only these; by default every product whose hospitals have delivered.
            hospitals: only these.
            days: only these.

        Raises:
            BadInput: the landing folder, a product or a hospital is unknown, or nothing has been delivered.
        """
        deliveries = self._deliveries(hospitals, days)
        known = self.workplace.config.products()
        for product in products:
            candidates.spec_of(self.workplace, product)
        self.workplace.wipe_tmp()
        with open_instance(self.workplace.home) as instance:
            close_dead_runs(instance)
            for delivery in deliveries:
                add_delivery(instance, delivery.hospital, delivery.day)
            add_products(instance, known)
            self._nights(instance, deliveries)
            chosen = list(products) or [p for p in known if candidates.has_data(self.workplace, p)]
            for product in chosen:
                self._product(instance, product)
            if not publication.site_is_current(self.workplace):
                self._execute(instance, jobs.SITE, None, {}, "catalogue")
        self.workplace.wipe_tmp()
        return self.summary

    # -- deliveries ------------------------------------------------------------------------------------------------

    def _deliveries(self, hospitals: Sequence[str], days: Sequence[str]) -> list[Delivery]:
        from meddata_pipeline.ingest import landing

        if not self.workplace.landing.is_dir():
            raise BadInput("The landing folder does not exist", where="--landing")
        configured = set(self.workplace.config.hospitals())
        if unknown := sorted(set(hospitals) - configured):
            raise BadInput(
                f"No profile for hospital {unknown[0]}",
                where="--hospital",
                next_step="Draft one in <home>/config/hospitals, see the README",
            )
        found = landing.look(self.workplace.landing)
        chosen = []
        for delivery in found.deliveries:
            if (hospitals and delivery.hospital not in hospitals) or (days and delivery.day not in days):
                continue
            if delivery.hospital not in configured:
                self.summary.skipped.append(
                    {"hospital": delivery.hospital, "day": delivery.day, "reason": "no-profile"}
                )
                continue
            chosen.append(delivery)
        self.summary.skipped += [{"entry": entry, "reason": why} for entry, why in found.ignored]
        if not chosen:
            raise BadInput(
                "The landing folder holds no delivery of a configured hospital",
                where="--landing",
                next_step="It must be laid out as <hospital>/<yyyy-mm-dd>/files, with a profile for each hospital",
            )
        return chosen

    def _nights(self, instance: DagsterInstance, deliveries: Sequence[Delivery]) -> None:
        """Three phases: ingest all deliveries, identities of the hospitals, de-identify what has become stale."""
        workplace = self.workplace
        self._planned += len(deliveries)
        for d in deliveries:
            outcomes = nights.ingested(workplace, d.hospital, d.day)
            if outcomes is None:
                self._execute(
                    instance, jobs.INGEST, delivery_key(d.hospital, d.day), _tags(d.hospital), f"{d.hospital} {d.day}"
                )
                outcomes = nights.ingested(workplace, d.hospital, d.day)
            else:
                self._skip(f"{d.hospital} {d.day}")
            if outcomes is not None:
                facts = outcomes["quarantine"].facts
                self.summary.rows_in += int(facts["rows_in"])
                self.summary.rows_mapped += int(facts["rows_mapped"])
                self.summary.rows_quarantined += int(facts["rows_quarantined"])
                where = {"hospital": d.hospital, "day": d.day}
                self.summary.files_refused += [{**where, **file} for file in facts.get("files_refused", ())]
        for hospital in _unique(d.hospital for d in deliveries):
            if not nights.has_records(workplace, hospital):
                continue
            if nights.identified(workplace, hospital) is None:
                self._planned += 1
                if not self._execute(
                    instance, jobs.IDENTIFY, hospital, _tags(hospital), f"{hospital} identities"
                ).success:
                    continue
            # All days of the hospital, not only those at hand: what is known of a person may have grown.
            for day in nights.days_with_records(workplace, hospital):
                done = nights.deidentified(workplace, hospital, day)
                if done is None or leak_audit.audited(workplace, hospital, day) is None:
                    self._planned += 1
                    self._execute(
                        instance,
                        jobs.DEIDENTIFY,
                        delivery_key(hospital, day),
                        _tags(hospital),
                        f"{hospital} {day} deid",
                    )
            self._judge(instance, hospital)

    def _judge(self, instance: DagsterInstance, hospital: str) -> None:
        """Judge the days of a hospital: after all of them, since rules look at what is known from any day."""
        for day in nights.days_with_records(self.workplace, hospital):
            if nights.deidentified(self.workplace, hospital, day) is None:
                continue
            if quality_station.judged(self.workplace, hospital, day) is None:
                self._planned += 1
                self._execute(
                    instance, jobs.JUDGE, delivery_key(hospital, day), _tags(hospital), f"{hospital} {day} quality"
                )

    # -- products --------------------------------------------------------------------------------------------------

    def _product(self, instance: DagsterInstance, product: str) -> None:
        from meddata_pipeline.exchange import release

        workplace = self.workplace
        last = release.latest(workplace.home, product)
        if candidates.is_current(workplace, product) and releases.is_published(workplace, product):
            self._skip(product)
            releases.keep_unchanged(workplace, product)
        else:
            self._planned += 1
            releases.clear_state(workplace, product)
            result = self._execute(instance, jobs.PRODUCT, product, {"meddata/product": product}, product)
            if not result.success:
                releases.keep_state(workplace, product, _failure(result))
        state = releases.state_of(workplace, product)
        made = release.latest(workplace.home, product)
        status = state.status if state is not None else "failed"
        if status in ("published", "unchanged"):
            status = "published" if made is not None and (last is None or made.number != last.number) else "unchanged"
        entry = report = None
        if made is not None:
            base = f"products/{product}/{made.version}"
            entry, report = f"{base}/entry.ttl", f"{base}/report.zh.html"
        self.summary.products.append(
            {
                "id": product,
                "version": made.version if made else None,
                "status": status,
                "entry": entry,
                "report": report,
                "digest": made.digest if made else None,
                "candidate": state.candidate if state else "",
                "reasons": list(state.reasons) if state else [],
                "next_command": state.next_command if state else "",
            }
        )

    # -- running ---------------------------------------------------------------------------------------------------

    def _execute(
        self, instance: DagsterInstance, job: str, key: Any, tags: dict[str, str], what: str
    ) -> ExecuteInProcessResult:
        self.progress(what, self._done, max(self._planned, self._done + 1))
        result = self.defs.resolve_job_def(job).execute_in_process(
            instance=instance, partition_key=key, raise_on_error=False, tags={PID_TAG: str(os.getpid()), **tags}
        )
        self._done += 1
        self.summary.run_ids.append(result.run_id)
        self.progress(what, self._done, max(self._planned, self._done))
        if not result.success and job != jobs.PRODUCT:
            state = _failure(result)
            self.summary.failed.append({"job": job, "partition": str(key or ""), "reasons": list(state.reasons)})
        return result

    def _skip(self, what: str) -> None:
        self._done += 1
        self.progress(f"{what}: unchanged", self._done, max(self._planned, self._done))


def _tags(hospital: str) -> dict[str, str]:
    return {"meddata/hospital": hospital}


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _failure(result: ExecuteInProcessResult) -> releases.State:
    """Why a run failed: the reasons of a refusal, the failed blocking checks, or the guarded text of an error."""
    reasons: list[dict[str, str]] = []
    refused = False
    for event in result.all_events:
        if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed and check.severity.value == "ERROR":
                refused = True
                where = f"{check.asset_key.to_user_string()}:{check.check_name}"
                reasons.append(
                    {"code": check.check_name.replace("_", "-"), "detail": check.description or "", "where": where}
                )
        elif event.event_type == DagsterEventType.STEP_FAILURE:
            data = event.step_failure_data
            failure = data.user_failure_data
            known = failure.metadata.get("reasons") if failure is not None and failure.metadata else None
            listed = known.value if known is not None else []
            if isinstance(listed, list) and listed:
                refused = True
                reasons += [dict(r) for r in listed]
            elif not reasons:
                # An error of Dagster itself carries no text of ours; its type says enough and holds no value.
                named = (data.error.cls_name or "") if data.error is not None else ""
                detail = (failure.description or "") if failure is not None else named
                reasons.append({"code": "error", "detail": detail, "where": event.step_key or ""})
    return releases.State("refused" if refused else "failed", tuple(reasons))
