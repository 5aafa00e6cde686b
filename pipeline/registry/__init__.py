"""Bundles, MLflow runs, registered models and their serving."""
