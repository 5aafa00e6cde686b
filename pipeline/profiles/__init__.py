"""What a day of the log holds, and whether it is within its bounds.

What looks at the days without learning from them may enter.
"""
