"""Tests of what README and docs promise."""
