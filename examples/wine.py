"""A table: which of three growers made a wine? 13 measurements, 3 classes of different sizes (scikit-learn's data).

A network of your own, a loss with options, early stopping with the best weights.
"""

from functools import partial

import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

import synann_np
from synann_np.layers import BatchNorm1d, Linear, Normalize, Softmax, Synapse
from synann_np.losses import cross_entropy
from synann_np.optim import SGD
from synann_np.sequential import Sequential
from synann_np.train import EvalRecord, fit, predict
from synann_np.training.callbacks import EarlyStopping

x, labels = load_wine(return_X_y=True)
x_train, x_test, labels_train, labels_test = train_test_split(x, labels, test_size=0.3, stratify=labels, random_state=1)
x_train, x_val, labels_train, labels_val = train_test_split(x_train, labels_train, test_size=0.25, random_state=1)

rng = np.random.default_rng(5)
model = Sequential(
    [
        ("normalize", Normalize.from_data(x_train)),
        ("fc1", Linear(13, 24, rng=rng)),
        ("softmax", Softmax()),
        ("synapse", Synapse(24, rng=rng)),
        ("batchnorm", BatchNorm1d(24)),
        ("fc2", Linear(24, 3, rng=rng)),  # logits: the loss below takes the softmax itself
    ]
)

# Each class counts the same, however many wines it has.
loss = partial(cross_entropy, class_weights=1 / np.bincount(labels_train))
stopping = EarlyStopping(20, model, monitor="loss")
for record in fit(
    model, SGD(0.05, momentum=0.9), (x_train, labels_train), (x_val, labels_val), epochs=200,
    batch_size=16, loss=loss, callbacks=[stopping],
):  # fmt: skip
    if isinstance(record, EvalRecord) and record.epoch % 10 == 0:
        print(f"epoch {record.epoch}: validation loss {record.loss:.3f}, accuracy {record.accuracy:.1%}")
stopping.restore()
print(f"best epoch: {stopping.epoch}")

synann_np.save("wine.safetensors", model)
loaded = synann_np.load("wine.safetensors")
print(f"test: accuracy {(predict(loaded, x_test) == labels_test).mean():.1%}")
