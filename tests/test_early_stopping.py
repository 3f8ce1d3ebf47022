import pytest

from synann_np.training.callbacks import out_of_patience


@pytest.mark.parametrize(
    ("finished", "best_epoch", "patience", "over"),
    [
        (3, 3, 1, False),
        (4, 3, 1, True),
        (4, 3, 2, False),
        (5, 3, 2, True),
        (9, 3, 2, True),
        (0, 0, 1, False),
        (2, 0, 2, True),
        (99, 1, 0, False),
    ],
)
def test_patience_is_over_after_so_many_epochs_without_a_better_one(finished, best_epoch, patience, over):
    assert out_of_patience(finished, best_epoch, patience) is over
