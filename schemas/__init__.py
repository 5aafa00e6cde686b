"""The contracts: what goes into Nightjar and what comes out. Imports nothing of ours."""
