"""Rules that an evaluator adds to a contract, in the contract's own language.

What belongs here: joining the quality sections of two files. What does not: what a rule means (contract.py).

An extra file is the schema of an ODCS contract with quality sections alone::

    schema:
      - name: cohort            # the contract's table
        quality: [...]          # rules of the table
        properties:
          - name: age
            quality: [...]      # rules of the column
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meddata_pipeline.core.config import load_yaml
from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.quality.contract import Contract, load_contract, parse_contract


def _rules(entry: Any, keys: set[str], where: str) -> list[Any]:
    rules = entry.get("quality") or [] if isinstance(entry, Mapping) else None
    if not isinstance(rules, list) or not set(entry) <= keys:
        raise ConfigError("Extra rules are name, quality and properties alone", where=where)
    return rules


def contract_with(contract_file: Path, extra_file: Path | None) -> Contract:
    """A contract, with the rules of another file added.

    Args:
        contract_file: the contract.
        extra_file: the extra rules, or None.

    Raises:
        ConfigError: either file is wrong, or the extra rules are of a table or column that the contract does not have.
    """
    if extra_file is None:
        return load_contract(contract_file)
    raw, extra, where = copy.deepcopy(load_yaml(contract_file)), load_yaml(extra_file), extra_file.name
    tables = extra.get("schema")
    if set(extra) != {"schema"} or not isinstance(tables, list):
        raise ConfigError("Extra rules are a schema with quality sections", where=where)
    contract = parse_contract(raw, where=contract_file.name)  # so that the merge below finds the shape it expects
    own = {str(table["name"]): table for table in raw["schema"]}
    for table in tables:
        rules = _rules(table, {"name", "quality", "properties"}, where)
        target = own.get(str(table.get("name")))
        if target is None:
            raise ConfigError(f"The contract has no table of that name, but {contract.table}", where=where)
        target["quality"] = [*(target.get("quality") or []), *rules]
        columns = {str(entry["name"]): entry for entry in target["properties"]}
        for number, entry in enumerate(table.get("properties") or []):
            added = _rules(entry, {"name", "quality"}, where)
            column = columns.get(str(entry.get("name")))
            if column is None:
                raise ConfigError(f"Extra rules number {number + 1} are of no column of the contract", where=where)
            column["quality"] = [*(column.get("quality") or []), *added]
    return parse_contract(raw, where=f"{contract_file.name} with {where}")
