"""One retrain, from the days of a log to a registered model and a verdict on it.

The steps of a retrain that nights, rebuilds and sweeps share may enter.
"""
