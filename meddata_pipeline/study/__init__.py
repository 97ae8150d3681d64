"""The association study: cohort, specification, estimators and report.

Belongs here: who is in the study, what is computed of them and how it is told. Does not belong here: how source data
were mapped or protected (ingest, privacy), small-cell rules (disclosure) and drawing (render). Callers are the app
package and the command `associate`; the ways in are `study.cohort.build`, `study.api.associate` and
`study.report.results`.
"""
