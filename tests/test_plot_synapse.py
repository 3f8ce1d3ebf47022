"""The scripts that draw the synapse and circuits, and what is drawn."""

import importlib.util
import pathlib

import numpy as np
import pytest

from synann_np.mathematics.synapse_function import synapse
from synann_np.programs.pictures.synapses import flip_orbits

SCRIPTS = pathlib.Path(__file__).resolve().parents[1] / "scripts"
WRITTEN = {
    "plot_synapse": ["synapse_surface.png", "surprisal_curves.png", "bose_einstein.png", "flip_circuit.png"],
    "plot_circuits": ["full_adder.png", "flip_diagram.png", "adapting_diagram.png", "trained_response.png"],
}


def load(name):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", WRITTEN)
def test_the_script_writes_its_pictures_into_a_new_folder_and_names_them(name, tmp_path, capsys, monkeypatch):
    script = load(name)
    if name == "plot_circuits":  # the training itself is tested elsewhere
        draw = script.PICTURES["trained_response.png"]
        monkeypatch.setitem(script.PICTURES, "trained_response.png", lambda path: draw(path, updates=2))
    out = tmp_path / "new" / "pictures"
    assert script.main(["--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(out / picture) for picture in WRITTEN[name]]
    assert sorted(path.name for path in out.iterdir()) == sorted(WRITTEN[name])
    for picture in WRITTEN[name]:
        assert (out / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", WRITTEN)
def test_a_folder_that_cannot_be_made_ends_in_one_line_and_exit_code_2(name, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert load(name).main(["--out", str(tmp_path / "file")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"{name}: {tmp_path / 'file'}: cannot be written")
    assert err.count("\n") == 1


@pytest.mark.parametrize("alpha", [0.9, 1.0, 1.15])
def test_the_trajectories_drawn_are_those_of_the_map_and_end_where_they_leave_the_square(alpha):
    orbits = flip_orbits(alpha, 0.8, steps=50)
    assert len(orbits) == 17
    for orbit in orbits:
        x, y = orbit[:-1].T
        np.testing.assert_allclose(orbit[1:], np.stack([synapse(x, y, alpha, 0.8), synapse(y, x, alpha, 0.8)], axis=1))
        inside = ((orbit >= 0) & (orbit <= 1)).all(axis=1)
        assert inside[:-1].all()
        assert len(orbit) == 51 or not inside[-1]
    assert any(len(orbit) < 51 for orbit in orbits) == (alpha > 1)
