"""Dagster: the only importer of dagster besides definitions.py. What the steps do is in app/ and below."""
