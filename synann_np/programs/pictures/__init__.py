"""Pictures as PNG files. matplotlib is imported where it is used, and never through pyplot: no display needed."""
