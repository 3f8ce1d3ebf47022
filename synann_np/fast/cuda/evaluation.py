"""Loss and accuracy over a whole set in two launches."""

from .arrays import shape_of, step_sizes
from .kernels import EVALUATE
from .training import check_labels


class Evaluation:
    """Evaluation over one set of images, which stay on the device as bytes.

    Arguments, raises: as Training, without graphs.
    """

    def __init__(self, backend, launcher, state, images, labels):
        check_labels(backend, labels, len(images))
        xp, N = backend.xp, len(images)
        sizes = step_sizes(N, M=N, T=N) | {"offset": 0}
        self.backend = backend
        self.arrays = state | {
            "images": images.reshape(N, 784),
            "labels": labels.astype("uint8"),
            "order": xp.arange(N, dtype="int32"),
        }
        for name in launcher.array_names(EVALUATE):
            if name not in self.arrays:
                self.arrays[name] = xp.zeros(shape_of(name, sizes), launcher.numpy_dtype(name))
        self.launches = [launcher.bind(kernel, sizes, self.arrays) for kernel in EVALUATE]

    def run(self):
        """Mean loss (float), number of right answers (int). The device is waited for."""
        for launch in self.launches:
            launch()
        loss, correct = self.arrays["row_loss"].mean(), self.arrays["row_correct"].sum()
        return float(self.backend.to_host(loss)), int(self.backend.to_host(correct))
