"""What a network costs: shapes, parameters, multiply-accumulates and activations, with the derivation of each."""
