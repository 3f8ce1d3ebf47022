"""Dropout in captured steps: the mask is one kernel."""

import math

import numpy as np

from ....counter_random import keep_threshold
from ....layers import Dropout
from .launches import arrays_of


class CudaDropout(Dropout):
    """layers.Dropout or Dropout2d, the same masks. The kernel takes the key of the step from the device.

    Arguments: layer: Dropout or Dropout2d. launcher: Launcher. backend: of the arrays.
    """

    def __init__(self, layer, launcher, backend):
        self.__dict__ |= layer.__dict__
        self.mask_shape = layer.mask_shape
        self.launcher, self.backend = launcher, backend
        self.threshold = backend.asarray(np.array([keep_threshold(layer.p)]), "uint32")

    def mask(self, x, step, first_row=0):
        shape = self.mask_shape(x)
        if not hasattr(step, "key") or x.dtype != self.launcher.dtype or first_row or not x.size:
            return super().mask(x, step, first_row)
        low, high = step.key(self.seed)
        given, sizes = {"low": low, "high": high, "threshold": self.threshold}, {"E": math.prod(shape)}
        arrays = arrays_of(self, "dropout", ["dropout_mask"], sizes | {"scale": self.scale}, given)
        return arrays["mask"].reshape(shape)
