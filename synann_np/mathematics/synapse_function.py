"""The synapse as a function of four variables, S(x, y; α, β) = α x (1 − β y): value, gradient, Hessian.

x, open probability of the excitatory channels, and y, of the inhibitory ones, are in [0, 1]; α > 0; 0 ≤ β ≤ 1. S is
a polynomial, so values outside are no error: it only stops to be a probability. Source: Chang Li, "A Non-linear
Synaptic Neural Network Based on Excitation and Inhibition" (2017).

All four are arrays of any shapes that broadcast, on either backend, or Python numbers. The dtype is theirs: float32
stays float32; integers and bools are computed in float64, as 1 − y of bytes would be 255 for y = 2. Shapes that do not
broadcast raise ValueError.

Two facts that the other modules rest on. The order of the inputs matters,

    S(x, y; α, β) − S(y, x; α, β) = α (x − y)          since α x β y cancels, for every β

and log S = log α + log x + log(1 − β y) is concave in (x, y): its Hessian is diag(−1/x², −β²/(1 − β y)²).
"""

import numpy as np

from ..backend import Array
from .derivative_arrays import gradient_array, hessian_array


def _float(a):
    """a; an array of integers or bools as float64."""
    return a.astype("float64") if getattr(a, "dtype", np.dtype("float64")).kind in "iub" else a


# What underflows is 0: not worth a warning.
@np.errstate(under="ignore")
def synapse(x: Array, y: Array, alpha: Array = 1.0, beta: Array = 1.0) -> Array:
    """S = α x (1 − β y), of the broadcast shape. x = 0, and y = 1 with β = 1, give exactly 0.

    With α = β = 1 and inputs 0 or 1 it is x AND NOT y, which with a constant 1 makes every Boolean function.
    """
    return _float(alpha) * _float(x) * (1 - _float(beta) * _float(y))


@np.errstate(under="ignore")
def synapse_gradient(x: Array, y: Array, alpha: Array = 1.0, beta: Array = 1.0) -> Array:
    """∂S/∂p_k for p = (x, y, α, β), at least one of them an array: (..., 4).

        ∂S/∂x = α (1 − β y)    ∂S/∂y = −α β x    ∂S/∂α = x (1 − β y)    ∂S/∂β = −α x y

    S is linear in each variable, so each derivative is what multiplies that variable.

    Raises: TypeError if all four are Python numbers.
    """
    x, y, alpha, beta = map(_float, (x, y, alpha, beta))
    q = 1 - beta * y
    return gradient_array((x, y, alpha, beta), (alpha * q, -alpha * beta * x, x * q, -alpha * x * y))


@np.errstate(under="ignore")
def synapse_hessian(x: Array, y: Array, alpha: Array = 1.0, beta: Array = 1.0) -> Array:
    """∂²S/∂p_k ∂p_l for p = (x, y, α, β), at least one of them an array: (..., 4, 4), symmetric.

        ∂²S/∂x∂y = −α β    ∂²S/∂x∂α = 1 − β y    ∂²S/∂x∂β = −α y
        ∂²S/∂y∂α = −β x    ∂²S/∂y∂β = −α x       ∂²S/∂α∂β = −x y

    The diagonal is 0, since S is linear in each variable.

    Raises: TypeError if all four are Python numbers.
    """
    x, y, alpha, beta = map(_float, (x, y, alpha, beta))
    second = {
        (0, 1): -alpha * beta,
        (0, 2): 1 - beta * y,
        (0, 3): -alpha * y,
        (1, 2): -beta * x,
        (1, 3): -alpha * x,
        (2, 3): -x * y,
    }
    return hessian_array((x, y, alpha, beta), second)
