"""A registered model put to use on days of the log: scores written, or held against the labels; what fields are worth.

What scores raw rows may enter; what is made of the scores is decided elsewhere.
"""
