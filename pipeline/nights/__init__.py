"""What a night is to do, what it finds, what has become of each, and how its morning reads about it.

What happens around retrains as days go by may enter.
"""
