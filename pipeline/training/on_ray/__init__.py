"""The one Ray Train job that runs the stages of a plan.

This is the only place of training that knows Ray: what a rank does without it lies one floor up.
"""
