"""Bundles, MLflow runs, registered models and their serving.

All that speaks MLflow's language may enter, and no other room does; a served model imports nothing of training.
"""
