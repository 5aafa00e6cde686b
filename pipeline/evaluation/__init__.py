"""Numbers and verdicts about what models say: metrics, intervals, calibration, lift, slices, the gate.

Pure functions and mergeable sums may enter; files, Ray, MLflow and torch may not.
"""
