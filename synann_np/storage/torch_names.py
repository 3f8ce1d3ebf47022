"""Weights from and to PyTorch. torch is imported only where its tensors are made."""

import numpy as np

from ..layers import BatchNorm1d, BatchNorm2d, Synapse


def from_torch(state_dict, model):
    """A PyTorch state_dict as `model.load_state_dict` wants it.

        model.load_state_dict(from_torch(torch.load("net.pt", weights_only=True), model))

    Names and shapes of convolution, linear, batch-norm and plain recurrent layers are the same in both.
    `num_batches_tracked` is left out, since running statistics here move by a fixed momentum. Of a synapse, the
    published listing has "weight", which is beta, and "bias", which it never uses; alpha is then kept from the model,
    where it starts at 1. Note that the listing computes another function of beta than Synapse does: it multiplies over
    all rows of the batch.

    Arguments: state_dict: dict name -> tensor or array. model: Sequential with those names.

    Returns: dict name -> host array, for every name of the model that is known. load_state_dict names what is missing.
    """
    found = {name: _to_numpy(value) for name, value in state_dict.items()}
    found = {name: a for name, a in found.items() if not name.endswith(".num_batches_tracked")}
    for name in _names_of(model, Synapse):
        if f"{name}.weight" in found:
            found[f"{name}.beta"] = found.pop(f"{name}.weight")
            found.pop(f"{name}.bias", None)
        if f"{name}.alpha" in model.params:
            found.setdefault(f"{name}.alpha", model.backend.to_host(model.params[f"{name}.alpha"]).copy())
    return found


def to_torch(model):
    """The weights of a model as a PyTorch state_dict.

        net.load_state_dict(to_torch(model), strict=False)

    strict=False passes over alpha and beta of synapses where the network in PyTorch has none; without synapses
    strict=True works.

    Arguments: model: Sequential on any backend. Returns: dict name -> torch.Tensor, copies on the CPU.
    """
    import torch

    state = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in model.state_dict().items()}
    for name in _names_of(model, BatchNorm1d, BatchNorm2d):
        state[f"{name}.num_batches_tracked"] = torch.tensor(0)
    return state


def _to_numpy(value):
    # A tensor may be on a GPU and may want gradients.
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _names_of(model, *classes):
    return [name for name, layer in model.layers.items() if isinstance(layer, classes)]
