"""README.md beside a model."""

import pytest

import synann_np
from synann_np.models import SynaNN
from synann_np.storage.checkpoint import CheckpointError
from synann_np.storage.model_card import write_model_card


def test_a_card_has_a_header_that_yaml_reads_and_says_how_to_load(tmp_path):
    synann_np.save(tmp_path / "digits.safetensors", SynaNN())
    card = write_model_card(
        tmp_path / "digits.safetensors",
        'Reads: "digits".',
        license="mit",
        datasets=("mnist",),
        metrics={"accuracy": 0.99},
    )
    assert card == tmp_path / "README.md"
    _, header, body = card.read_text(encoding="utf-8").split("---\n", 2)
    assert header.splitlines() == [
        'library_name: "synann_np"',
        'license: "mit"',
        'tags: ["synann", "synaptic-neural-network"]',
        'datasets: ["mnist"]',
        'metrics: ["accuracy"]',
    ]
    for part in (
        "# digits\n",
        'Reads: "digits".',
        'load("digits.safetensors")',
        "30,762 parameters",
        "| accuracy | 0.99 |",
    ):
        assert part in body


def test_the_header_is_yaml(tmp_path):
    yaml = pytest.importorskip("yaml")
    synann_np.save(tmp_path / "m", SynaNN())
    text = write_model_card(tmp_path / "m", "x", datasets=["Größe: 'ä'"]).read_text(encoding="utf-8")
    assert yaml.safe_load(text.split("---\n")[1])["datasets"] == ["Größe: 'ä'"]


def test_a_card_that_is_there_is_kept_unless_asked_and_no_model_is_an_error(tmp_path):
    synann_np.save(tmp_path / "m", SynaNN())
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_model_card(tmp_path / "m", "x")
    assert (tmp_path / "README.md").read_text() == "mine"
    write_model_card(tmp_path / "m", "x", overwrite=True)
    assert "library_name" in (tmp_path / "README.md").read_text()
    with pytest.raises(CheckpointError):
        write_model_card(tmp_path / "nothing", "x", overwrite=True)
