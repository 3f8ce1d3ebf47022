"""One variant, trained and measured."""

import math
import time
from typing import Any

import numpy as np

from ... import fast
from ...data import load_mnist, normalise
from ...mathematics.explain import unit_shares
from ...optim import SGD
from ...train import EvalRecord, NonFiniteLoss, fit
from .published_listing import PublishedListing
from .variants import build


def run(name: str, seed: int, settings: Any, directory: Any = None) -> dict[str, Any]:
    """Train one variant, on one thread.

    Arguments:
        name: of VARIANTS. seed: of weights, order of the images and masks.
        settings: dict of epochs, batch_size, lr, momentum, train_images, test_images (how many of them, from the
            first), and held_out: so many of the training images, from the last, take the place of the test set.
            Test images come in batches of batch_size: the listing is a function of the whole batch.
        directory: of the data set, as load_mnist has it.

    Returns: dict of JSON values: variant, seed, settings; accuracy and loss on the test images after every epoch;
        seconds; of the synapse, if there is one, beta (smallest, largest) and inhibition, the standard deviation over
        test images of Σ_j −log |1 − β_ij x_j|, averaged over the units: 0 if the synapse is no more than a constant
        factor, which batch-norm cancels. failed: what ended the run, if the loss did not stay finite.
    """
    images, labels, test_images, test_labels = load_mnist(directory)
    images, labels = images[: settings["train_images"]], labels[: settings["train_images"]]
    if held_out := settings.get("held_out", 0):
        test_images, test_labels, images, labels = (
            images[-held_out:], labels[-held_out:], images[:-held_out], labels[:-held_out],
        )  # fmt: skip
    train_set = images, labels
    test_set = test_images[: settings["test_images"]], test_labels[: settings["test_images"]]
    model = build(name, seed)
    batch_size = settings["batch_size"]
    started, records = time.perf_counter(), []
    training = fit(
        fast.compile(model, threads=1, input_gradient=False), SGD(settings["lr"], settings["momentum"]),
        train_set, test_set, settings["epochs"], batch_size=batch_size, test_batch_size=batch_size, seed=seed,
    )  # fmt: skip
    result = {"variant": name, "seed": seed, "settings": settings}
    try:
        records = [record for record in training if isinstance(record, EvalRecord)]
    except NonFiniteLoss as error:
        result["failed"] = str(error).partition(":")[0]  # without the advice
    result |= {"accuracy": [r.accuracy for r in records], "loss": [r.loss for r in records]}
    return result | {"seconds": round(time.perf_counter() - started, 1)} | what_the_synapse_does(model, test_set[0])


def what_the_synapse_does(model: Any, images: np.ndarray, count: int = 500) -> dict[str, Any]:
    """dict of beta and inhibition as run returns them; empty without a synapse of the formula."""
    synapse = model.layers.get("fcn")
    if synapse is None or isinstance(synapse, PublishedListing):
        return {}
    x = normalise(images[:count], model.dtype)
    for name, layer in model.layers.items():
        if name == "fcn":
            break
        x, _ = layer.forward(x)
    beta = synapse.coefficients()[1]
    found = [beta.min(), beta.max(), unit_shares(synapse, x).inhibition.sum(axis=2).std(axis=0).mean()]
    low, high, spread = (float(v) if math.isfinite(v) else None for v in found)
    return {"beta": [low, high], "inhibition": spread}


def is_same_run(result: Any, name: str, seed: int, settings: Any) -> bool:
    """Whether a stored result is the one that run(name, seed, settings) would return."""
    return (result["variant"], result["seed"], result["settings"]) == (name, seed, settings)
