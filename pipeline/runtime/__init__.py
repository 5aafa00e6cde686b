"""What every room stands on: files at any URI, the Ray cluster, leases, fingerprints of sources, and progress.

What knows nothing of clicks may enter; it imports nothing of the other rooms.
"""
