"""A registered model put to use on days of the log: scores written, held against the labels, or told apart by field.

What scores raw rows may enter; what is made of the scores is decided elsewhere.
"""
