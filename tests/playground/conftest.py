"""A playground server in this process, with striped images in the place of MNIST."""

import threading

import numpy as np
import pytest

from playground.serving import Client, Stripes
from synann_np.playground.networks import Networks
from synann_np.playground.server import PlaygroundServer
from synann_np.playground.training_run import TrainingRun


@pytest.fixture
def server(request, monkeypatch):
    """A parameter is the largest number of connections."""
    monkeypatch.setattr("synann_np.playground.server.MOST_CONNECTIONS", getattr(request, "param", 64))
    data_set, networks = Stripes(), Networks()
    server = PlaygroundServer(0, networks, data_set, TrainingRun(networks, data_set))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    with np.errstate(all="warn"):
        thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    server.training.close()


@pytest.fixture
def client(server):
    return Client(server)
