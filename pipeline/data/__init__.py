"""From a raw click log to batches of ids."""
