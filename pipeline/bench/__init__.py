"""What a step, the feed and a whole job cost, beside what the machine could do at most.

Measurements alone may enter; nothing else imports them.
"""
