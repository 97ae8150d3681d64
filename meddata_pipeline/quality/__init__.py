"""Quality of a product's data: one contract, rules that no engine owns, two engines, scores.

What belongs here: contract.yaml (ODCS 3.1), the checks it asks for and what they found. What does not: privacy rules,
publishing; a failed check is reported here and acted upon by whoever runs the product.
"""

from __future__ import annotations
