"""A stage trained: how it starts, the loop, its optimizers, its checkpoints, and how it is looked at as it goes.

What one rank of any number does may enter; what knows Ray lies in `on_ray` alone.
"""
