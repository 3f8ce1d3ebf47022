"""Colour images, 32×32: which shape is it? Circles, squares, crosses and stripes that this program draws.

Images are uint8 arrays (N, channels, height, width). They are augmented while the network trains.
"""

import numpy as np

import synann_np
from synann_np.data.augment import Augment
from synann_np.models import SynaLeNet, normalized
from synann_np.optim import Adam
from synann_np.train import EvalRecord, fit, predict_proba
from synann_np.training.metrics import top_k
from synann_np.training.tools import TrainingTools

NAMES = ["circle", "square", "cross", "stripes"]


def draw(count, rng):
    """Images (count, 3, 32, 32) uint8 and labels (count,): a shape of one colour on a background of another, noisy."""
    y, x = np.mgrid[:32, :32]
    images, labels = np.empty((count, 3, 32, 32), "uint8"), rng.integers(0, 4, count)
    for image, label in zip(images, labels, strict=True):
        dx, dy, size = np.abs(x - rng.integers(11, 21)), np.abs(y - rng.integers(11, 21)), rng.integers(6, 10)
        inside = (dx < size) & (dy < size)
        shape = [
            dx**2 + dy**2 < size**2,
            inside,
            inside & ((dx < 2) | (dy < 2)),
            inside & (y % 4 < 2),
        ][label]
        ink, paper = rng.integers(0, 256, 3), rng.integers(0, 256, 3)
        pixels = np.where(shape, ink[:, None, None], paper[:, None, None]) + rng.normal(0, 10, (3, 32, 32))
        image[:] = pixels.clip(0, 255)
    return images, labels


rng = np.random.default_rng(5)
train_set, test_set = draw(1200, rng), draw(300, rng)

model = normalized(SynaLeNet(in_shape=(3, 32, 32), classes=4), train_set[0])
print(model.summary((3, 32, 32)))

tools = TrainingTools(augment=Augment(seed=5, shift=2))
for record in fit(model, Adam(0.003), train_set, test_set, epochs=6, tools=tools, metrics={"top 2": top_k(2)}):
    if isinstance(record, EvalRecord):
        print(f"epoch {record.epoch}: accuracy {record.accuracy:.1%}, top 2 {record.metrics['top 2']:.1%}")

synann_np.save("colour_images.safetensors", model)
loaded = synann_np.load("colour_images.safetensors")
for probabilities, label in zip(predict_proba(loaded, test_set[0][:5]), test_set[1], strict=False):
    best = probabilities.argmax()
    print(f"a {NAMES[label]}: {NAMES[best]}, {probabilities[best]:.0%}")
