"""What the world may know of a release: one description, its exports to the standards, their validation, and the site.

Belongs here: anything that is derived from a description. Does not belong here: how the described numbers come about
(study, quality, privacy, exchange), and anything that reads the restricted zone.
"""
