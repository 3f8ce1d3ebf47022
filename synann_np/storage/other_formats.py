"""What a file is that is not a safetensors file, by its first bytes, and what to do with it."""

TORCH = (
    "load it in PyTorch, and write its state_dict with safetensors.torch.save_file or hand it to "
    "synann_np.storage.torch_names.from_torch"
)
BEGINNINGS = {
    b"PK\x03\x04": f"but a zip archive: if torch.save wrote it, {TORCH}; if numpy.savez did, use numpy.load",
    b"\x80": f"but a pickle, which is code and never executed here: {TORCH}",
    b"version ": "but the pointer of Git LFS to one: run `git lfs pull` where it comes from",
    b"\x1f\x8b": "but compressed by gzip: uncompress it first",
    b"\x89HDF": "but an HDF5 file, as Keras writes: read it with h5py, and hand its arrays to model.load_state_dict",
    b"<": "but a web page: the download failed; download or copy the file again",
    b"{": "but JSON: if it is the index of a model in several files, name one of these",
    b"\x93NUMPY": "but one array, written by numpy.save: use numpy.load",
}


def other_format(beginning: bytes) -> str | None:
    """What the first 8 bytes of a file say; None if nothing is known to begin so."""
    return next((text for magic, text in BEGINNINGS.items() if beginning.startswith(magic)), None)
