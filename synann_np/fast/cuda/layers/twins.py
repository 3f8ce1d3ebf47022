"""Which layers have a CUDA twin."""

from ....layers import RNN, Conv2d, Dropout, Dropout2d, LogSoftmax, MaxPool2d, ReLU, Softmax, Synapse, SynapseRNN
from ..synapse import CudaSynapse
from .batchnorm import NORMS, CudaBatchNorm
from .dropout import CudaDropout
from .pixels import CudaConv2d, CudaMaxPool2d
from .softmax import CudaSoftmax
from .synapse_rnn import CudaSynapseRNN
from .tanh_rnn import CudaRNN


def with_twins(model, launcher, input_gradient=True):
    """The layers of a Sequential as a list of (name, layer), with twins where there are any. A relu after batch-norm
    becomes a part of it.

    Arguments: launcher: Launcher of the model's dtype. input_gradient: False if backward may return None for dx.
    """
    names, layers = list(model.layers), []
    while names:
        first, *rest = (model.layers[name] for name in names[:2])
        twin, count = first, 1
        if type(first) in NORMS:
            relu = [type(layer) for layer in rest] == [ReLU]
            twin, count = CudaBatchNorm(first, relu, launcher), 1 + relu
        elif type(first) is Conv2d:
            twin = CudaConv2d(first, launcher, input_gradient or bool(layers))
        elif type(first) is MaxPool2d and CudaMaxPool2d.fits(first):
            twin = CudaMaxPool2d(first, launcher, model.backend)
        elif type(first) is Synapse:
            twin = CudaSynapse(first, launcher)
        elif type(first) is SynapseRNN and CudaSynapseRNN.fits(first):
            twin = CudaSynapseRNN(first, launcher)
        elif type(first) in (Dropout, Dropout2d):
            twin = CudaDropout(first, launcher, model.backend)
        elif type(first) is RNN and CudaRNN.fits(first):
            twin = CudaRNN(first, launcher)
        elif type(first) in (Softmax, LogSoftmax) and first.axis == -1:
            twin = CudaSoftmax(first, launcher, model.backend)
        layers.append((names[0], twin))
        names = names[count:]
    return layers
