"""Weights from and to PyTorch and other tools. torch is imported only where its tensors are made."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from ..layers import BatchNorm1d, BatchNorm2d, Synapse
from .checkpoint import FORMAT, check_content
from .safetensors_file import BFLOAT16, read, to_float32

WRAPPERS = {"module", "_orig_mod"}  # what DataParallel, DistributedDataParallel and torch.compile put into names


def load_weights(model: Any, path: str | PathLike) -> list[str]:
    """Give a model the weights of a safetensors file, whoever wrote it: PyTorch, Hugging Face tools or synann_np.

        print("\\n".join(load_weights(model, "model.safetensors")))

    Arguments: model: Sequential with the names and shapes of the file, after the changes that `from_torch` makes.

    Returns: list of str, an account of what was renamed, converted or left out.

    Raises: CheckpointError: no such file, or a damaged one. ValueError naming what is missing, unknown or of another
        shape; the model is then unchanged.
    """
    tensors, texts = read(path)
    if texts.get("format") == FORMAT:
        tensors = check_content(tensors, texts, path).state
    account: list[str] = []
    model.load_state_dict(from_torch(tensors, model, account))
    return [f"{len(tensors)} arrays read from {path}", *account]


def from_torch(state_dict: Mapping[str, Any], model: Any, account: list[str] | None = None) -> dict[str, np.ndarray]:
    """A PyTorch state_dict as `model.load_state_dict` wants it.

        model.load_state_dict(from_torch(torch.load("net.pt", weights_only=True), model))

    Names and shapes of convolution, linear, batch-norm and plain recurrent layers are the same in both. Left out are
    wrappers in names (`module.`, `_orig_mod.`), a beginning that all names share and the model does not know
    ("model.conv1.weight"), and `num_batches_tracked`, since running statistics here move by a fixed momentum. bfloat16
    becomes float32; `load_state_dict` casts the rest to the dtype of the model. Of a synapse, the published listing has
    "weight", which is beta, and "bias", which it never uses; alpha is then kept from the model, where it starts at 1.
    Note that the listing computes another function of beta than Synapse does: it multiplies over all rows of the batch.

    Arguments:
        state_dict: dict name -> tensor or array.
        model: Sequential with those names.
        account: list, to which a line is added for everything that was renamed, converted or left out.

    Returns: dict name -> host array, for every name of the model that is known. load_state_dict names what is missing.

    Raises: TypeError for an entry that is not an array of real numbers, ValueError if two entries get the same name.
    """
    account = [] if account is None else account
    dtypes = {name: a.dtype for name, a in (model.params | model.buffers).items()}
    found: dict[str, np.ndarray] = {}
    converted: dict[str, list[str]] = {}
    for name, value in _renamed(state_dict, model, account).items():
        if name.endswith(".num_batches_tracked") and name not in dtypes:
            account.append(f"left out: {name}, which is not used here")
            continue
        found[name], before = _to_numpy(name, value)
        if before != str(dtypes.get(name, before)):
            converted.setdefault(f"{before} to {dtypes[name]}", []).append(name)
    account += [f"converted from {kind}: {', '.join(names)}" for kind, names in converted.items()]
    for name in _names_of(model, Synapse):
        if f"{name}.weight" in found:
            account.append(f"renamed: {name}.weight to {name}.beta")
            found[f"{name}.beta"] = found.pop(f"{name}.weight")
            if found.pop(f"{name}.bias", None) is not None:
                account.append(f"left out: {name}.bias, which the published listing never uses")
        if f"{name}.alpha" in model.params and f"{name}.alpha" not in found:
            account.append(f"kept from the model: {name}.alpha")
            found[f"{name}.alpha"] = model.backend.to_host(model.params[f"{name}.alpha"]).copy()
    return found


def to_torch(model: Any) -> dict[str, Any]:
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


def _renamed(state_dict, model, account):
    """The entries without wrappers in their names and without a beginning that is not the model's."""
    known = {part for name in model.params | model.buffers for part in name.split(".")}
    entries = {tuple(name.split(".")): value for name, value in state_dict.items()}
    for wrapper in sorted(WRAPPERS - known):
        if any(wrapper in name for name in entries):
            account.append(f"left out of names: {wrapper}.")
            entries = _with_names(entries, lambda name, wrapper=wrapper: tuple(p for p in name if p != wrapper))
    while entries and all(len(name) > 2 for name in entries) and len({name[0] for name in entries}) == 1:
        (beginning,) = {name[0] for name in entries}
        if beginning in model.layers:
            break
        account.append(f"left out of names: {beginning}.")
        entries = _with_names(entries, lambda name: name[1:])
    return {".".join(name): value for name, value in entries.items()}


def _with_names(entries, rename):
    renamed = {rename(name): value for name, value in entries.items()}
    if len(renamed) < len(entries):
        raise ValueError("from_torch: two entries of the state_dict have the same name without their wrappers")
    return renamed


def _to_numpy(name, value):
    """A tensor or array as a host array, and its dtype before, as text."""
    if isinstance(value, dict):
        raise TypeError(
            f"from_torch: {name!r:.80} is a dict: pass the state_dict inside, such as checkpoint[{name!r:.80}]"
        )
    dtype = str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.")
    if hasattr(value, "detach"):  # a tensor may be on a GPU and may want gradients
        value = value.detach().cpu()
        value = value.float() if dtype.startswith(("bfloat16", "float8")) else value  # NumPy has no such numbers
    a = np.asarray(value)
    if a.dtype == BFLOAT16:
        a, dtype = to_float32(a), "bfloat16"
    if a.dtype.kind not in "fiub":
        raise TypeError(f"from_torch: {name!r:.80} is {dtype}: expected an array of real numbers")
    return a, dtype


def _names_of(model, *classes):
    return [name for name, layer in model.layers.items() if isinstance(layer, classes)]
