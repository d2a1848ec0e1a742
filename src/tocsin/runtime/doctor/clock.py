"""Clocks: events are ordered and correlated by the time of the API server that made them."""

from tocsin.runtime.doctor.finding import Finding, fault, ok, warning

CHECK = "clock"

# Batches may come this late without being wrong: an API server tries again for minutes.
_LATE_SECONDS = 300.0
_OFF_SECONDS = 5.0
_FAR_OFF_SECONDS = 60.0

_MINUTE = 60
_WHY = (
    "alerts carry the time of the API server that saw the request, and certificates are judged "
    "by the clock"
)
_MEND = "timedatectl set-ntp true, on the machine whose `date -u` is wrong"


def judge_answer(skew: float) -> Finding:
    """Judge by how many seconds the clock here is ahead of Tocsin's, as its answer tells it."""
    if abs(skew) < _OFF_SECONDS:
        return ok(CHECK, "the clocks of this machine and of Tocsin agree")
    what = f"the clock of this machine is {_length(skew)} {_side(skew)} that of Tocsin"
    return _off(what, abs(skew))


def judge_source(name: str, skew: float, *, may_be_late: bool) -> Finding | None:
    """Judge a source by the smallest time between its newest event and the arrival here.

    Below 0 the event is from the future: its clock is ahead. A source that reads files or
    repeats may come as late as it likes; None says that nothing is wrong.
    """
    if skew <= -_OFF_SECONDS:
        return _off(f"the clock of {name} is {_length(skew)} ahead of Tocsin's", -skew)
    if skew < _LATE_SECONDS or may_be_late:
        return None
    what = f"events of {name} come {_length(skew)} late: its clock is behind Tocsin's, or it lags"
    return _off(what, skew)


def _off(what: str, seconds: float) -> Finding:
    return (fault if seconds >= _FAR_OFF_SECONDS else warning)(CHECK, what, _WHY, _MEND)


def _side(skew: float) -> str:
    return "ahead of" if skew > 0 else "behind"


def _length(seconds: float) -> str:
    """Return a length of time for people: from two minutes on without its seconds."""
    whole = round(abs(seconds))
    if whole < 2 * _MINUTE:
        return f"{whole} s"
    hours, minutes = divmod(round(whole / _MINUTE), 60)
    return " ".join(
        f"{number} {unit}" for number, unit in ((hours, "h"), (minutes, "min")) if number
    )
