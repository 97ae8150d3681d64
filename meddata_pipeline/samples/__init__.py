"""Sample extracts of invented hospitals, with their ground truth.

What belongs here: the causal model of patients, their rendering as hospitals export, the injected defects and the truth
files. What does not: anything that reads such files. It shares no word list with ``privacy``: a detector that is
measured on these texts must not have learnt its words from the same lists.
"""
