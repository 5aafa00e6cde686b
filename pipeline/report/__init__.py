"""What a person looks at: the morning's page, its charts, the plots of a retrain.

What draws figures that others have computed may enter; it imports nothing but evaluation.
"""
