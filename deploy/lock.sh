#!/bin/sh
# Writes deploy/requirements.txt and deploy/requirements-dev.txt: names, versions and hashes, no addresses.
set -eu
bin=$1
"$bin"/pip install -q pip-tools
common="-q --generate-hashes --allow-unsafe --strip-extras --no-header --no-annotate --no-emit-options
  -c deploy/constraints.txt"
"$bin"/pip-compile $common -o deploy/requirements.txt pyproject.toml
"$bin"/pip-compile $common --extra dev -c deploy/requirements.txt -o deploy/requirements-dev.txt pyproject.toml
