"""Click logs whose truth is known, for demos, studies and tests.

What makes up such a log may enter; nothing here reads one.
"""
