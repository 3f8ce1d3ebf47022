"""Handwritten digits of 8×8 pixels, 10 classes (scikit-learn's data): too small for the networks of this package.

A convolutional network of your own, layer by layer, and what it is made of.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import synann_np
from synann_np.layers import BatchNorm1d, Conv2d, Flatten, Linear, LogSoftmax, MaxPool2d, ReLU, Softmax, Synapse
from synann_np.models import normalized
from synann_np.optim import Adam
from synann_np.sequential import Sequential
from synann_np.train import EvalRecord, fit, predict

digits = load_digits()
x = digits.images[:, None]  # (N, 8, 8) to (N, 1, 8, 8): one channel
x_train, x_test, labels_train, labels_test = train_test_split(x, digits.target, test_size=0.3, random_state=1)

rng = np.random.default_rng(5)
model = Sequential(
    [
        ("conv", Conv2d(1, 16, 3, rng=rng)),  # (N, 16, 6, 6)
        ("pool", MaxPool2d(2)),  # (N, 16, 3, 3)
        ("relu", ReLU()),
        ("flatten", Flatten()),  # (N, 144)
        ("fc1", Linear(144, 48, rng=rng)),
        ("softmax", Softmax()),
        ("synapse", Synapse(48, rng=rng)),
        ("batchnorm", BatchNorm1d(48)),
        ("fc2", Linear(48, 10, rng=rng)),
        ("log_softmax", LogSoftmax()),
    ]
)
model = normalized(model, x_train)
print(model.summary((1, 8, 8)))

for record in fit(model, Adam(0.005), (x_train, labels_train), (x_test, labels_test), epochs=15, batch_size=50):
    if isinstance(record, EvalRecord):
        print(f"epoch {record.epoch}: loss {record.loss:.3f}, accuracy {record.accuracy:.1%}")

synann_np.save("digits_8x8.safetensors", model)
loaded = synann_np.load("digits_8x8.safetensors")
print("predicted:", predict(loaded, x_test[:12]), "true:", labels_test[:12])
