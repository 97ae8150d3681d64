"""The trade: rights statement, price estimate, sign-off, release commit, buyer's bundle, settlement of a sale.

What belongs here: everything between a candidate that is ready and the money that is shared. What does not: how the
candidate is made protected (privacy), and the page that shows it (catalog).
"""
