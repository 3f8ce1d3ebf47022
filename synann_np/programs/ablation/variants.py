"""The networks that are compared."""

from dataclasses import dataclass
from typing import Any

from ...layers import BatchNorm1d
from ...models import SynaNN
from ...sequential import Sequential
from .published_listing import PublishedListing

LISTING = "listing"


@dataclass(frozen=True)
class Variant:
    """What stands between dropout and batch-norm. squash, synapse: arguments of SynaNN, or LISTING.

    squash "none": the relu of fc1 is what the synapse sees.

    eps: of the batch-norm. The outputs of a fresh softmax over 64 units vary so little (variance about 1e-6) that the
    usual 1e-5 holds training back, and whatever multiplies them, changes that.
    """

    text: str
    squash: str
    synapse: str
    eps: float = 1e-5


VARIANTS = {
    "identity": Variant("softmax, no synapse", "softmax", "none"),
    "listing": Variant("softmax, the published listing", "softmax", LISTING),
    "free": Variant("softmax, synapse with free β", "softmax", "free"),
    "logistic": Variant("softmax, synapse with logistic β", "softmax", "logistic"),
    "surprisal": Variant("softmax, synapse with surprisals θ, γ", "softmax", "surprisal"),
    "sigmoid": Variant("sigmoid, no synapse", "sigmoid", "none"),
    "sigmoid-free": Variant("sigmoid, synapse with free β", "sigmoid", "free"),
    "sigmoid-logistic": Variant("sigmoid, synapse with logistic β", "sigmoid", "logistic"),
    "sigmoid-surprisal": Variant("sigmoid, synapse with surprisals θ, γ", "sigmoid", "surprisal"),
    "relu": Variant("relu, no synapse", "none", "none"),
    "relu-free": Variant("relu, synapse with free β", "none", "free"),
    "identity-eps": Variant("softmax, no synapse, eps 1e-12", "softmax", "none", 1e-12),
    "free-eps": Variant("softmax, synapse with free β, eps 1e-12", "softmax", "free", 1e-12),
}


def build(name: str, seed: int) -> Sequential:
    """The network of a variant. Variants of one seed start from equal weights and have equal dropout masks."""
    variant = VARIANTS[name]
    is_listing = variant.synapse == LISTING
    squash = "softmax" if variant.squash == "none" else variant.squash
    model = SynaNN(seed, synapse="free" if is_listing else variant.synapse, squash=squash)
    layers = {key: layer for key, layer in model.layers.items() if key != squash or variant.squash != "none"}
    replaced: dict[str, Any] = {"fcb": BatchNorm1d(64, variant.eps)}
    if is_listing:
        replaced["fcn"] = PublishedListing(64)
        replaced["fcn"].params["beta"][...] = model.params["fcn.beta"]
    return Sequential([(key, replaced.get(key, layer)) for key, layer in layers.items()])


def without_synapse(name: str) -> Any:
    """The variant that differs from this one by its synapse alone."""
    v = VARIANTS[name]
    return next(key for key, w in VARIANTS.items() if (w.squash, w.synapse, w.eps) == (v.squash, "none", v.eps))
