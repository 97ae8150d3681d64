"""Tests of meddata-pipeline; the folders mirror the package."""
