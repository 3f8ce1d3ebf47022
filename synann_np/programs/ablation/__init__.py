"""What does the synapse contribute? The network of the seed with other things in its place, trained alike."""
