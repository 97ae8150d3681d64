"""Rendering the sample population the way hospitals export.

What belongs here: a hospital's spellings, units, headers and file formats (``styles/*.yaml`` and the code that reads
them), and the defects that happen on the way. What does not: what is true of the patients (``model``, ``events``).
"""
