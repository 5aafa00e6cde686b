"""A file for each kind of line that is imported; what they share is how a block is parsed, `intake.text_rows`."""
