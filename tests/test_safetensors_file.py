"""The file format against the reference library, and against damage."""

import json
import os
import tracemalloc

import numpy as np
import pytest

from synann_np.storage.safetensors_file import CheckpointError, encode, read

ARRAYS = {
    "b.wide": np.arange(6.0).reshape(2, 3),
    "a": np.array([[1, 2], [3, 4]], "float32"),
    "bytes": np.arange(3, dtype="uint8"),
    "scalar": np.array(7, "int64"),
    "empty": np.zeros((0, 4), "float32"),
}
METADATA = {"format": "test", "Größe": 'ä\n"{}'}


def write(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(encode(ARRAYS, METADATA))
    tensors, metadata = read(path)
    assert metadata == METADATA
    assert tensors.keys() == ARRAYS.keys()
    for name, a in ARRAYS.items():
        np.testing.assert_array_equal(tensors[name], a, strict=True)


def test_the_reference_library_reads_what_is_written_and_the_other_way_round(tmp_path):
    reference = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "m.safetensors"
    path.write_bytes(encode(ARRAYS, METADATA))
    for name, a in reference.load_file(path).items():
        np.testing.assert_array_equal(a, ARRAYS[name], strict=True)
    contiguous = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in ARRAYS.items()}
    reference.save_file(contiguous, path, METADATA)
    tensors, metadata = read(path)
    assert metadata == METADATA
    for name, a in ARRAYS.items():
        np.testing.assert_array_equal(tensors[name], a, strict=True)


def test_memory_order_does_not_matter(tmp_path):
    a = np.arange(24, dtype="float32").reshape(2, 3, 4)
    variants = [a, np.asfortranarray(a), a.transpose(2, 0, 1).copy().transpose(1, 2, 0), np.repeat(a, 2, axis=0)[::2]]
    assert len({encode({"a": variant}, {}) for variant in variants}) == 1
    path = tmp_path / "m.safetensors"
    path.write_bytes(encode({"a": variants[1]}, {}))
    np.testing.assert_array_equal(read(path)[0]["a"], a)


def test_equal_content_gives_equal_bytes_whatever_the_order():
    assert encode(ARRAYS, METADATA) == encode(dict(reversed(ARRAYS.items())), dict(reversed(METADATA.items())))


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"not json", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not JSON"),
        (b'{"__metadata__": {}, "__metadata__": {}}', "not JSON"),
        ([], "not an object"),
        ({"__metadata__": {"a": 1}, "a": entry()}, "metadata"),
        ({"__metadata__": [], "a": entry()}, "metadata"),
        ({"a": []}, "entry 'a'"),
        ({"a": entry("F16")}, "entry 'a'"),
        ({"a": entry(["F32"])}, "entry 'a'"),
        ({"a": entry(shape=(3,))}, "entry 'a'"),
        ({"a": entry(shape=(-2,), offsets=(8, 0))}, "entry 'a'"),
        ({"a": entry(shape=(2.0,))}, "entry 'a'"),
        ({"a": entry(shape=(True, 2))}, "entry 'a'"),
        ({"a": entry(shape=2)}, "entry 'a'"),
        ({"a": entry(shape=(1,) * 8 + (2,))}, "entry 'a'"),
        ({"a": entry(shape=(0, 2**60), offsets=(0, 0))}, "entry 'a'"),
        ({"a": entry(offsets=(0, 8, 16))}, "entry 'a'"),
        ({"a": entry(offsets=("0", "8"))}, "entry 'a'"),
        ({"a": entry(more=1)}, "entry 'a'"),
        ({"a": entry(), "b": entry()}, "overlap"),
        ({"a": entry(shape=(1,), offsets=(4, 8))}, "gaps"),
        ({"a": entry(shape=(1,), offsets=(0, 4))}, "8 bytes of data, its header promises 4"),
        ({"a": entry(shape=(2**31,), offsets=(0, 2**33))}, "truncated"),
    ],
)
def test_a_header_that_lies_is_refused_by_name(tmp_path, header, reason):
    path = write(tmp_path / "m", header, bytes(8))
    with pytest.raises(CheckpointError, match=f"^{path}: [^\n]*{reason}[^\n]*$"):
        read(path)


def test_what_is_no_file_or_no_safetensors_is_refused_by_name_and_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "short").write_bytes(b"1234567")
    (tmp_path / "text").write_text("just some text, longer than eight bytes")
    (tmp_path / "empty").touch()
    for name in ("nothing", "pipe", "short", "text", "empty", "."):
        with pytest.raises(CheckpointError, match=f"^{tmp_path / name}: [^\n]*; [^\n]*$"):
            read(tmp_path / name)


@pytest.mark.parametrize("length", [2**31, 2**62, 2**64 - 1])
def test_a_length_or_a_shape_that_promises_too_much_costs_no_memory(tmp_path, length):
    paths = [
        write(tmp_path / "length", b"{}", length=length),
        write(tmp_path / "shape", {"a": entry("U8", (2**40,), (0, 2**40))}, bytes(8)),
    ]
    tracemalloc.start()
    try:
        for path in paths:
            with pytest.raises(CheckpointError):
                read(path)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
