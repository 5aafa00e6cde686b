"""From a raw click log to batches of ids: found, checked, counted, encoded, stored, fed.

What a row of the log becomes on its way to a step may enter; models and metrics may not.
"""
