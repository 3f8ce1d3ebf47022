"""Export the model of the package and run it with onnxruntime: python examples/bridge_onnx.py (extra `onnx`)."""

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

import synann_np
from synann_np.bridges import onnx
from synann_np.data import load_mnist
from synann_np.programs.examples import MODEL
from synann_np.train import outputs

model = synann_np.load(MODEL)
_, _, images, labels = load_mnist()
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.onnx"
    onnx.export(model, path)
    session = onnxruntime.InferenceSession(path)
    (log_probs,) = session.run(None, {"images": images[:1000]})
print(f"onnxruntime: {(log_probs.argmax(axis=1) == labels[:1000]).mean():.1%} of 1000 test images right")
difference = np.abs(log_probs - outputs(model, images[:1000])).max()
print(f"both agree: the largest difference of log probabilities is {difference:.1e}")
