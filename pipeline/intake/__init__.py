"""Someone's log on its way in: files of other formats become days of Parquet, a look at rows becomes a feature spec.

What is known of columns before anyone has described them may enter; what reads a described log is `data`'s.
"""
