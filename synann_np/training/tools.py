"""What may be added to plain training, each off by default."""

from collections.abc import Callable
from dataclasses import dataclass

from .weight_average import WeightAverage


@dataclass(frozen=True)
class TrainingTools:
    """The additions of a run.

    schedule: function of the step -> learning rate, see schedules.py; None leaves the optimiser's.
    label_smoothing: in the training loss, see nll_loss; evaluation is without it.
    max_norm: the gradients are clipped to this norm, see clip_grad_norm; None: they are not.
    average: WeightAverage of the model: moved after every step, and evaluated in the place of the weights.
    augment: function of (images (N, 28, 28) uint8, step) -> images like them, for training only, see augment.py;
        distributed training passes first_row too.
    """

    schedule: Callable | None = None
    label_smoothing: float = 0.0
    max_norm: float | None = None
    average: WeightAverage | None = None
    augment: Callable | None = None


PLAIN = TrainingTools()
