"""FNN's net from random rows: the control that tells what pretraining by FM bought."""

from pipeline.models.fnn import FNN


class DNN(FNN):
    """Exactly FNN, layer by layer and weight by weight. What differs is the plan: a dnn stage starts from no other."""
