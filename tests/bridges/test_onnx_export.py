"""ONNX files against onnxruntime, for every network and every layer."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnxruntime

import synann_np
from synann_np import fast, layers
from synann_np.bridges.onnx import export, register_translation, synapses, translations
from synann_np.data import load_mnist, normalise
from synann_np.models import MODELS, SynaNN
from synann_np.programs.command import main
from synann_np.programs.examples import MODEL
from synann_np.sequential import Sequential


def run(path, x):
    """What onnxruntime computes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x})
    return y


def with_statistics(model, rng):
    """The model with random batch-norm statistics, weights and shifts: those of the start would hide mistakes."""
    for name, a in (model.params | model.buffers).items():
        if name.rpartition(".")[2] in ("running_mean", "running_var", "mean", "std", "bias"):
            a[...] = rng.uniform(0.5, 1.5, a.shape)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_every_network_computes_the_same_from_bytes(name, tmp_path):
    model, images = MODELS[name](seed=3), load_mnist()[2][:100]
    model.forward(normalise(images), train=True)  # moves the running statistics
    export(model, tmp_path / "model.onnx")
    for N in (1, 100):
        expected, _ = model.forward(normalise(images[:N]))
        found = run(tmp_path / "model.onnx", images[:N])
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_trained_network_answers_alike(tmp_path):
    model, images = synann_np.load(MODEL), load_mnist()[2][:300]
    export(model, tmp_path / "model.onnx")
    np.testing.assert_allclose(
        run(tmp_path / "model.onnx", images), model.forward(normalise(images))[0], rtol=0, atol=1e-5
    )


LAYERS = {
    "linear": (lambda o: layers.Linear(5, 3, **o), (5,)),
    "linear without bias": (lambda o: layers.Linear(5, 3, bias=False, **o), (5,)),
    "convolution": (lambda o: layers.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0), **o), (2, 7, 6)),
    "convolution without bias": (lambda o: layers.Conv2d(2, 3, 3, bias=False, **o), (2, 5, 6)),
    "pooling": (lambda o: layers.MaxPool2d((3, 2), stride=(2, 1)), (2, 7, 6)),
    "batch-norm": (lambda o: layers.BatchNorm1d(5, eps=0.1, **o), (5,)),
    "batch-norm of sequences": (lambda o: layers.BatchNorm1d(5, **o), (5, 4)),
    "batch-norm of images": (lambda o: layers.BatchNorm2d(3, **o), (3, 4, 5)),
    "normalisation": (lambda o: layers.Normalize(3, **o), (3, 4, 5)),
    "relu": (lambda o: layers.ReLU(), (2, 5)),
    "sigmoid": (lambda o: layers.Sigmoid(), (5,)),
    "softmax": (lambda o: layers.Softmax(), (2, 5)),
    "logarithm of softmax": (lambda o: layers.LogSoftmax(), (2, 5)),
    "flatten": (lambda o: layers.Flatten(), (2, 3, 4)),
    "rows": (lambda o: layers.Rows(), (1, 3, 4)),
    "dropout": (lambda o: layers.Dropout(0.5), (5,)),
    "synapse": (lambda o: layers.Synapse(5, **o), (5,)),
    "logistic synapse": (lambda o: layers.Synapse(5, "logistic", **o), (5,)),
    "surprisal synapse": (lambda o: layers.Synapse(5, "surprisal", train_alpha=False, **o), (5,)),
    "synapse tensor": (lambda o: layers.SynapseTensor(4, (3, 2), **o), (4,)),
    "synapse tensor without hidden": (lambda o: layers.SynapseTensor(4, **o), (4,)),
    "rnn": (lambda o: layers.RNN(3, 4, **o), (6, 3)),
    "rnn of sequences": (lambda o: layers.RNN(3, 4, return_sequences=True, **o), (6, 3)),
    "recurrent synapse": (lambda o: layers.SynapseRNN(3, 4, **o), (6, 3)),
    "recurrent synapse of sequences": (lambda o: layers.SynapseRNN(3, 4, True, leak=False, **o), (6, 3)),
    "recurrent synapse with gains": (lambda o: layers.SynapseRNN(3, 4, gain=3.0, beta_gain=20.0, **o), (6, 3)),
    "linear of images": (lambda o: layers.Linear(3, 2, **o), (2, 4, 3)),
    "convolution with all options": (
        lambda o: layers.Conv2d(4, 6, (3, 2), (1, 2), (2, 1), dilation=(2, 1), groups=2, **o),
        (4, 7, 8),
    ),
    "convolution same": (lambda o: layers.Conv2d(2, 3, (2, 4), padding="same", **o), (2, 5, 6)),
    "pooling with padding": (lambda o: layers.MaxPool2d(3, 2, 1, (1, 2)), (2, 8, 9)),
    "average pooling": (lambda o: layers.AvgPool2d(3, 2, 1), (2, 7, 8)),
    "average pooling, border not counted": (lambda o: layers.AvgPool2d(3, 2, 1, False, False), (2, 7, 8)),
    "global mean": (lambda o: layers.AdaptiveAvgPool2d(1), (2, 7, 8)),
    "adaptive maximum": (lambda o: layers.AdaptiveMaxPool2d((2, 4)), (2, 6, 8)),
    "layer norm": (lambda o: layers.LayerNorm((3, 4), **o), (2, 3, 4)),
    "layer norm without weights": (lambda o: layers.LayerNorm(4, elementwise_affine=False, **o), (3, 4)),
    "group norm": (lambda o: layers.GroupNorm(2, 4, **o), (4, 3, 2)),
    "group norm without weights": (lambda o: layers.GroupNorm(2, 4, affine=False, **o), (4, 3)),
    "softmax of channels": (lambda o: layers.Softmax(1), (3, 4)),
    "log-softmax of channels": (lambda o: layers.LogSoftmax(1), (3, 4)),
    "synapse, zero diagonal": (lambda o: layers.Synapse(5, zero_diagonal=True, **o), (5,)),
    "residual": (lambda o: layers.Residual(Sequential([layers.Linear(5, 5, **o), layers.Tanh()])), (5,)),
    "tanh": (lambda o: layers.Tanh(), (5,)),
    "elu": (lambda o: layers.ELU(0.5), (5,)),
    "gelu": (lambda o: layers.GELU(), (5,)),
    "gelu, tanh": (lambda o: layers.GELU("tanh"), (5,)),
    "selu": (lambda o: layers.SELU(), (5,)),
    "silu": (lambda o: layers.SiLU(), (5,)),
    "hardtanh": (lambda o: layers.Hardtanh(0.2, 0.7), (5,)),
    "leaky relu": (lambda o: layers.LeakyReLU(0.3), (5,)),
    "softplus": (lambda o: layers.Softplus(2.0), (5,)),
    "layers within layers": (
        lambda o: Sequential([("fc", layers.Linear(5, 4, **o)), ("fcn", layers.Synapse(4, **o))]),
        (5,),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("N", [1, 3])
def test_every_layer_computes_the_same(name, N, rng, tmp_path):
    make, shape = LAYERS[name]
    model = with_statistics(Sequential([("layer", make({"rng": rng}))]), rng)
    x = rng.uniform(0, 1, (N, *shape)).astype("float32")
    export(model, tmp_path / "model.onnx", shape)
    expected, _ = model.forward(x)
    np.testing.assert_allclose(run(tmp_path / "model.onnx", x), expected, rtol=1e-5, atol=1e-6)


def test_every_layer_has_a_translation_and_is_tested():
    exported = {type(make({})) for make, _ in LAYERS.values()} | {layers.Dropout2d}
    wanted = {getattr(layers, name) for name in layers.__all__} - {layers.Layer, layers.SynapseGraph}
    assert wanted <= translations.TRANSLATIONS.keys()
    assert wanted <= exported


@pytest.mark.parametrize("layer", [layers.MaxPool2d(2, ceil_mode=True), layers.AdaptiveAvgPool2d(2)], ids=repr)
def test_what_onnx_cannot_express_is_refused_by_name(layer, tmp_path):
    with pytest.raises(ValueError, match=r"pool: .* cannot be exported"):
        export(Sequential([("pool", layer)]), tmp_path / "model.onnx", (1, 5, 5))
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize("largest", [2**14, 12, 1])
@pytest.mark.parametrize("case", ["zeros", "beta above 1", "partial products overflow", "clipped", "one unit"])
def test_the_synapse_is_exact_with_zeros_signs_and_extremes(case, largest, rng, tmp_path, monkeypatch):
    """Whole, a few units at a time, and one unit at a time."""
    monkeypatch.setattr(synapses, "LARGEST", largest)
    n = 1 if case == "one unit" else 6
    layer = layers.Synapse(n, rng=rng)
    alpha, beta = layer.params.values()
    alpha[...], x = rng.uniform(-1, 2, n), rng.uniform(0.1, 1, (4, n)).astype("float32")
    if case == "zeros":
        x, beta[...] = rng.choice([0, 0.5, 1], x.shape).astype("float32"), rng.choice([0.5, 1, 2], beta.shape)
    elif case == "beta above 1":
        beta[...] = rng.uniform(-30, 30, beta.shape)
    elif case == "partial products overflow":
        x[...], beta[:, :4], beta[:, 4:] = 1, -1e13, 1 - 1e-6  # 1e52 on the way
    elif case == "clipped":
        x[...], beta[...] = 1, 1e12
    expected = layer.forward(x)[0]
    if case == "zeros":
        assert (expected == 0).any()
        assert (expected != 0).any()
    export(Sequential([("fcn", layer)]), tmp_path / "model.onnx", (n,))
    np.testing.assert_allclose(run(tmp_path / "model.onnx", x), expected, rtol=2e-5)


def test_the_file_is_standard_and_readable(tmp_path):
    export(SynaNN(), tmp_path / "model.onnx")
    proto = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert [(opset.domain, opset.version) for opset in proto.opset_import] == [("", 18)]
    assert proto.producer_name == "synann_np"
    assert [value.name for value in proto.graph.input] == ["images"]
    assert [value.name for value in proto.graph.output] == ["log_softmax"]
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    names = [node.name for node in proto.graph.node]
    assert len(set(names)) == len(names)
    assert {"conv1/Conv", "pool1/MaxPool", "softmax/Softmax", "fcb/BatchNormalization", "fc2/Gemm"} <= set(names)
    assert {"conv1.weight", "fcn.alpha", "fcn.beta"} <= {a.name for a in proto.graph.initializer}
    known = {value.name for value in proto.graph.value_info} | {"log_softmax"}
    assert known >= {output for node in proto.graph.node for output in node.output}  # every shape was inferred


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        export(SynaNN(seed=1), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_pixels_are_scaled_as_fit_scales_them(rng, tmp_path):
    images = rng.integers(0, 256, (7, 3, 4, 5), "uint8")
    model = Sequential([("normalize", layers.Normalize.from_data(images)), ("conv", layers.Conv2d(3, 2, 3, rng=rng))])
    export(model, tmp_path / "model.onnx", (3, 4, 5), pixels=True)
    expected = synann_np.train.outputs(model, images)
    np.testing.assert_allclose(run(tmp_path / "model.onnx", images), expected, rtol=1e-5, atol=1e-5)


def test_a_model_of_float64_and_of_tables_becomes_float32(rng, tmp_path):
    model = Sequential([("fc", layers.Linear(4, 3, rng=rng, dtype="float64"))], "float64")
    model.layers = {"normalize": layers.Normalize(4, dtype="float64")} | model.layers
    export(model, tmp_path / "model.onnx")
    x = rng.standard_normal((2, 4)).astype("float32")
    np.testing.assert_allclose(run(tmp_path / "model.onnx", x), model.forward(x.astype("float64"))[0], rtol=1e-5)


class Double(layers.Layer):
    def forward(self, x, train=False):
        return x + x, None


def test_an_unknown_layer_is_refused_by_name_until_it_has_a_translation(tmp_path, monkeypatch):
    model = Sequential([("twice", Double())])
    with pytest.raises(TypeError, match=r"cannot export twice: Double\(\).*register_translation"):
        export(model, tmp_path / "model.onnx", (2,))
    assert not (tmp_path / "model.onnx").exists()
    monkeypatch.setattr(translations, "TRANSLATIONS", dict(translations.TRANSLATIONS))
    register_translation(Double, lambda graph, name, layer, x, size: graph.add("Add", [x, x], name))
    export(model, tmp_path / "model.onnx", (2,))
    np.testing.assert_array_equal(run(tmp_path / "model.onnx", np.ones((1, 2), "float32")), [[2, 2]])


def test_what_cannot_be_exported_is_refused_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_text("old")
    with pytest.raises(ValueError, match="is it the input_shape"):
        export(SynaNN(), path, (3, 28, 28))
    with pytest.raises(TypeError, match="expected a Sequential, got Linear"):
        export(layers.Linear(2, 2), path)
    compiled = fast.compile(SynaNN())
    if compiled.layers.keys() != SynaNN().layers.keys():
        with pytest.raises(TypeError, match="Export the model itself"):
            export(compiled, path)
    with pytest.raises(TypeError, match="expected a class"):
        register_translation("Double", print)
    assert path.read_text() == "old"


def test_the_command_exports_the_model_of_the_package(tmp_path, capsys):
    assert main(["export", str(tmp_path / "model.onnx")]) == 0
    assert "input images: uint8 (N, 28, 28)\noutput log_softmax: float32 (N, 10)" in capsys.readouterr().out
    assert run(tmp_path / "model.onnx", load_mnist()[2][:2]).argmax(axis=1).tolist() == [7, 2]
    for arguments in ([str(tmp_path / "no.safetensors"), "x.onnx"], ["wrong.safetensors"]):
        assert main(["export", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_the_command_exports_models_of_tables_and_of_other_images(tmp_path, capsys):
    for model, arguments, printed in (
        (Sequential([("fc", layers.Linear(4, 3))]), [], "x: float32 (N, 4)"),
        (Sequential([("fcn", layers.Synapse(4))]), ["--input-shape", "4"], "x: float32 (N, 4)"),
        (
            Sequential([("c", layers.Conv2d(3, 2, 3))]),
            ["--input-shape=3,8,9", "--pixels"],
            "images: uint8 (N, 3, 8, 9)",
        ),
    ):
        synann_np.save(tmp_path / "model.safetensors", model)
        assert main(["export", str(tmp_path / "model.safetensors"), str(tmp_path / "model.onnx"), *arguments]) == 0
        assert f"input {printed}" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["export", "model.onnx", "--input-shape", "3x8"])
    assert "expected sizes like 3,32,32, got '3x8'" in capsys.readouterr().err


def test_without_onnx_the_message_names_the_extra():
    program = "import sys\nsys.modules['onnx'] = None\nimport synann_np.bridges.onnx"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install onnx" in done.stderr
