"""What a newcomer can try at once: a trained model, and photographs of digits that it reads."""

from pathlib import Path

MODEL = Path(__file__).parent / "synann_mnist.safetensors"  # see examples/README.md
DIGITS = Path(__file__).parent / "digits"  # the first character of a file name is the digit
