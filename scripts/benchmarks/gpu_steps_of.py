"""The training steps of a recipe on MNIST, one after the other, on a GPU."""

from functools import partial

from synann_np.data import epoch_permutation, load_mnist
from synann_np.programs.runs.arguments import parse_arguments
from synann_np.programs.runs.parts import make_model, make_optimizer, make_tools
from synann_np.train import train_steps


class TrainingSteps:
    """Steps with the network, the optimiser and the tools of a recipe.

    Arguments: backend. words: arguments of train_mnist.py. compile: function of the model -> what trains it.
    """

    def __init__(self, backend, words, compile):
        args, data = parse_arguments(words, "", "benchmark"), load_mnist()
        model, _ = make_model(args, backend, data, data[0])
        self.backend, self.batch_size, self.step = backend, args.batch_size, 0
        tools = make_tools(args, model, -(-len(data[0]) // args.batch_size))
        self.images, labels = (backend.asarray(a) for a in data[:2])
        trained = compile(model)
        train = getattr(trained, "train_steps", partial(train_steps, trained))
        self.train = partial(train, make_optimizer(args), self.images, labels.astype("int64"), tools=tools)
        self.order = backend.asarray(epoch_permutation(len(self.images), args.seed, 1))

    def run(self, count):
        """`count` steps; the loss of the last, for which the device is waited for."""
        return float(self.backend.to_host(self._enqueue(count)))

    def microseconds(self, count):
        """Per step of at least `count`, by the device's clock."""
        self.run(count)
        cuda = self.backend.xp.cuda
        start, end = cuda.Event(), cuda.Event()
        start.record()
        self._enqueue(count)
        end.record()
        end.synchronize()
        return 1e3 * cuda.get_elapsed_time(start, end) / count

    def _enqueue(self, count):
        most = len(self.order) // self.batch_size  # full batches, so that all steps are alike
        while count:
            part = min(count, most)
            loss = self.train(self.order[: part * self.batch_size], self.batch_size, self.step)
            self.step, count = self.step + part, count - part
        return loss
