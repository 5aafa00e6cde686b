"""How good a model is: sums over scored rows, the metrics read from them, and which model serves."""
