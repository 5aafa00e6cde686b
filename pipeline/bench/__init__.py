"""What training costs on this machine, beside what the machine could do at most."""
