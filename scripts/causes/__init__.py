"""Parts of the study of causes: simulation, worked examples, the table of general classification."""
