"""Disclosure control of published numbers: small cells, secondary suppression, rounding.

Belongs here: deciding which numbers of a result may be shown and how finely. Does not belong here: computing results
(study) and protecting rows (privacy). Counts are counts of persons.
"""
