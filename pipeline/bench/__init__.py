"""What a step, the feed, a whole job and a whole run cost, beside what the machine could do at most.

Measurements alone may enter; nothing else imports them.
"""
