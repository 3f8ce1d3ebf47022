"""A training run in TensorBoard (extra `tensorboard`): a callback of `fit`.

from synann_np.bridges.tensorboard import TensorBoard

with TensorBoard("runs/board", model, optimizer) as board:
    for record in fit(model, optimizer, train_set, test_set, 10, callbacks=[board]): ...
"""

from __future__ import annotations

import os
import struct
import time
import warnings
from collections.abc import Iterator
from typing import Any

try:
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.histogram.summary_v2 import histogram_pb
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
except ImportError as error:
    raise ImportError(
        f"synann_np.bridges.tensorboard needs TensorBoard ({error}): python -m pip install tensorboard"
    ) from error

from ..sequential import Sequential
from ..train import EvalRecord, TrainRecord


class TensorBoard:
    """Writes every record of a run into a folder that `tensorboard --logdir FOLDER` shows.

        loss/train              of the batch of every TrainRecord
        learning_rate           then
        loss/test, accuracy/test, and every metric as NAME/test       of every EvalRecord
        fcn/alpha, fcn/beta     histograms of the coefficients of every synapse layer, then

    The steps are updates of the weights. Where the folder can no longer be written, a RuntimeWarning says so, and
    training continues.

    Arguments:
        folder: made if it is missing; a run may add to the files of an earlier one.
        model: Sequential whose synapses are shown (the model itself, not what fast.compile returned); None: none.
        optimizer: whose lr is shown; None: none.
        step: updates done before, for a run that is resumed: what an earlier run wrote beyond them is not shown.

    Raises: OSError if the folder cannot be written at the start.
    """

    def __init__(
        self, folder: str | os.PathLike, model: Sequential | None = None, optimizer: Any = None, step: int = 0
    ) -> None:
        self.folder, self.model, self.optimizer = os.fspath(folder), model, optimizer
        self.writer = EventFileWriter(self.folder)
        start = SessionLog(status=SessionLog.START)  # from the second one of a folder on, it hides later steps
        self.writer.add_event(Event(wall_time=time.time(), step=step + 1, session_log=start))
        self.writer.flush()

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __call__(self, record: TrainRecord | EvalRecord) -> None:
        """Write a record. It never ends the run."""
        if isinstance(record, TrainRecord):
            values = {"loss/train": record.loss}
            if self.optimizer is not None:
                values["learning_rate"] = self.optimizer.lr
            self._write([scalar_pb(name, value) for name, value in values.items()], record.step)
        elif isinstance(record, EvalRecord):
            values = {"loss": record.loss, "accuracy": record.accuracy} | record.metrics
            summaries = [scalar_pb(f"{name}/test", value) for name, value in values.items() if value is not None]
            summaries += [histogram_pb(name, a) for name, a in self._coefficients()]
            self._write(summaries, record.step)

    def add_picture(self, name: str, png: bytes, step: int) -> None:
        """Show a picture, the content of a PNG file."""
        width, height = struct.unpack(">II", png[16:24])
        image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
        self._write([Summary(value=[Summary.Value(tag=name, image=image)])], step)

    def close(self) -> None:
        """Write what is left, and close the file."""
        self._try(lambda writer: writer.close())
        self.writer = None

    def _coefficients(self):
        """(name, host array) of alpha and beta of every synapse, and of the synapses inside of other layers."""
        for name, layer in synapses("", self.model):
            for key, a in zip(("alpha", "beta"), layer.coefficients(), strict=True):
                yield f"{name}/{key}", layer.backend.to_host(a)

    def _write(self, summaries, step):
        def write(writer):
            for summary in summaries:
                writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
            writer.flush()

        self._try(write)

    def _try(self, work):
        if self.writer is None:
            return
        try:
            work(self.writer)
        except OSError as error:
            self.writer = None
            warnings.warn(
                f"TensorBoard: {self.folder} cannot be written ({error.strerror or error}): nothing more will be shown",
                RuntimeWarning,
                stacklevel=4,
            )


def synapses(name: str, layer: Any) -> Iterator[Any]:
    """(name, layer) of every synapse graph in a layer or model, itself included."""
    layer = getattr(layer, "body", layer)  # of a skip connection
    if hasattr(layer, "coefficients"):
        yield name, layer
    inner = getattr(layer, "layers", None)
    if inner is None and hasattr(layer, "current_parts"):
        inner = {prefix.removesuffix("."): part for prefix, part in layer.current_parts().items()}
    for key, part in (inner or {}).items():
        yield from synapses("/".join(filter(None, (name, key))), part)
