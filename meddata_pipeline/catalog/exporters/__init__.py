"""Exports of a description, one module per standard. Nothing is computed here that is not in the description."""
