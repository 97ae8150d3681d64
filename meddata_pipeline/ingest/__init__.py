"""From files as a hospital sent them to typed records: landing, sniffing, readers, profiles, mapping, quarantine.

What belongs here: everything between the landing folder and the records tables, and who must leave on the way. What
does not: writing to the lake (storage), linking persons and pseudonyms (privacy), and any knowledge of a product.
"""
