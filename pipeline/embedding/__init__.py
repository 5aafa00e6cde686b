"""The table of rows [w | v], how a batch reads and updates them, and how ranks share them.

What a step does to rows of the table may enter; the layers above them are models.
"""
