"""A stage trained: the loop, its optimizers and learning rates, its state, and the ranks that share the work."""
