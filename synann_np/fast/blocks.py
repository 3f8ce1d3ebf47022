"""What a part of the batch walks through: layers and fused layers with one signature.

y, cache = forward(x, train, step, first_row)     first_row: number of the part's first row in the batch
dx, grads = backward(dy, cache)                   grads has dotted names, "conv1.weight"
"""

from .conv_pool_relu import ConvPoolRelu
from .loops.conv_pool_relu import CompiledConvPoolRelu, kernels_for
from .masks_ahead import dropout_mask

MOST_COMPILED = 4  # sizes of images for each layer


class LayerBlock:
    """A layer as it is."""

    def __init__(self, name, layer):
        self.name, self.layer = name, layer

    def forward(self, x, train, step, first_row):
        return self.layer.forward(x, train)

    def backward(self, dy, cache):
        dx, grads = self.layer.backward(dy, cache)
        return dx, {f"{self.name}.{key}": g for key, g in grads.items()}


class DropoutBlock(LayerBlock):
    """Dropout or Dropout2d; the mask is the one that the whole batch would get, cut out for the part."""

    def forward(self, x, train, step, first_row):
        if not train:
            return x, None
        mask = dropout_mask(self.layer, self.layer.mask_shape(x), x.dtype, step, first_row)
        return x * mask, mask


class ConvPoolReluBlock(LayerBlock):
    """Conv2d, Dropout2d or None, MaxPool2d(2), ReLU: by loops in C where they can be compiled, else by NumPy."""

    def __init__(self, name, conv, dropout, input_gradient):
        super().__init__(name, conv)
        self.dropout, self.input_gradient = dropout, input_gradient
        self.ways = {}  # what does it for each kind of input, which has then passed the check

    def forward(self, x, train, step, first_row):
        kind = x.shape[1:], x.dtype, self.layer.params["weight"].shape
        way = self.ways.get(kind)
        if way is None:
            self.check_input(x)
            way = self.ways[kind] = self.fastest(x)
        mask = None
        if train and self.dropout is not None:
            channels = (len(x), len(self.layer.params["weight"]), 1, 1)
            mask = dropout_mask(self.dropout, channels, x.dtype, step, first_row)
        y, cache = way.forward(x, mask, keep=train)
        return y, (way, cache)

    def backward(self, dy, cache):
        way, cache = cache
        dx, grads = way.backward(dy, cache)
        return dx, {f"{self.name}.{key}": g for key, g in grads.items()}

    def fastest(self, x):
        """ConvPoolRelu or CompiledConvPoolRelu, for images of this size. To compile takes as long as some hundred
        steps: not for ever other sizes.
        """
        kernels = kernels_for(self.layer, x) if len(self.ways) < MOST_COMPILED else None
        if kernels is None:
            return ConvPoolRelu(self.layer, self.input_gradient)
        return CompiledConvPoolRelu(self.layer, kernels, self.input_gradient)

    def check_input(self, x):
        """Raises: ValueError, TypeError."""
        conv = self.layer
        conv.check_input(x, "N", conv.params["weight"].shape[1], "H", "W")
        least_h, least_w = (k + 1 for k in conv.kernel_size)
        if x.shape[2] < least_h or x.shape[3] < least_w:
            raise ValueError(f"{conv} and pooling: expected {least_h} by {least_w} pixels or more, got {x.shape[2:]}")
