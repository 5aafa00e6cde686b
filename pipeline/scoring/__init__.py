"""A registered model put to use on days of the log: probabilities written, or held against the labels.

What scores raw rows may enter; what is made of the scores is decided elsewhere.
"""
