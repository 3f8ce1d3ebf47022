"""Targets from models that are trained already: knowledge distillation."""

from collections.abc import Iterable
from typing import Any

from ..backend import Array
from ..losses.negative_log_likelihood import check_log_probs
from .data_set import first_outputs, scaling

WEIGHT = 0.9  # of the answers, against the labels


class Teacher:
    """Soft labels of a batch (Hinton, Vinyals and Dean, 2015): the mean of what other models answer, and the labels.

        t_nk = w (1/M) Σ_m p_m(k | x_n) + (1 − w) [(1 − ε) δ_k,labels_n + ε/K]

    The models see the batch as the student does, deformed by the augmentation, and are in evaluation mode. A small
    network often learns more from the answers of larger ones than from labels alone: an answer also tells which digits
    resemble each other, and which image is hard to read.

    Arguments:
        models: M ≥ 1 Sequentials or compiled ones, x (N, ...) -> log probabilities (N, K), on the student's backend.
        weight: w in 0..1 of their answers.

    Raises: ValueError for no models, or another weight.
    """

    def __init__(self, models: Iterable[Any], weight: float = WEIGHT) -> None:
        self.models, self.weight = list(models), weight
        if not self.models or not 0 <= weight <= 1:
            raise ValueError(
                f"Teacher: expected one model or more and a weight in 0..1, got {len(self.models)} and {weight}"
            )

    def check(self, student: Any, x: Array) -> None:
        """Refuse models that do not fit the student: its backend, dtype, scaling of the pixels, inputs and classes.

        Arguments: x: (1, ...), an example as fit takes it. Raises: ValueError.
        """
        expected = first_outputs(student, x, "Teacher", 1).shape
        for model in self.models:
            ours, theirs = ((m.backend.name, m.input_dtype) for m in (student, model))
            if theirs != ours:
                raise ValueError(
                    f"Teacher: expected a model on {ours[0]} in {ours[1]}, like the student, got {' in '.join(theirs)}"
                )
            if scaling(model) != scaling(student):
                raise ValueError(
                    "Teacher: one of teacher and student begins with a Normalize layer (--normalize), the other does "
                    "not, so they need pixels scaled in different ways"
                )
            answers = first_outputs(model, x, "Teacher", 1)
            if answers.shape != expected:
                raise ValueError(f"Teacher: expected answers {expected} like the student's, got {answers.shape}")
            check_log_probs(answers)

    def targets(self, x: Array, labels: Array, label_smoothing: float = 0.0) -> Array:
        """t (N, K) of a batch. Arguments: x (N, ...), labels (N,) of the classes; label_smoothing: ε in 0..1."""
        xp = self.models[0].backend.xp
        p = sum(xp.exp(model.forward(x)[0]) for model in self.models) / len(self.models)
        K = p.shape[1]
        is_label = (labels[:, None] == xp.arange(K)).astype(p.dtype)
        smoothed = (1 - label_smoothing) * is_label + label_smoothing / K
        return self.weight * p + (1 - self.weight) * smoothed
