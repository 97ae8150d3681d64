"""Use-cases that join packages, without Dagster: the steps of the data, product states, people's decisions."""
