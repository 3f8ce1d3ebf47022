"""A synapse whose units are divided among ranks: the layer of one process, with the same bits on any number of them."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from distributed.thread_ranks import on_ranks
from synann_np import fast, load
from synann_np.data import batches, load_mnist
from synann_np.distributed import DataParallel, Serial, ShardedSynapse, load_sharded, save_sharded
from synann_np.distributed.clipping import clip
from synann_np.layers import Synapse
from synann_np.models import SynaMLP
from synann_np.optim import SGD
from synann_np.storage.checkpoint import save
from synann_np.storage.safetensors_file import CheckpointError
from synann_np.train import evaluate, gradients, train_steps
from synann_np.training.tools import TrainingTools

HIDDEN = 16


@pytest.fixture(scope="module")
def images():
    x, labels, *_ = load_mnist()
    return x[:60], labels[:60].astype("int64")


def sharded_model(comm, dtype="float64", **options):
    return SynaMLP(5, dtype, hidden=HIDDEN, synapse=partial(ShardedSynapse, comm=comm, **options))


def whole(comm, model, grads):
    """Gradients or parameters, those of the sharded layer gathered."""
    return {name: comm.slices(a) if name.startswith("fcn.") else a for name, a in grads.items()}


@pytest.mark.parametrize("parametrisation", ["free", "logistic", "surprisal"])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_weights_and_what_is_drawn_next_are_those_of_one_process(size, parametrisation):
    def make(comm):
        rng = np.random.default_rng(3)
        layer = ShardedSynapse(8, parametrisation, comm=comm, rng=rng)
        return {name: comm.slices(a) for name, a in layer.params.items()}, rng.random()

    rng = np.random.default_rng(3)
    expected = Synapse(8, parametrisation, rng=rng).params
    after = rng.random()
    for params, drawn in on_ranks(size, make):
        assert drawn == after
        assert params.keys() == expected.keys()
        assert all(np.array_equal(params[name], a) for name, a in expected.items())


@pytest.mark.parametrize("parametrisation", ["free", "logistic", "surprisal"])
@pytest.mark.parametrize("N", [45, 5])
def test_gradients_are_those_of_the_plain_layer_and_have_the_same_bits_on_all_ranks(N, parametrisation, images):
    def divided(comm):
        model = sharded_model(comm, parametrisation=parametrisation)
        parallel = DataParallel(model, comm, 8)
        ((x, labels),) = parallel.batches(*images, N, np.arange(N), "float64")
        loss, grads = parallel.gradients(x, labels, 0)
        return loss, whole(comm, model, grads)

    ((x, labels),) = batches(*(a[:N] for a in images), N, dtype="float64")
    plain = SynaMLP(5, "float64", hidden=HIDDEN, synapse=partial(Synapse, parametrisation=parametrisation))
    expected_loss, expected = gradients(plain, x, labels, 0)
    ((loss, grads),) = on_ranks(1, divided)
    assert abs(loss - expected_loss) < 1e-14
    assert grads.keys() == expected.keys()
    for key, g in expected.items():
        assert np.abs(grads[key] - g).max() <= 1e-11 * np.abs(g).max() + 1e-15, key
    for size in (2, 4):
        for _, found in on_ranks(size, divided):
            assert all(np.array_equal(found[key], g) for key, g in grads.items())


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_a_trained_model_with_clipping_has_the_same_bits_on_all_ranks_and_evaluates_alike(engine, images):
    def trained(comm):
        model = sharded_model(comm, "float32")
        runner = fast.compile(model, 1) if engine == "fast" else model
        parallel = DataParallel(runner, comm, 8)
        train_steps(parallel, SGD(0.5, 0.5), *images, np.arange(60), 25, 0, TrainingTools(max_norm=0.1))
        return parallel.evaluate(*images, 13), whole(comm, model, model.params), model.buffers

    ((numbers, params, buffers),) = on_ranks(1, trained)
    single = SynaMLP(5, hidden=HIDDEN)
    single.load_state_dict(params | buffers)
    assert evaluate(single, *images, 13)[1] == numbers[1]
    for size in (2, 4):
        for found, its, _ in on_ranks(size, trained):
            assert found == numbers
            assert all(np.array_equal(its[name], a) for name, a in params.items())


def test_a_fused_update_moves_beta_as_the_optimiser_would(images):
    def trained(comm, fused):
        model = sharded_model(comm, fused=SGD(0.5, 0.5) if fused else None)
        train_steps(DataParallel(model, comm, 8), SGD(0.5, 0.5), *images, np.arange(60), 20, 0)
        return comm.slices((model.params | model.buffers)["fcn.beta"])

    (expected,) = on_ranks(1, lambda comm: trained(comm, False))
    for found in on_ranks(2, lambda comm: trained(comm, True)):
        assert np.array_equal(found, expected)
    assert not np.array_equal(expected, SynaMLP(5, "float64", hidden=HIDDEN).params["fcn.beta"])


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_file_is_that_of_one_process_and_is_loaded_again(size, tmp_path, images):
    single = SynaMLP(7, "float32", hidden=HIDDEN)
    single.params["fcn.beta"][3, 5] = 0.25
    save(tmp_path / "single.safetensors", single)

    def work(comm):
        model = sharded_model(comm, "float32")
        load_sharded(tmp_path / "single.safetensors", model, comm)
        save_sharded(tmp_path / "sharded.safetensors", model, comm)
        return model.forward(np.ones((3, 1, 28, 28), "float32"))[0]

    found = on_ranks(size, work)
    assert (tmp_path / "sharded.safetensors").read_bytes() == (tmp_path / "single.safetensors").read_bytes()
    expected = load(tmp_path / "sharded.safetensors").forward(np.ones((3, 1, 28, 28), "float32"))[0]
    assert all(np.allclose(y, expected, rtol=1e-5) for y in found)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["sharded.safetensors", "single.safetensors"]


def test_a_damaged_file_and_that_of_another_model_are_refused_on_all_ranks(tmp_path):
    path = tmp_path / "model.safetensors"
    save(path, SynaMLP(5, hidden=HIDDEN))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(content)
    save(tmp_path / "other.safetensors", SynaMLP(5, hidden=24))

    def refused(comm):
        messages = []
        for name in ("damaged", "other", "missing"):
            try:
                load_sharded(tmp_path / f"{name}.safetensors", sharded_model(comm, "float32"), comm)
            except CheckpointError as error:
                messages.append(str(error))
        return messages

    first, second = on_ranks(2, refused)
    assert first == second
    assert "checksum" in first[0]
    assert "another model" in first[1]
    assert "No such file" in first[2]


def test_units_and_ranks_that_do_not_fit_the_blocks_are_refused():
    with pytest.raises(ValueError, match="blocks must divide features"):
        ShardedSynapse(12, comm=Serial(), rng=np.random.default_rng(1))
    with pytest.raises(ValueError, match="expected rng"):
        ShardedSynapse(16, comm=Serial())
    with pytest.raises(ValueError, match="ranks the blocks"):
        on_ranks(4, lambda comm: ShardedSynapse(16, comm=comm, blocks=2, rng=np.random.default_rng(1)))


def test_clipping_does_not_overflow_where_squares_of_float32_would():
    grads = {"beta": np.full((2, 3), 1e30, "float32"), "bias": np.ones(2, "float32")}
    clipped, norm = clip(grads, 1.0, {"beta": SimpleNamespace(own_blocks=[slice(0, 1), slice(1, 2)])}, lambda a: a)
    assert np.isclose(norm, 1e30 * 6**0.5)
    assert np.allclose(clipped["beta"], 1 / 6**0.5)
