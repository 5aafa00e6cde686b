"""What a night is to do, what has become of each, and how its morning reads about it."""
