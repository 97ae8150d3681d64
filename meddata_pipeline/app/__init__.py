"""Use-cases that join packages, without Dagster: each step of the way of the data, product states, people's decisions."""
