"""What a cron expression means, minute by minute: slow, plain, and the second opinion of `schedule.next_fire`.

Two readings. `definition` walks the real minutes and looks at the wall's clock: it is the rule itself, near the
moments at which clocks are turned. `debian` asks cronsim, which follows Debian's cron, everywhere else; it and
we differ where minutes are a star and the hour is not (`*/15 2 * * *`): its clock then runs on, ours counts
each of those times once a day, skipped or shown twice as they may be.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # turns by half an hour
    "Asia/Kathmandu",  # +05:45, never turned
    "America/St_Johns",  # turned at 00:01 until 2011
    "Africa/Casablanca",  # back and forth for Ramadan
    "America/Santiago",  # turns at midnight: 00:00 does not exist
    "Asia/Tehran",
    "Pacific/Apia",  # one day of 2011 is not there
    "Pacific/Chatham",
    "Antarctica/Troll",  # turns by two hours
)
FROM, UNTIL = datetime(2000, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    cron: str
    zone: str
    after: datetime

    @property
    def fixed(self) -> bool:
        return not self.cron.split()[1].startswith("*")


@cache
def turns(zone: str) -> tuple[datetime, ...]:
    """The instants at which the zone's clock is turned."""
    where = ZoneInfo(zone)
    found = []
    day = FROM
    while day < UNTIL:
        low, high = day, day + DAY
        if low.astimezone(where).utcoffset() != high.astimezone(where).utcoffset():
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                if middle.astimezone(where).utcoffset() == low.astimezone(where).utcoffset():
                    low = middle
                else:
                    high = middle
            found.append((high + timedelta(milliseconds=500)).replace(microsecond=0))
        day += DAY
    return tuple(found)


def near_a_turn(case: Case, answer: datetime) -> bool:
    """Whether clocks are turned between the question and its answer, or shortly before either."""
    return any(
        case.after - 1.1 * DAY < it < case.after + 1.1 * DAY or abs(answer - it) < 1.1 * DAY
        for it in turns(case.zone)
    )


def definition(case: Case, until: datetime) -> datetime | None:
    """The first minute up to `until` at which the expression is due.

    A fixed time of day is due when the wall's clock reaches or passes it for the first time.
    """
    spec = CronSim(case.cron, datetime(2000, 1, 1))  # read only: its sets of values
    times = {60 * hour + minute for hour in spec.hours for minute in spec.minutes}

    @cache
    def names_day(day: int) -> bool:
        date = EPOCH.date() + day * DAY
        return date.month in spec.months and spec.match_day(date)

    def names(wall: int) -> bool:
        day, time = divmod(wall, 1440)
        return time in times and names_day(day)

    # minutes since 1970; what the wall shows is the same with the zone's offset
    now = int(case.after.timestamp()) // 60
    stretches = [(int(it.timestamp()) // 60, _offset(it, case.zone)) for it in turns(case.zone)]
    before = [offset for turn, offset in stretches if turn <= now]
    offset = before[-1] if before else _offset(FROM, case.zone)
    turned = [
        turn - 1 + _offset(EPOCH + (turn - 1) * MINUTE, case.zone)
        for turn, _ in stretches
        if now - 2880 < turn <= now
    ]
    reached = max([now + offset, *turned])
    turning = dict(stretches)
    while now < until.timestamp() / 60:
        now += 1
        offset = turning.get(now, offset)
        if not case.fixed:
            if names(now + offset):
                return EPOCH + now * MINUTE
            continue
        while reached < now + offset:
            reached += 1
            if names(reached):
                return EPOCH + now * MINUTE
    return None


@cache
def _offset(instant: datetime, zone: str) -> int:
    offset = instant.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return int(offset.total_seconds()) // 60


def debian(case: Case) -> datetime | None:
    """None when it finds no such day."""
    try:
        walk = CronSim(case.cron, case.after.astimezone(ZoneInfo(case.zone)))
    except CronSimError:
        return None
    return next((answer for it in walk if (answer := it.astimezone(UTC)) > case.after), None)


# ------------------------------------------------------------------------------------------------ questions


def _field(dice: random.Random, low: int, high: int, *, star: float) -> str:
    if dice.random() < star:
        return "*"
    match dice.randrange(6):
        case 0:
            return f"*/{dice.randint(2, max(2, (high - low) // 2))}"
        case 1:
            first = dice.randint(low, high)
            return f"{first}-{dice.randint(first, high)}"
        case 2:
            first = dice.randint(low, high - 1)
            return f"{first}-{dice.randint(first + 1, high)}/{dice.randint(1, 5)}"
        case 3:
            return ",".join(str(dice.randint(low, high)) for _ in range(dice.randint(2, 4)))
        case _:
            return str(dice.randint(low, high))


def expression(dice: random.Random) -> str:
    day = _field(dice, 1, 31, star=0.6)
    if dice.random() < 0.05:
        day = "L"
    month = _field(dice, 1, 12, star=0.8)
    if day in {"30", "31"}:
        month = "*"
    weekday = _field(dice, 0, 7, star=0.6)
    if weekday.isdigit() and dice.random() < 0.3:
        weekday = ["sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"][int(weekday)]
    hour = _field(dice, 0, 23, star=0.3)
    if dice.random() < 0.4:
        hour = str(dice.randint(0, 3))  # the hours in which clocks are turned
    return f"{_field(dice, 0, 59, star=0.2)} {hour} {day} {month} {weekday}"


def cases(seed: int) -> Iterator[Case]:
    """Questions without end; half of them are asked on the days around a turn of the clock."""
    dice = random.Random(seed)
    while True:
        zone = dice.choice(ZONES)
        after = FROM + timedelta(seconds=dice.uniform(0, (UNTIL - FROM).total_seconds() - 365 * 86400))
        if turns(zone) and dice.random() < 0.5:
            after = dice.choice(turns(zone)) + timedelta(seconds=dice.uniform(-20 * 3600, 8 * 3600))
        if dice.random() < 0.5:
            after = after.replace(second=0, microsecond=0)
        yield Case(expression(dice), zone, after)
