"""Layers of the engine, computed by CUDA kernels: the same parameters, numbers and gradients."""
