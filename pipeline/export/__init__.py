"""A registered model on its way out: files for runtimes and tools that know nothing of Nightjar.

What writes such a file, and holds it against the bundle that it was made of, may enter.
"""
