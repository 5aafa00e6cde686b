"""What a person looks at: the pages of nights and retrains, their charts, the plots of a retrain.

What draws figures that others have computed may enter; it imports nothing but evaluation.
"""
