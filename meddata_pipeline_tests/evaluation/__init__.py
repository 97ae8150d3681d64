"""The evaluation kit: made-up clinical notes with their truth, scoring, and a command that prints the table.

What belongs here: everything that judges detection from outside. Nothing here shares a word list with privacy/ or
samples/: each author of notes writes with words of its own. Rules may be developed on styles A, B and E; styles C and D
are for the figures only, never to be looked at when rules are written.
"""
