"""Whether two peers compute the same: before that is known, no time counts."""

import numpy as np

LOG_PROBS = 2e-5  # largest difference
GRADIENTS = 1e-3  # largest difference in an array, relative to its largest element
SMALLEST = 1e-3  # an array of gradients smaller than this part of the largest one is compared on that scale


class WrongResult(Exception):
    """A peer computes something else."""


def network_errors(values, expected):
    """Largest errors of a peer: {"log_probs": absolute, "gradients": relative, "worst": name of the gradient}.

    Arguments: dicts of arrays as `values` of the peers returns them.

    A synapse's α in front of a batch-norm has almost no gradient: what is left of it is rounding, so it is compared
    on the scale of the others.

    Raises: WrongResult if names or shapes differ, or an error is above its tolerance.
    """
    check_shapes(values, expected)
    log_probs = max(difference(values[key], expected[key]) for key in expected if key.startswith("log_probs"))
    grads = {key: float(np.abs(a).max()) for key, a in expected.items() if not key.startswith("log_probs")}
    floor = SMALLEST * max(grads.values())
    relative = {key: difference(values[key], expected[key]) / max(size, floor) for key, size in grads.items()}
    worst = max(relative, key=relative.get)
    if not log_probs <= LOG_PROBS:
        raise WrongResult(f"log-probabilities differ by {log_probs:.1e}, allowed are {LOG_PROBS:.0e}")
    if not relative[worst] <= GRADIENTS:
        raise WrongResult(f"the gradient of {worst} differs by {relative[worst]:.1e} of its largest element")
    return {"log_probs": log_probs, "gradients": relative[worst], "worst": worst}


def synapse_errors(values, expected):
    """Largest errors relative to the largest element of each array, by its name.

    Raises: WrongResult as network_errors.
    """
    check_shapes(values, expected)
    errors = {key: difference(values[key], a) / float(np.abs(a).max()) for key, a in expected.items()}
    for key, error in errors.items():
        if not error <= GRADIENTS:
            raise WrongResult(f"{key} differs by {error:.1e} of its largest element, allowed are {GRADIENTS:.0e}")
    return errors


def check_shapes(values, expected):
    shapes, others = ({key: a.shape for key, a in arrays.items()} for arrays in (values, expected))
    if shapes != others:
        raise WrongResult(f"arrays {shapes}, expected {others}")


def difference(a, b):
    """Largest absolute difference; inf where one is not finite."""
    both = np.abs(a.astype("float64") - b)
    return float(both.max()) if np.isfinite(both).all() else float("inf")
