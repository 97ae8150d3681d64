"""Tests of ingest: one delivery in, records and everything that is not a record out."""
