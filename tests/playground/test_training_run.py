"""Training from the page: one at a time, held, continued, stopped; its weights are never seen half written."""

import threading
import time

import numpy as np
import pytest

from playground.serving import Stripes, news_until
from synann_np.playground.networks import Networks
from synann_np.playground.requested import RequestError
from synann_np.playground.training_choice import RECIPES, read_choice, recipes_for_page
from synann_np.playground.training_run import Busy, TrainingRun
from synann_np.programs.runs.recipes import recipe_names

QUICK = {"recipe": "quick", "epochs": 2}
LONG = {"recipe": "quick", "epochs": 200}


@pytest.fixture
def run():
    run = TrainingRun(Networks(), Stripes())
    yield run
    run.close()


def start(run, **choice):
    run.start(read_choice(QUICK | choice))


def running(run):
    return news_until(run, lambda news: news["state"] == "running" and news["latest"])[0]


def test_a_run_learns_and_tells_what_it_does(run):
    start(run)
    news, records = news_until(run, lambda news: news["state"] == "done")
    kinds = [record["kind"] for record in records]
    assert kinds.count("epoch") == 2
    assert kinds.count("batch") == 2  # every twentieth, and an epoch has twenty
    assert "estimate" in kinds
    last = records[-1]
    assert last["correct"] == round(500 * last["accuracy"]) == np.trace(last["confusion"])
    assert np.sum(last["confusion"]) == last["total"] == 500
    assert last["accuracy"] > 0.5
    assert news["latest"]["step"] == news["latest"]["steps"] == 40
    assert news["latest"]["filters"]["shape"] == [16, 5, 5]
    assert news["history"][0]["accuracy"] == last["accuracy"]


def test_the_same_seed_gives_the_same_network_and_another_a_different_one(run):
    states = []
    for seed in (3, 3, 4):
        start(run, seed=seed, epochs=1)
        news_until(run, lambda news: news["state"] == "done")
        with run.networks.use("trained") as model:
            states.append(model.state_dict()["conv1.weight"])
    assert np.array_equal(states[0], states[1])
    assert not np.array_equal(states[0], states[2])


def test_one_training_at_a_time(run):
    start(run, **LONG)
    with pytest.raises(Busy, match="stop it before"):
        start(run)
    run.stop()
    start(run, epochs=1)
    news, records = news_until(run, lambda news: news["state"] == "done")
    assert {record["epoch"] for record in records} == {1}
    assert news["choice"]["epochs"] == 1


def test_starts_at_the_same_time_are_one_start(run):
    refused, gate = [], threading.Barrier(6)

    def try_it():
        gate.wait()
        try:
            start(run, **LONG)
        except Busy:
            refused.append(1)

    threads = [threading.Thread(target=try_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 5


def test_pause_holds_the_weights_and_continue_goes_on(run):
    start(run, **LONG)
    running(run)
    run.pause()
    time.sleep(0.2)  # the steps under way
    with run.networks.use("trained") as model:
        held = model.state_dict()
    time.sleep(0.2)
    with run.networks.use("trained") as model:
        assert all(np.array_equal(a, held[name]) for name, a in model.state_dict().items())
    step = run.news()["latest"]["step"]
    run.resume()
    news_until(run, lambda news: news["latest"]["step"] > step)


def test_a_learning_rate_set_while_training_is_used(run):
    start(run, **LONG, lr=0.001)
    running(run)
    run.set_learning_rate(0.1)
    news_until(run, lambda news: any(record.get("lr", 0) > 0.005 for record in news["records"]))  # 0.1 / 25 and rising
    run.stop()
    with pytest.raises(Busy):
        run.set_learning_rate(0.1)


def test_reset_forgets_weights_and_runs(run):
    start(run, epochs=1)
    news_until(run, lambda news: news["state"] == "done")
    assert run.networks.has_trained
    run.reset()
    news = run.news()
    assert (news["state"], news["records"], news["history"]) == ("idle", [], [])
    assert not run.networks.has_trained


def test_without_a_page_that_watches_a_training_pauses_and_goes_on_when_asked():
    run = TrainingRun(Networks(), Stripes(), unwatched_seconds=0.3)
    try:
        start(run, **LONG)
        end = time.monotonic() + 30
        while run._state != "paused" and time.monotonic() < end:  # news would count as watching
            time.sleep(0.02)
        news = run.news()
        assert (news["state"], news["message"]) == ("paused", "Paused, because no page was open.")
        run.resume()
        assert run.news(*[news[key] for key in ("run", "version")])["state"] == "running"
    finally:
        run.close()


def test_a_rate_that_is_too_high_ends_the_run_with_advice(run):
    start(run, recipe="seed", lr=1.0, epochs=20, model="mlp")
    run.lr = 1e30
    news, _ = news_until(run, lambda news: news["state"] == "failed")
    assert "smaller learning rate" in news["message"]
    start(run, epochs=1)  # and another can begin
    news_until(run, lambda news: news["state"] == "done")


def test_data_that_cannot_be_read_are_told(run, monkeypatch):
    from synann_np.data import DataError

    def missing():
        raise DataError("no such folder")

    monkeypatch.setattr(run.data_set, "arrays", missing)
    start(run)
    assert news_until(run, lambda news: news["state"] == "failed")[0]["message"] == "no such folder"


@pytest.mark.parametrize(("model", "synapses"), [("lenet", 1), ("mlp", 1), ("rnn", 1), ("synann", 1)])
def test_without_its_synapse_a_network_has_none_and_the_rest_is_the_same(model, synapses):
    def count(network):
        return sum("Synapse" in type(layer).__name__ for layer in network.layers.values())

    with_it, without = (read_choice({"model": model, "synapse": on}).build() for on in (True, False))
    assert (count(with_it), count(without)) == (synapses, 0)
    if model != "rnn":
        name = next(iter(without.params))
        assert np.array_equal(with_it.params[name], without.params[name])


def test_a_network_without_synapse_trains(run):
    start(run, synapse=False, epochs=1)
    news_until(run, lambda news: news["state"] == "done")


def test_the_page_offers_every_recipe_of_the_package():
    assert sorted(RECIPES) == recipe_names()
    assert [recipe["recipe"] for recipe in recipes_for_page()] == list(RECIPES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"recipe": "slow"}, {"recipe": 1}, {"recipe": "/etc/passwd"}, {"recipe": "x.toml"}, {"model": "vgg"},
        {"epochs": 0}, {"epochs": 201}, {"epochs": 1.5}, {"epochs": True}, {"epochs": "3"}, {"seed": -1}, {"lr": 0},
        {"lr": float("nan")}, {"lr": 2}, {"synapse": 1},
    ],
)  # fmt: skip
def test_choices_are_checked(wrong):
    with pytest.raises(RequestError):
        read_choice(wrong)


def test_a_model_in_use_is_not_written_to():
    networks = Networks()
    choice = read_choice({})
    shown, state = choice.build(), choice.build().state_dict()
    networks.publish(shown, state)
    other = {name: a + 1 for name, a in state.items()}
    with networks.use("trained") as model:
        writer = threading.Thread(target=networks.publish, args=(shown, other))
        writer.start()
        time.sleep(0.1)
        assert np.array_equal(model.state_dict()["fc2.weight"], state["fc2.weight"])
    writer.join()
    with networks.use("trained") as model:
        assert np.array_equal(model.state_dict()["fc2.weight"], other["fc2.weight"])
