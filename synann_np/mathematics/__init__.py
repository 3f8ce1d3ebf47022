"""The synapse as mathematics: the function, surprisal space, odds ratios, additive explanations, circuits."""
