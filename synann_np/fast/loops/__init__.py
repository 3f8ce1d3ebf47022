"""Loops in C, compiled on this machine. Without a compiler the plain layers run."""
