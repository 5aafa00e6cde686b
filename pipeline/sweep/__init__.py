"""A search for the best values of a config's keys.

What trains many configs to compare them may enter; the training itself is that of one rank.
"""
