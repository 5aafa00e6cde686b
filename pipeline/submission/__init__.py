"""A command put onto a Ray cluster: what of it travels, the name it goes by, and how its job is begun and followed.

It speaks to Ray's job server, over HTTP, and starts no Ray of its own; which verbs there are it does not know.
"""
