#!/usr/bin/env python3
"""The obvious alternative to a host of governed objects: a script and SQLite.

Every tick, each object takes one temperature: the arguments are checked, the new memory is computed, a record that names
the hash of the one before it is written, and the object's row is updated. A tick is one transaction, and on disk when it
is committed (WAL, synchronous=FULL). Python's standard library alone.

Memory is kept in the process and written through, statements are prepared once and run in batches, the one long field is
encoded once for record and row, and the WAL is seldom checkpointed: it is meant to be as fast as a careful person would
make it without giving up what it promises.

With --ticks it runs that many and prints one line of JSON. Without, it runs as many as each line of its input says and
prints a line for each.
"""

import argparse
import hashlib
import json
import math
import pathlib
import sqlite3
import sys
import time
from datetime import datetime, timedelta, timezone

START = datetime(2013, 2, 1, 5, tzinfo=timezone.utc)
RECENT_MAX = 24
GENESIS = "0" * 64

encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Denied(Exception):
    """Arguments that the declaration of the mutation does not allow."""


class FrostGuard:
    __slots__ = ("name", "temperature", "observed_at", "recent", "recent_text", "burner", "fuel", "seq", "head")

    def __init__(self, name):
        self.name = name
        self.temperature = None
        self.observed_at = None
        self.recent = []
        self.recent_text = "[]"
        self.burner = "idle"
        self.fuel = 400.0
        self.seq = 0
        self.head = GENESIS

    def observe_temperature(self, value, at):
        """Admits one reading, or raises before anything has changed."""
        if type(value) not in (float, int):
            raise Denied(f"value: `{value!r}` is not a number")
        if not math.isfinite(value) or not -60 <= value <= 60:
            raise Denied(f"value: {value} is not from -60 to 60")
        try:
            datetime.fromisoformat(at)
        except (TypeError, ValueError):
            raise Denied(f"at: `{at!r}` is not a time") from None
        recent = [*self.recent, value][-RECENT_MAX:]
        if self.burner != "idle" and self.fuel <= 0:
            raise Denied("a burner needs fuel")
        self.temperature, self.observed_at, self.recent = value, at, recent
        self.recent_text = encode(recent)


def record(guard, tick, value, at):
    """Links a record to the object's chain; returns the row that keeps it."""
    body = (
        f'{{"object":"{guard.name}","seq":{guard.seq},"prev":"{guard.head}","tick":{tick},'
        f'"mutation":"observe_temperature","caller":"observation","args":{{"at":"{at}","value":{value!r}}},'
        f'"changes":{{"observed_at":"{at}","recent":{guard.recent_text},"temperature":{value!r}}}}}'
    )
    guard.head = hashlib.sha256(body.encode()).hexdigest()
    guard.seq += 1
    return guard.name, guard.seq - 1, guard.head, body


def state(guard):
    return (
        guard.temperature,
        guard.observed_at,
        guard.recent_text,
        guard.burner,
        guard.fuel,
        guard.seq,
        guard.head,
        guard.name,
    )


class Host:
    def __init__(self, folder, objects):
        self.db = sqlite3.connect(pathlib.Path(folder) / "chain.sqlite", isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        # By default a tick of this size ends in a checkpoint, which flushes three times more.
        self.db.execute("PRAGMA wal_autocheckpoint = 20000")
        self.db.execute(
            "CREATE TABLE objects (name TEXT PRIMARY KEY, temperature REAL, observed_at TEXT, recent TEXT NOT NULL,"
            " burner TEXT NOT NULL, fuel REAL NOT NULL, seq INTEGER NOT NULL, head TEXT NOT NULL) WITHOUT ROWID"
        )
        self.db.execute(
            "CREATE TABLE lineage (object TEXT NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL, body TEXT NOT NULL)"
        )
        self.guards = [FrostGuard(f"guard-{n:06}") for n in range(objects)]
        self.tick = 0
        self.denied = 0
        self.db.execute("BEGIN")
        self.db.executemany(
            "INSERT INTO objects (temperature, observed_at, recent, burner, fuel, seq, head, name)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            map(state, self.guards),
        )
        self.db.execute("COMMIT")

    def run_tick(self):
        at = (START + timedelta(hours=self.tick)).isoformat()
        records, touched = [], []
        for n, guard in enumerate(self.guards):
            value = ((n * 7 + self.tick * 13) % 400 - 100) / 10
            try:
                guard.observe_temperature(value, at)
            except Denied:
                self.denied += 1
                continue
            records.append(record(guard, self.tick, value, at))
            touched.append(state(guard))
        self.db.execute("BEGIN")
        self.db.executemany("INSERT INTO lineage VALUES (?, ?, ?, ?)", records)
        self.db.executemany(
            "UPDATE objects SET temperature = ?, observed_at = ?, recent = ?, burner = ?, fuel = ?, seq = ?, head = ?"
            " WHERE name = ?",
            touched,
        )
        self.db.execute("COMMIT")
        self.tick += 1

    def round(self, ticks):
        start = time.perf_counter()
        for _ in range(ticks):
            self.run_tick()
        seconds = time.perf_counter() - start
        # A commit flushes the WAL once; what checkpoints of the WAL flush besides is SQLite's own and not counted.
        return {
            "objects": len(self.guards),
            "ticks": ticks,
            "seconds": seconds,
            "ticks_per_second": ticks / seconds if seconds else None,
            "commits": ticks,
            "denied": self.denied,
            "sqlite": sqlite3.sqlite_version,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--ticks", type=int, help="run that many and end; else take a number a line from the input")
    parser.add_argument("--dir", required=True, help="an empty folder for the database")
    arguments = parser.parse_args()
    host = Host(arguments.dir, arguments.objects)
    rounds = [arguments.ticks] if arguments.ticks is not None else map(int, sys.stdin)
    for ticks in rounds:
        print(json.dumps(host.round(ticks)), flush=True)


if __name__ == "__main__":
    main()
