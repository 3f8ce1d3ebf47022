"""Training steps of any network as CUDA graphs: what changes from step to step lies on the device."""
