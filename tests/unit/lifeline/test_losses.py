from tocsin.lifeline.losses import EPISODE_SECONDS, Losses, after_reading

NOW = 1_700_000_000.0


def read(known: Losses, totals: dict[str, int], at: float, start: str = "a") -> Losses:
    return after_reading(known, start, totals, NOW + at)


def test_what_was_lost_before_is_no_news() -> None:
    losses = read(read(Losses(), {"webhook": 500}, 0), {"webhook": 500}, 60)
    assert not losses.standing(NOW + 60)


def test_growth_is_an_episode() -> None:
    losses = read(read(Losses(), {"webhook": 500}, 0), {"webhook": 620, "buffered": 3}, 60)
    assert losses.standing(NOW + 60)
    assert (losses.since, losses.lost) == (NOW + 60, {"webhook": 120, "buffered": 3})
    losses = read(losses, {"webhook": 621, "buffered": 3}, 120)
    assert (losses.since, losses.lost) == (NOW + 60, {"webhook": 121, "buffered": 3})
    assert not losses.standing(NOW + 121 + EPISODE_SECONDS)
    again = read(losses, {"webhook": 622, "buffered": 3}, 120 + EPISODE_SECONDS)
    assert (again.since, again.lost) == (NOW + 120 + EPISODE_SECONDS, {"webhook": 1})


def test_each_start_of_an_api_server_counts_from_zero() -> None:
    losses = read(read(Losses(), {"webhook": 500}, 0), {"webhook": 7}, 60, "b")
    assert losses.lost == {"webhook": 7}
    assert read(losses, {"webhook": 500}, 120, "a") == losses
    assert read(losses, {"webhook": 501}, 120, "a").lost == {"webhook": 8}


def test_starts_are_remembered_within_bounds() -> None:
    losses = Losses()
    for number in range(100):
        losses = read(losses, {"webhook": 0}, number, str(number))
    assert len(losses.totals) == 32
