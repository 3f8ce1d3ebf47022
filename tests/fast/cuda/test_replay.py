"""Capture, replay and the way back, on streams and graphs that are faked."""

import pytest

from fake_cuda import FakeCuda
from synann_np.fast.cuda.replay import Graphs


@pytest.fixture
def cuda():
    return FakeCuda()


def counting(cuda, ran, size=3):
    """Work of `size` launches, each of which notes its number when it runs."""

    def work():
        for number in range(size):
            cuda.launch(lambda number=number: ran.append(number))

    return work


def test_every_call_runs_the_work_once_and_from_the_second_on_by_one_graph(cuda):
    ran, lines = [], []
    replay = Graphs(cuda, lines.append).replayed(counting(cuda, ran))
    for call in range(1, 6):
        replay()
        assert ran == [0, 1, 2] * call
    assert (cuda.launches, cuda.captures, cuda.replays) == (3, 1, 4)
    assert lines == []


def test_a_capture_runs_nothing_and_leaves_the_stream_as_it_was(cuda):
    ran = []
    graph = Graphs(cuda).capture(counting(cuda, ran))
    assert ran == []
    assert cuda.get_current_stream() is cuda.null
    graph.launch()
    assert ran == [0, 1, 2]


@pytest.mark.parametrize("fault", ["a host copy", "an exception", "an instantiation"])
def test_a_capture_that_fails_is_announced_once_and_all_work_goes_on_launch_by_launch(cuda, fault):
    ran, lines = [], []
    steps = counting(cuda, ran)

    def work():
        steps()
        if cuda.get_current_stream() is not cuda.null:
            if fault == "a host copy":
                cuda.Device().synchronize()
            if fault == "an exception":
                raise NotImplementedError("cuBLAS is refused during a capture")
            cuda.get_current_stream().valid = False

    graphs = Graphs(cuda, lines.append)
    first, second = graphs.replayed(work), graphs.replayed(work)
    for call in range(1, 5):
        first()
        second()
        assert ran == [0, 1, 2] * 2 * call
    assert cuda.captures == 1
    assert cuda.replays == 0
    assert cuda.get_current_stream() is cuda.null
    assert len(lines) == 1
    assert lines[0].startswith("No CUDA graph (")
    assert "\n" not in lines[0]


def test_ctrl_c_in_a_capture_ends_it_and_is_not_swallowed(cuda):
    streams = []

    def work():
        streams.append(cuda.get_current_stream())
        if len(streams) == 2:
            raise KeyboardInterrupt

    replay = Graphs(cuda).replayed(work)
    replay()
    with pytest.raises(KeyboardInterrupt):
        replay()
    assert streams[1].captured is None


def test_what_is_announced_goes_to_standard_error(cuda, capsys):
    """Standard output may be read by another program, as the benchmark's workers are."""
    graphs = Graphs(cuda)
    assert graphs.capture(lambda: cuda.Device().synchronize()) is None
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("No CUDA graph (RuntimeError: ")
