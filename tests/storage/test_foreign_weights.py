"""Files of other tools: their weights are loaded with an account of what was changed, or the error says what to do."""

import gzip
import json
import pickle

import numpy as np
import pytest

import synann_np
from synann_np.layers import BatchNorm1d, Linear
from synann_np.sequential import Sequential
from synann_np.storage.checkpoint import CheckpointError
from synann_np.storage.safetensors_file import BFLOAT16, encode, read, to_float32
from synann_np.storage.torch_names import from_torch, load_weights


def network():
    return Sequential([("fc", Linear(3, 2)), ("bn", BatchNorm1d(2))])


def arrays(rng, dtype="float32"):
    state = {name: rng.integers(1, 9, a.shape).astype(dtype) for name, a in network().state_dict().items()}
    return state | {"bn.num_batches_tracked": np.array(3)}


def written(path, state, **texts):
    path.write_bytes(encode(state, texts))
    return path


def bfloat16(a):
    return (np.asarray(a, "<f4").view("<u4") >> 16).astype("<u2").view(BFLOAT16).reshape(np.shape(a))


DTYPES = [
    "float64",
    "float32",
    "float16",
    "bool",
    *(f"{kind}{8 * size}" for kind in ("int", "uint") for size in (1, 2, 4, 8)),
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_of_every_dtype_are_written_as_the_reference_library_has_them(tmp_path, rng, dtype):
    reference = pytest.importorskip("safetensors.numpy")
    a = {"a": rng.integers(0, 2, (2, 3)).astype(dtype), "b": np.ones(1, dtype)}
    written(tmp_path / "ours", a)
    reference.save_file(a, tmp_path / "theirs")
    for tensors in (reference.load_file(tmp_path / "ours"), read(tmp_path / "theirs")[0]):
        for name in a:
            np.testing.assert_array_equal(tensors[name], a[name], strict=True)


def test_bfloat16_is_read_exactly(tmp_path):
    values = np.array([[1.0, -2.5], [3e38, 0.0]], "float32")
    tensors, _ = read(written(tmp_path / "m", {"a": bfloat16(values)}))
    np.testing.assert_array_equal(to_float32(tensors["a"]), to_float32(bfloat16(values)), strict=True)
    np.testing.assert_allclose(to_float32(tensors["a"]), values, rtol=2**-7)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "_orig_mod.module.", "net.", "model.network."])
def test_weights_are_loaded_with_an_account(tmp_path, rng, dtype, prefix):
    state, model = arrays(rng, dtype), network()
    path = written(tmp_path / "m", {prefix + name: a for name, a in state.items()}, format="pt")
    account = load_weights(model, path)
    for name, a in model.state_dict().items():
        np.testing.assert_array_equal(a, state[name].astype("float32"), strict=True)
    assert account[0] == f"7 arrays read from {path}"
    left_out = {line.partition(": ")[2] for line in account if line.startswith("left out of names")}
    assert left_out == {f"{part}." for part in prefix.split(".") if part}
    assert "left out: bn.num_batches_tracked, which is not used here" in account
    assert sum(line.startswith(f"converted from {dtype} to float32: ") for line in account) == 1


def test_a_bfloat16_file_of_torch_is_loaded(tmp_path, rng):
    torch, reference = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    state = {name: torch.from_numpy(np.array(a)) for name, a in arrays(rng).items()}
    half = {name: a if a.dtype == torch.int64 else a.to(torch.bfloat16) for name, a in state.items()}
    reference.save_file(half, tmp_path / "m")
    model = network()
    account = load_weights(model, tmp_path / "m")
    np.testing.assert_array_equal(model.params["fc.weight"], state["fc.weight"].numpy())
    assert any(line.startswith("converted from bfloat16 to float32: ") for line in account)
    model, account = network(), []
    model.load_state_dict(from_torch(half, model, account))
    np.testing.assert_array_equal(model.params["fc.weight"], state["fc.weight"].numpy())
    assert any("bfloat16" in line for line in account)


def test_our_own_files_are_loaded_too(tmp_path):
    model, other = network(), network()
    synann_np.save(tmp_path / "m", model)
    assert load_weights(other, tmp_path / "m") == [f"6 arrays read from {tmp_path / 'm'}"]
    for name, a in other.state_dict().items():
        np.testing.assert_array_equal(a, model.state_dict()[name])


def test_what_is_missing_and_what_is_unknown_is_told_at_once_and_nothing_is_changed(tmp_path, rng):
    state, model = arrays(rng), network()
    before = model.state_dict()
    state["fc.wait"] = state.pop("fc.weight")
    with pytest.raises(ValueError, match=r"missing \['fc.weight'\]; the model has no \['fc.wait'\]; see .*from_torch"):
        load_weights(model, written(tmp_path / "m", state))
    for name, a in model.state_dict().items():
        np.testing.assert_array_equal(a, before[name])


@pytest.mark.parametrize(
    ("state", "error", "reason"),
    [
        ({"model": {"fc.weight": np.ones(3)}}, TypeError, "'model' is a dict: pass the state_dict inside"),
        ({"fc.weight": np.ones(3, complex)}, TypeError, "'fc.weight' is complex128: expected an array of real numbers"),
        ({"fc.weight": "text"}, TypeError, "'fc.weight' is str: expected"),
        ({"module.fc.weight": np.ones(3), "fc.weight": np.ones(3)}, ValueError, "two entries .* same name"),
    ],
)
def test_what_is_no_state_dict_is_refused_by_name(state, error, reason):
    with pytest.raises(error, match=reason):
        from_torch(state, network())


@pytest.mark.parametrize("dtype", [np.float16, bool, np.int32, np.uint16, BFLOAT16])
def test_a_valid_file_that_is_no_model_is_not_called_damaged(tmp_path, dtype):
    path = written(tmp_path / "m", {"a": np.zeros((2, 2), dtype)})
    with pytest.raises(CheckpointError, match="a safetensors file of 1 arrays, but not a model of synann_np"):
        synann_np.load(path)


def test_a_dtype_that_is_not_read_is_named(tmp_path):
    header = json.dumps({"a": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "m").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(CheckpointError, match="'a' is stored as 'F8_E4M3', which synann_np does not read; convert it"):
        read(tmp_path / "m")


def test_an_array_that_cannot_be_written_is_named():
    with pytest.raises(TypeError, match="cannot hold 'a', which is complex128"):
        encode({"a": np.zeros(2, complex)}, {})


def test_files_of_other_formats_are_named_with_the_cure(tmp_path):
    np.savez(tmp_path / "zip.npz", a=np.ones(3))
    np.save(tmp_path / "array.npy", np.ones(3))
    contents = {
        "pickle": pickle.dumps({"a": 1}, 2),
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "page": b"<!DOCTYPE html><html></html>",
        "gzip": gzip.compress(b"x" * 100),
        "index": b'{"metadata": {}, "weight_map": {}}',
        "keras": b"\x89HDF\r\n\x1a\n" + bytes(100),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name, reason in {
        "zip.npz": "zip archive.*torch.save.*numpy.load",
        "array.npy": "numpy.load",
        "pickle": "never executed.*safetensors.torch.save_file",
        "lfs": "git lfs pull",
        "page": "web page",
        "gzip": "compressed",
        "index": "index of a model",
        "keras": "HDF5",
    }.items():
        with pytest.raises(CheckpointError, match=f"{name}: not a safetensors file, .*{reason}"):
            synann_np.load(tmp_path / name)
