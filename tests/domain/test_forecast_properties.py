"""What holds for every history: boundaries, order, invalid doses, and what an answer costs."""

import random
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fhir_server.domain.assessment import Forecast
from fhir_server.domain.calendar import FAR_FUTURE, FAR_PAST, Period
from fhir_server.domain.forecast import forecast
from fhir_server.domain.history import GivenDose, History, Observation
from fhir_server.domain.knowledge_bases import knowledge_bases
from fhir_server.domain.schedule import KnowledgeBase

SCHEDULES = knowledge_bases()


def observations(schedule: KnowledgeBase) -> list[str]:
    asked = {one.observation for series in schedule.series for one in series.indications}
    return sorted(asked | {one.observation for one in schedule.contraindications})


@st.composite
def people(draw: st.DrawFn) -> tuple[KnowledgeBase, History, date]:
    """A schedule, a history and a day in its window. Ages and distances that schedules care about come often."""
    schedule = draw(st.sampled_from(SCHEDULES))
    span = (schedule.ends - schedule.starts).days
    as_of = schedule.starts + timedelta(days=draw(st.integers(0, span)))
    ages = st.one_of(st.integers(0, 2500), st.integers(0, 34000), st.sampled_from([183, 730, 1826, 4383, 6574, 23741]))
    born = as_of - timedelta(days=draw(ages))
    doses = []
    day = as_of
    for number in range(draw(st.integers(0, 6))):
        day -= timedelta(days=draw(st.one_of(st.sampled_from([0, 17, 21, 24, 28, 52, 56, 120]), st.integers(0, 500))))
        doses.append(GivenDose(day, draw(st.sampled_from(sorted(schedule.vaccines))), str(number)))
    codes = draw(st.lists(st.sampled_from(observations(schedule)), max_size=2))
    return schedule, History(born, tuple(doses), tuple(Observation(code) for code in codes)), as_of


def answer(found: Forecast) -> tuple[object, ...]:
    dates = (found.earliest, found.recommended, found.past_due, found.latest, found.completed_on)
    return found.status, found.series, found.dose_number, found.vaccines, dates


def ages(schedule: KnowledgeBase) -> Iterator[Period | None]:
    for series in schedule.series:
        yield series.maximum_age_to_start
        for indication in series.indications:
            yield from (indication.ages.start, indication.ages.end)
        for dose in series.doses:
            for age in dose.ages:
                yield from (age.absolute, age.minimum, age.recommended, age.latest, age.maximum)
            for choices in dose.preferable.values():
                yield from (edge for one in choices for edge in (one.ages.start, one.ages.end))
            for skip in dose.skips:
                for one in skip.sets:
                    yield from (edge for each in one.conditions for edge in (each.ages.start, each.ages.end))


def boundaries(schedule: KnowledgeBase, history: History) -> set[int]:
    """Every day on which an answer may change: birthdays, seasons, effective dates, ends of intervals, doses."""
    assert history.born is not None
    born, given_on = history.born.toordinal(), [one.given.toordinal() for one in history.doses if one.given]
    days = {born, *given_on} | {one.after(born) for one in ages(schedule) if one is not None}
    for series in schedule.series:
        for dose in series.doses:
            days |= {dose.season_start or FAR_PAST, dose.season_end + 1}
            days |= {edge for one in dose.ages for edge in (one.effective, one.cessation + 1)}
            for one in dose.intervals:
                spans = [span for span in (one.absolute, one.minimum, one.recommended) if span is not None]
                days |= {one.effective, one.cessation + 1}
                days |= {span.after(day) for span in spans for day in given_on}
            for skip in dose.skips:
                for conditions in skip.sets:
                    for condition in conditions.conditions:
                        days |= {condition.start, condition.end}
                        if condition.interval is not None:
                            days |= {condition.interval.after(day) for day in given_on}
    return days


@settings(max_examples=60, deadline=None, derandomize=True)
@given(people(), st.randoms(use_true_random=False))
def test_between_two_boundaries_the_dates_stay(
    found: tuple[KnowledgeBase, History, date], chance: random.Random
) -> None:
    schedule, history, as_of = found
    edges = sorted(
        one for one in {*boundaries(schedule, history), FAR_PAST, FAR_FUTURE} if FAR_PAST <= one <= FAR_FUTURE
    )
    day = as_of.toordinal()
    start, end = next((before, after) for before, after in pairwise(edges) if before <= day < after)
    end = min(end, day + 400)
    other = date.fromordinal(chance.randrange(max(start, day - 400), end))
    assert answer(forecast(history, as_of, schedule)) == answer(forecast(history, other, schedule))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(people(), st.integers(0, 900), st.sampled_from(sorted(SCHEDULES[-1].vaccines)))
def test_an_invalid_dose_completes_nothing(
    found: tuple[KnowledgeBase, History, date], days_before: int, cvx: str
) -> None:
    schedule, history, as_of = found
    assume(forecast(history, as_of, schedule).status != "complete")
    dose = GivenDose(as_of - timedelta(days=days_before), cvx, "added")
    after = forecast(History(history.born, (*history.doses, dose), history.observations), as_of, schedule)
    [added] = [one for one in after.evaluations if one.dose.key == "added"]
    assert added.status == "valid" or after.status != "complete"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(people(), st.randoms(use_true_random=False))
def test_the_order_of_what_comes_in_decides_nothing(
    found: tuple[KnowledgeBase, History, date], chance: random.Random
) -> None:
    schedule, history, as_of = found
    doses, observed = list(history.doses), list(history.observations)
    chance.shuffle(doses)
    chance.shuffle(observed)
    shuffled = History(history.born, tuple(doses), tuple(observed))
    assert answer(forecast(history, as_of, schedule)) == answer(forecast(shuffled, as_of, schedule))
    one, other = (
        {found.dose.key: (found.status, found.reasons) for found in forecast(each, as_of, schedule).evaluations}
        for each in (history, shuffled)
    )
    assert one == other


def random_history(schedule: KnowledgeBase, chance: random.Random) -> tuple[History, date]:
    as_of = schedule.starts + timedelta(days=chance.randrange((schedule.ends - schedule.starts).days + 1))
    born = as_of - timedelta(days=chance.choice([chance.randrange(2000), chance.randrange(36000)]))
    vaccines = [*sorted(schedule.vaccines), "08", None]
    doses = tuple(
        GivenDose(as_of - timedelta(days=chance.randrange(-20, 1500)), chance.choice(vaccines), str(number))
        for number in range(chance.randrange(9))
    )
    codes = chance.sample(observations(schedule), 1) if chance.random() < 0.25 else []
    return History(born, doses, tuple(Observation(code) for code in codes)), as_of


def measure(schedule: KnowledgeBase, count: int) -> float:
    """Milliseconds of CPU a history takes on average; each answer and each dose has a reason."""
    chance = random.Random(20241122)
    cases = [random_history(schedule, chance) for _ in range(count)]
    started = time.process_time()
    found = [forecast(history, as_of, schedule) for history, as_of in cases]
    spent = time.process_time() - started
    assert all(one.reasons and all(each.reasons for each in one.evaluations) for one in found)
    assert all(one.earliest for one in found if one.status == "not-complete")
    return spent / count * 1000


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.version)
def test_a_history_takes_less_than_a_millisecond(schedule: KnowledgeBase) -> None:
    assert measure(schedule, 1_000) < 1


@pytest.mark.long
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.version)
def test_ten_thousand_histories_take_less_than_a_millisecond_each(
    schedule: KnowledgeBase, measured: Callable[[str], None]
) -> None:
    each = measure(schedule, 10_000)
    measured(f"10,000 random histories, {each:.2f} ms CPU each, a reason for every decision")
    assert each < 1
