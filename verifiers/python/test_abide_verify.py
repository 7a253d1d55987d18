"""Tests of the verifier: golden bundles, manipulations of them, and bundles that are signed and yet unsound (`forge`)."""
import contextlib
import copy
import io
import json
import os
import random
import tempfile
import unittest

import cbor2

import abide_verify
import forge

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = ("golden", "golden-clock", "golden-refill", "golden-upgrade", "golden-schema")


def read(name):
    with open(os.path.join(HERE, name), "rb") as file:
        return file.read()


def expected(name):
    return json.loads(read(name + ".json"))


def run(*arguments):
    """The exit code and the output of the command line."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            code = abide_verify.main(list(arguments))
        except SystemExit as exit:
            code = exit.code
    return code, out.getvalue()


class Golden(unittest.TestCase):
    def test_it_is_verified(self):
        for name in GOLDEN:
            with self.subTest(name):
                self.assertEqual(abide_verify.verify(read(name + ".abide")), expected(name))

    def test_command_line(self):
        path, verdict = os.path.join(HERE, "golden.abide"), expected("golden")
        kept = os.path.join(HERE, "golden.checkpoint")
        self.assertEqual(run(path)[0], 0)
        for key in (verdict["host"], verdict["log_key"]):
            code, out = run(path, "--key", key, "--since", kept, "--json")
            self.assertEqual((code, json.loads(out)), (0, verdict | {"key_confirmed": True}))
        other = forge.nkey(13 << 3, forge.IDENTITY.public)
        self.assertEqual(run(path, "--key", other)[0], 1)
        self.assertEqual(run(os.path.join(HERE, "golden-clock.abide"), "--since", kept)[0], 1)
        self.assertEqual(run(path, "--key", other[:-1] + "A")[0], 2)
        self.assertEqual(run()[0], 2)
        self.assertEqual(run(path + ".missing")[0], 3)
        self.assertEqual(run(path, "--since", path + ".missing")[0], 3)
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("key", verdict["host"] + "\n"), ("empty", "")):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
            self.assertEqual(run(path, "--key", os.path.join(folder, "key"))[0], 0)
            self.assertEqual(run(os.path.join(folder, "empty"))[0], 1)


class Manipulated(unittest.TestCase):
    """What anyone can do to a bundle without a key."""

    def check(self, data):
        verdict = abide_verify.verify(data if isinstance(data, bytes) else forge.encode(data))
        self.assertFalse(verdict["verified"])
        self.assertTrue(verdict["problems"])
        self.assertFalse([p for p in verdict["problems"] if "could not be checked" in p["what"]])

    def test_flipped_bits(self):
        seeded = random.Random(20)
        for _ in range(300):
            data = bytearray(read(seeded.choice(GOLDEN) + ".abide"))
            bit = seeded.randrange(8 * len(data))
            data[bit // 8] ^= 1 << bit % 8
            with self.subTest(bit=bit):
                self.check(bytes(data))

    def test_cut_and_continued(self):
        data = read("golden.abide")
        for length in [0, 1, 2] + random.Random(21).sample(range(len(data)), 100):
            self.check(data[:length])
        self.check(data + b"\0")

    def test_parts(self):
        plain = cbor2.loads(read("golden.abide"))

        def swap(rows, i, j):
            rows[i], rows[j] = rows[j], rows[i]

        def swap_proofs(rows, i, j):
            rows[i][-1], rows[j][-1] = rows[j][-1], rows[i][-1]

        edits = {
            "edit a record": lambda b: b[5].__setitem__(1, b[5][1].replace(b"observe_level", b"observe_devel")),
            "drop the first record": lambda b: b[5].pop(0),
            "drop a record": lambda b: b[5].pop(40),
            "drop the last record": lambda b: b[5].pop(),
            "a record twice": lambda b: b[5].insert(40, b[5][40]),
            "reorder": lambda b: b[5].reverse(),
            "swap two records": lambda b: swap(b[5], 1, 2),
            "swap places": lambda b: swap(b[6], 0, 1),
            "swap proofs": lambda b: swap_proofs(b[6], 0, 1),
            "swap proofs of the host": lambda b: swap_proofs(b[3], 0, 2),
            "another leaf": lambda b: b[6][0].__setitem__(0, b[6][0][0] - 1),
            "no places": lambda b: b[6].clear(),
            "a hash too many": lambda b: b[6][0][1].append(bytes(32)),
            "129 hashes": lambda b: b[6][0].__setitem__(1, [bytes(32)] * 129),
            "no record 0": lambda b: b[3].pop(0),
            "no schema": lambda b: b[3].pop(1),
            "schemas swapped": lambda b: swap(b[3], 1, 2),
            "size in the note": lambda b: b.__setitem__(2, b[2].replace("\n131\n", "\n132\n")),
            "note of an earlier head": lambda b: b.__setitem__(2, b[7][0][0]),
            "note with carriage returns": lambda b: b.__setitem__(2, b[2].replace("\n", "\r\n")),
            "note without end": lambda b: b.__setitem__(2, b[2][:-1]),
            "earlier head without proof": lambda b: b[7][0].__setitem__(1, []),
            "earlier head of another log": lambda b: b[7].append([forge.note([bytes(32)]), []]),
            "a blob": lambda b: b[4].append(b"\xa0"),
            "another version": lambda b: b.__setitem__(1, 2),
            "another magic": lambda b: b.__setitem__(0, "abide-bundlf"),
            "a key more": lambda b: b.__setitem__(8, []),
            "a key less": lambda b: b.pop(7),
        }
        for name, edit in edits.items():
            bundle = copy.deepcopy(plain)
            edit(bundle)
            with self.subTest(name):
                self.assertFalse(bundle == plain)
                self.check(bundle)


class Form(unittest.TestCase):
    """One value has one encoding, and no bytes make the reader fail otherwise than with a problem."""

    def refused(self, *encodings):
        for data in encodings:
            with self.subTest(data[:20].hex()):
                self.assertRaises(abide_verify.Problem, abide_verify.decode, data)

    def test_deterministic(self):
        for value in (0, 23, 24, 255, 256, 65536, 1 << 32, -1, -25, -(1 << 63), 1.5, 1e10, 0.1, 65504.0, 5.960464477539063e-08, 0.0, "é", b"",
                      [], {}, [[True, None, False]], {0: 1, 24: 2, 300: 3}, {"b": 1, "aa": 2}):
            self.assertEqual(abide_verify.decode(forge.encode(value)), value)
        self.refused(b"\x18\x17", b"\x19\x00\xff", b"\x1a\x00\x00\xff\xff", b"\x1b" + bytes(4) + b"\xff" * 4)  # longer than need be
        self.refused(b"\xfa\x3f\xc0\x00\x00", b"\xfb\x3f\xf8" + bytes(6), b"\xfb" + b"\x40\x59" + bytes(6))
        self.refused(b"\xf9\x7e\x00", b"\xf9\x7c\x00", b"\xf9\x80\x00", b"\xfb\x7f\xf0" + bytes(6))  # NaN, infinity, −0
        self.refused(b"\x9f\xff", b"\xbf\xff", b"\x5f\xff", b"\x7f\xff", b"\xff")  # indefinite
        self.refused(b"\xa2\x01\x00\x00\x00", b"\xa2\x00\x00\x00\x00", b"\xa2\x62aa\x00\x61b\x00")  # keys
        self.refused(b"\xf7", b"\xe0", b"\xf8\x20", b"\xf8\x14", b"\x1c", b"\xc0\x60", b"\xc2\x40", b"\xd9\x6a\x2d\x40")  # simple values, tags
        self.refused(b"\x61\xff", b"\x63\xed\xa0\x80", b"", b"\x00\x00")

    def test_hostile(self):
        self.refused(b"\x81" * 1_000_000, b"\xa1\x00" * 100_000, b"\x9b" + b"\xff" * 8, b"\x5b" + b"\xff" * 8, b"\xbb" + b"\x7f" * 8,
                     b"\x9a\xff\xff\xff\xff\x00", b"\x81" * 200 + b"\x00")
        seeded = random.Random(22)
        for _ in range(300):
            verdict = abide_verify.verify(seeded.randbytes(seeded.randrange(60)))
            self.assertFalse(verdict["verified"])

    def test_identities(self):
        good = forge.nkey(13 << 3, forge.IDENTITY.public)
        self.assertEqual(abide_verify.host_key(good), forge.IDENTITY.public)
        for bad in (good.lower(), good[:-1], good + "A", good[:-1] + ("A" if good[-1] != "A" else "B"),
                    forge.nkey(14 << 3, forge.IDENTITY.public), "", "N"):
            self.assertIsNone(abide_verify.host_key(bad))

    def test_trees(self):
        leaves = [forge.leaf_hash(bytes([n])) for n in range(20)]
        for size in range(1, 21):
            root = forge.root_of(leaves[:size])
            for index in range(size):
                path = forge.inclusion(index, leaves[:size])
                self.assertEqual(abide_verify.root_from_inclusion(leaves[index], index, size, path), root)
                self.assertNotEqual(abide_verify.root_from_inclusion(leaves[index], index, size, path + [root]), root)
                if path:
                    self.assertNotEqual(abide_verify.root_from_inclusion(leaves[index], index, size, path[:-1]), root)
            for old in range(1, size + 1):
                path, before = forge.consistency(old, leaves[:size]), forge.root_of(leaves[:old])
                self.assertTrue(abide_verify.is_consistent(old, before, size, root, path))
                self.assertFalse(abide_verify.is_consistent(old, before, size, root, path + [root]))
                self.assertFalse(abide_verify.is_consistent(old, leaves[19], size, root, path) and old < size)


class Forged(unittest.TestCase):
    """What a host that holds its keys can sign, and what must be found all the same."""

    @classmethod
    def setUpClass(cls):
        cls.plain, cls.blobs = {}, {}
        for name in GOLDEN:
            bundle = cbor2.loads(read(name + ".abide"))
            cls.plain[name] = sorted(forge.records_of(bundle), key=lambda record: record[4])
            cls.blobs[name] = bundle[4]

    def verdict(self, change, name="golden", earlier=()):
        records = copy.deepcopy(self.plain[name])
        change(records)
        return abide_verify.verify(forge.encode(forge.commit(records, self.blobs[name], earlier)))

    def accept(self, what, change, name="golden"):
        with self.subTest(what):
            self.assertEqual(self.verdict(change, name)["problems"], [])

    def refuse(self, what, change, name="golden", saying=""):
        with self.subTest(what):
            problems = [problem["what"] for problem in self.verdict(change, name)["problems"]]
            self.assertTrue(problems and all("could not be checked" not in problem for problem in problems), problems)
            self.assertTrue(any(saying in problem for problem in problems), problems)

    @staticmethod
    def find(records, kind, nth=0, object=None):
        return [record for record in records if record[0] == kind and object in (None, record[1])][nth]

    @staticmethod
    def append(records, object, kind, keys, later=0):
        tick, time = max(record[4] for record in records), max(record[5] for record in records)
        records.append({0: kind, 1: object, 2: 0, 3: b"", 4: tick + 1, 5: time + later, 6: 0} | keys)
        return records[-1]

    @staticmethod
    def set(record, key, value):
        record[key] = value
        record["as it is"] = record.get("as it is", set()) | {key}

    def adjust(self, to, counter=9):
        return {7: "adjust", 8: 3, 9: ["operator", b"", counter, b""], 11: {"at": None, "blob": None, "to": to}, 12: {"level": to}}

    def observe(self, to):
        return {7: "observe_level", 8: 2, 9: "gauge", 11: {"value": to}, 12: {"level": to}}

    def test_as_it_was(self):
        for name in GOLDEN:
            self.accept(name, lambda records: None, name)
        bundle = forge.commit(self.plain["golden"], (), [0, 1, 7, 64, len(self.plain["golden"])])
        since = [note for note, _ in bundle[7]]
        self.assertTrue(abide_verify.verify(forge.encode(bundle), since=since)["verified"])
        self.assertFalse(abide_verify.verify(forge.encode(bundle), since=[forge.note([bytes(32)])])["verified"])

    def test_record_zero(self):
        self.refuse("certificate", lambda r: self.set(r[0], 35, bytes(64)), saying="certificate")
        self.refuse("identity", lambda r: self.set(r[0], 21, "N" * 56), saying="nkey")
        self.refuse("origin", lambda r: self.set(r[0], 34, "a b"), saying="origin")
        self.refuse("log key", lambda r: self.set(r[0], 33, forge.STRANGER.public), saying="log key")

    def test_chains(self):
        self.refuse("prev", lambda r: self.set(r[-1], 3, bytes(32)), saying="follow")
        self.refuse("prev of the host", lambda r: self.set(r[1], 3, bytes(32)), saying="follow")
        self.refuse("seq", lambda r: self.set(r[-1], 2, 1), saying="seq")
        self.refuse("force", lambda r: self.set(r[-1], 6, 1), saying="force")
        self.refuse("force after an upgrade", lambda r: self.set(r[-1], 6, 0), "golden-upgrade", "force")
        self.refuse("host", lambda r: self.set(self.find(r, 3), 21, forge.nkey(13 << 3, forge.STRANGER.public)), saying="host")
        self.refuse("tick", lambda r: r[-1].update({4: 1}), saying="tick")
        self.refuse("time", lambda r: r[-1].update({5: r[-1][5] - 10**13}), saying="time")
        self.refuse("time within a commit", lambda r: self.find(r, 3, 1).update({5: self.find(r, 3, 1)[5] - 1}), saying="time")
        self.refuse("keys", lambda r: r[-1].update({26: 0}), saying="keys")
        self.refuse("unknown key", lambda r: r[-1].update({42: 0}), saying="key")
        self.refuse("no lineage", lambda r: r.__delitem__(slice(1, None)), saying="lineage")

    def test_operators(self):
        self.accept("signed", lambda r: self.append(r, "a", 4, self.adjust(34.0)))
        self.refuse("counter", lambda r: self.append(r, "a", 4, self.adjust(34.0, 2)), saying="counter")
        self.refuse("stranger", lambda r: self.append(r, "a", 4, self.adjust(34.0)).update({"signer": forge.STRANGER}), saying="operator")
        self.refuse("signature", lambda r: self.set(self.append(r, "a", 4, self.adjust(34.0)), 9, ["operator", forge.OPERATOR.public, 9, bytes(64)]),
                    saying="signature")
        self.refuse("policy", lambda r: (self.append(r, "a", 17, {18: [[], [], [1, 1, 1, 1]]}), self.append(r, "a", 4, self.adjust(34.0))), saying="policy")
        seal = {9: ["operator", b"", 9, b""]}
        self.accept("seal", lambda r: self.append(r, "a", 15, seal))
        self.refuse("after a seal", lambda r: (self.append(r, "a", 15, seal), self.append(r, "a", 4, self.observe(34.0))), saying="sealed")
        self.refuse("upgrade", lambda r: self.find(r, 22)[41].reverse(), "golden-upgrade", "configuration")
        self.refuse("signature of an upgrade", lambda r: self.set(self.find(r, 22), 9, ["operator", forge.OPERATOR.public, 9, bytes(64)]),
                    "golden-upgrade", "signature")

    def test_law(self):
        self.refuse("mutation", lambda r: self.append(r, "a", 4, self.observe(34.0) | {7: "nothing"}), saying="mutation")
        self.refuse("caller", lambda r: self.append(r, "a", 4, self.observe(34.0) | {8: 4}), saying="caller")
        self.refuse("field", lambda r: self.append(r, "a", 4, self.observe(34.0) | {12: {"depth": 1.0}}), saying="field")
        self.refuse("type", lambda r: self.append(r, "a", 4, self.observe(34.0) | {12: {"level": 34}}), saying="value")
        self.refuse("bounds", lambda r: self.append(r, "a", 4, self.observe(34.0) | {12: {"level": 101.0}}), saying="value")
        self.refuse("cost of an observation", lambda r: self.append(r, "a", 4, self.observe(34.0) | {13: 1}), saying="cost")
        self.refuse("rule", lambda r: self.append(r, "a", 8, {10: "nothing"}), saying="rule")
        self.refuse("outcome", lambda r: self.append(r, "a", 19, {26: 1, 27: 3, 28: 0}), saying="outcome")

    def test_drift(self):
        self.accept("within", lambda r: self.append(r, "a", 4, self.observe(53.25)))
        self.refuse("beyond", lambda r: self.append(r, "a", 4, self.observe(53.5)), saying="drift")
        self.accept("from where an operator put it", lambda r: (self.append(r, "a", 4, self.adjust(40.0)), self.append(r, "a", 4, self.observe(60.0))))
        self.refuse("from there alone", lambda r: (self.append(r, "a", 4, self.adjust(40.0)), self.append(r, "a", 4, self.observe(19.0))), saying="drift")

    def test_slope_and_families(self):
        def of_child(key, value):
            def change(records):
                self.find(records, 9)[key] = value
                self.find(records, 3, 1)[key] = value
            return change

        hour = 3600 * 10**9
        cost = lambda record: record.get(7) == "count" and record[1] == "a"
        self.refuse("cost", lambda r: [x for x in r if cost(x)][0].update({13: 30_000_001}), saying="slope")
        self.refuse("budget", of_child(20, [31_000_000, 25_000_000, 2_500_000, hour]), saying="budget")
        self.refuse("refill", of_child(20, [10_000_000, 10_000_000, 10_500_000, hour]), saying="refill")
        self.refuse("refill per", of_child(20, [10_000_000, 10_000_000, 2_500_000, hour // 2]), saying="refill")
        self.refuse("level", of_child(20, [10_000_000, 9_999_999, 2_500_000, hour]), saying="level")
        self.refuse("allotment", lambda r: self.find(r, 3, 1)[20].__setitem__(0, 10_000_001), saying="allotment")
        for index in range(4):
            self.refuse(f"what comes back, {index}", lambda r: self.find(r, 20, 1)[20].__setitem__(index, self.find(r, 20, 1)[20][index] + 1), saying="left")
        self.refuse("depth", lambda r: self.find(r, 3, 1).update({22: 2}), saying="depth")
        self.refuse("schema", lambda r: self.find(r, 3, 1).update({17: self.find(r, 3)[17]}), saying="schema")
        self.refuse("links", lambda r: self.find(r, 3, 1)[18].__setitem__(1, [["t", "a:b/c", ["f"]]]), saying="link")
        self.refuse("a child left out", lambda r: r.__setitem__(slice(None), [x for x in r if x[1] != self.find(r, 20)[31]]), saying="child")
        self.refuse("ended twice", lambda r: r.insert(r.index(self.find(r, 20)), copy.deepcopy(self.find(r, 20))), saying="child")
        self.refuse("ended in another tick", lambda r: [x.update({4: x[4] + 1}) for x in r[r.index(self.find(r, 20)):]], saying="tick")

    def test_clock(self):
        name = "golden-clock"
        host, own = (lambda r, n=1: self.find(r, 21, n, "@host")), (lambda r, n=1: self.find(r, 21, n, "tank"))
        self.refuse("the object's left out", lambda r: r.remove(own(r)), name, "reset")
        self.refuse("the host's left out", lambda r: r.remove(host(r)), name, "time")
        self.refuse("both left out", lambda r: (r.remove(host(r, 0)), r.remove(own(r, 0))), name, "time")
        self.refuse("another time before", lambda r: own(r).update({30: own(r)[30] + 1}), name, "reset")
        self.refuse("no step back", lambda r: (own(r).update({30: own(r)[5]}), host(r).update({30: own(r)[5]})), name, "back")
        self.refuse("replayed", lambda r: r[0].update({36: True}), name, "replayed")
        self.refuse("stranger", lambda r: host(r).update({"signer": forge.STRANGER}), name, "operator")
        self.refuse("counter", lambda r: host(r)[9].__setitem__(2, 1), name, "counter")
        self.refuse("unsigned", lambda r: host(r).pop(9), name, "signed")
        self.refuse("signature", lambda r: self.set(host(r), 9, ["operator", forge.OPERATOR.public, 2, bytes(64)]), name, "signature")

    def test_hostile_schemas(self):
        """A schema with anything in any place: it may bound nothing then, but ends no verifier."""
        junk = [None, True, -1, (1 << 64) - 1, 1e308, "x", b"z", [], {}, [1], {"a": 1}, [{"name": "counts", "then": "retry"}]]

        def places(value, path=()):
            items = value.items() if type(value) is dict else enumerate(value) if type(value) is list else ()
            for key, item in items:
                yield path + (key,)
                yield from places(item, path + (key,))

        seeded = random.Random(24)
        schema = cbor2.loads(self.find(self.plain["golden"], 1)[37])
        for path in seeded.sample(list(places(schema)), 80):
            def spoil(records):
                changed = copy.deepcopy(schema)
                inner = changed
                for key in path[:-1]:
                    inner = inner[key]
                inner[path[-1]] = seeded.choice(junk)
                before, record = forge.sha256(self.find(records, 1)[37]), self.find(records, 1)
                record[37] = forge.encode(changed)
                for other in records:
                    if other.get(17) == before:
                        other[17] = forge.sha256(record[37])
            with self.subTest(path):
                self.assertFalse([p for p in self.verdict(spoil)["problems"] if "could not be checked" in p["what"]])

    def test_flipped_bits_of_signed_records(self):
        """Most of them are found by a check of their own; the others change what only CEL could tell. None ends the verifier."""
        seeded = random.Random(23)
        for _ in range(150):
            name = seeded.choice(GOLDEN)
            records = copy.deepcopy(self.plain[name])
            record = seeded.choice(records)
            data = bytearray(forge.encode({key: value for key, value in record.items() if type(key) is int}))
            bit = seeded.randrange(8 * len(data))
            data[bit // 8] ^= 1 << bit % 8
            record["bytes"] = bytes(data)
            verdict = abide_verify.verify(forge.encode(forge.commit(records, self.blobs[name])))
            self.assertFalse([p for p in verdict["problems"] if "could not be checked" in p["what"]])


FIRST = {
    "schema": "abide/v1", "name": "tank", "version": "1.0.0",
    "fields": {
        "temp": {"type": "number", "minimum": -50.0, "maximum": 60.0, "default": 10.0}, "count": {"type": "integer", "maximum": 100, "default": 0},
        "percent": {"type": "number", "default": 50.0}, "wind": {"type": "number", "nullable": True},
        "note": {"type": "string", "maxLength": 8, "default": "none"}, "wait": {"type": "string", "format": "duration", "default": "1m30s"},
        "recent": {"type": "array", "items": {"type": "integer"}, "maxItems": 4, "default": [1, 2]},
    },
    "mutations": {
        "observe": {"from": ["observation", "operator"], "set": {"temp": "0", "count": "0", "wind": "0"}},
        "heat": {"from": ["rule"], "cost": 60, "set": {"temp": "self.temp + 1.0"}},
        "signal": {"from": ["observation"], "effect": {"interface": "a:b/c", "function": "f", "valid_for": "1h"}},
    },
    "rules": [{"name": "heats", "then": {"mutate": "heat"}}, {"name": "plans", "then": {"act": "plan"}},
              {"name": "rests", "then": {"sleep": {"for": "1h"}}}, {"name": "breeds", "then": {"spawn": {"schema": "seed"}}}],
    "trust_slope": {"budget": 100, "refill": {"amount": 10, "per": "1h"}, "drift": {"temp": {"from": 10.0, "within": 30.0}}},
}
SECOND = copy.deepcopy(FIRST) | {
    "version": "1.1.0",
    "fields": {
        "temperature": FIRST["fields"]["temp"], "count": {"type": "number", "maximum": 1000.0}, "level": {"type": "number", "maximum": 8.0},
        "note": FIRST["fields"]["note"], "wait": FIRST["fields"]["wait"], "site": {"type": "string", "enum": ["north", "south"]},
        "recent": {"type": "array", "items": {"type": "number"}, "maxItems": 4}, "wind": {"type": "integer", "nullable": True},
    },
    "mutations": {
        "heat": {"from": ["rule"], "cost": 60, "set": {"temperature": "self.temperature + 1.0"}},
        "remark": {"from": ["observation"], "set": {"note": "0", "temperature": "0", "wind": "0"}},
        "signal": FIRST["mutations"]["signal"],
    },
    "trust_slope": {"budget": 120, "refill": {"amount": 10, "per": "1h"}, "drift": {"temperature": {"from": 10.0, "within": 30.0}}},
    "migration": {"from": ["1.0.0"], "rename": {"temp": "temperature"}, "set": {"level": "self.percent * 0.08"}, "default": {"site": "north"},
                  "remove": ["percent", "wind"]},
}
SEED = {"schema": "abide/v1", "name": "seed", "version": "1.0.0", "fields": {}, "mutations": {}}
MINUTE, SPAWNED = 90 * 10**9, forge.sha256(b"spawned")
CHILD = forge.sha256(b"\2" + SPAWNED + bytes(4)).hex()


class Upgraded(unittest.TestCase):
    """An object whose schema is upgraded, whose upgrade is reverted, and whose behaviour is upgraded then."""

    blobs = [forge.encode({}), forge.encode({"a": "b"})]

    def setUp(self):
        self.first, self.second = copy.deepcopy(FIRST), copy.deepcopy(SECOND)

    def story(self):
        """Records by name. What has another tick is a second later."""
        old, new = forge.encode(self.first), forge.encode(self.second)
        acts = [[forge.sha256(b""), forge.sha256(blob)] for blob in self.blobs]
        signed = lambda counter: ["operator", b"", counter, b""]
        values = {"temperature": 14.0, "count": 3.0, "level": 4.0, "note": "none", "wait": MINUTE, "site": "north", "recent": [1.0, 2.0]}
        back = {"temp": 16.0, "count": 3, "percent": 50.0, "wind": 2.5, "note": "warm", "wait": MINUTE, "recent": [1, 2]}
        story = {
            "host": {0: 0, 1: "@host", 21: "", 32: 1, 36: True},
            "schema": {0: 1, 1: "@host", 37: old, 41: acts[0]},
            "new schema": {0: 1, 1: "@host", 37: new, 41: acts[0], 43: True},
            "seed": {0: 1, 1: "@host", 37: forge.encode(SEED)},
            "genesis": {0: 3, 12: {}, 17: forge.sha256(old), 18: [[["operator", b""]], [], [8, 8, 4, 8]], 21: "", 22: 0, 41: acts[0]},
            "observed": {0: 4, 7: "observe", 8: 2, 9: "gauge", 11: {}, 12: {"temp": 13.0, "count": 3, "wind": 2.5}},
            "signal": {0: 4, 7: "signal", 8: 2, 9: "gauge", 11: {}, 12: {}, 15: []},
            "heated": {0: 4, 7: "heat", 8: 0, 10: "heats", 11: {}, 12: {"temp": 14.0}, 13: 60_000_000},
            "upgrade": {0: 22, 9: signed(1), 12: values, 17: forge.sha256(new), 41: acts[0], 42: forge.sha256(old)},
            "remark": {0: 4, 7: "remark", 8: 2, 9: "gauge", 11: {}, 12: {"note": "warm", "temperature": 15.0}},
            "heated again": {0: 4, 7: "heat", 8: 0, 10: "heats", 11: {}, 12: {"temperature": 16.0}, 13: 60_000_000},
            "revert": {0: 22, 9: signed(2), 12: back, 17: forge.sha256(old), 27: 4, 41: acts[0], 42: forge.sha256(new)},
            "outcome": {0: 19, 26: 1, 27: 2, 28: 0},
            "observed again": {0: 4, 7: "observe", 8: 2, 9: "gauge", 11: {}, 12: {"temp": 17.0, "wind": None}},
            "behaviour": {0: 22, 9: signed(3), 41: acts[1]},
            "last": {0: 4, 7: "observe", 8: 2, 9: "gauge", 11: {}, 12: {"temp": 18.0}},
        }
        for tick, record in enumerate(story.values()):
            self.stamp(record, max(tick - 3, 0))
        return story

    @staticmethod
    def stamp(record, tick):
        record |= {1: record.get(1, "tank"), 2: 0, 4: tick, 5: 10**18 + tick * 10**9}
        if record[0] not in (0, 3):
            record |= {3: b"", 6: 0}

    def problems(self, change):
        self.setUp()
        story = self.story()
        change(story)
        records = list(story.values())
        seqs = {name: sum(other[1] == record[1] for other in records[:records.index(record)]) for name, record in story.items()}
        held = {digest for record in records if 41 in record and record[1] != "@host" for digest in record[41]}
        blobs = [blob for blob in self.blobs if forge.sha256(blob) in held]
        verdict = abide_verify.verify(forge.encode(forge.commit(records, blobs)))
        return verdict["problems"], seqs

    def accept(self, what, change=lambda story: None):
        with self.subTest(what):
            self.assertEqual(self.problems(change)[0], [])

    def refuse(self, what, change, saying, at="upgrade"):
        """It is refused for what is said, of the record that is named, and for nothing else in that lineage."""
        with self.subTest(what):
            problems, seqs = self.problems(change)
            self.assertEqual([(problem["object"], problem["seq"]) for problem in problems], [("tank", seqs[at])], problems)
            self.assertIn(saying, problems[0]["what"])

    @staticmethod
    def cut(story, after):
        """Leaves out what follows a record."""
        names = list(story)
        for name in names[names.index(after) + 1:]:
            del story[name]

    def value(self, name, value, at="upgrade"):
        def change(story):
            self.cut(story, at)
            story[at][12][name] = value
        return change

    def schemas(self, edit, change=lambda story: None, after="upgrade"):
        """A change of the story with other schemas, up to a record."""
        def with_schemas(story):
            self.setUp()
            edit(self)
            story.clear()
            story.update(self.story())
            self.cut(story, after)
            change(story)
        return with_schemas

    def test_as_it_is(self):
        self.accept("the whole story")
        for name in list(self.story())[4:]:
            self.accept(f"up to {name}", lambda s: self.cut(s, name))

    def test_what_takes_force(self):
        last = forge.sha256(b"last")
        self.refuse("another schema before", lambda s: s["upgrade"].update({42: last}), "`was`")
        self.refuse("the schema before as the new one", lambda s: (self.cut(s, "upgrade"), s["upgrade"].update({17: s["upgrade"][42]})), "same name")
        self.refuse("a schema that is not there", lambda s: s["upgrade"].update({17: last}), "not in the bundle")
        self.refuse("a schema that is left out", lambda s: s.pop("new schema"), "not in the bundle")
        self.refuse("a schema that stands after it", lambda s: (self.cut(s, "upgrade"), s.update(later=s.pop("new schema")), self.stamp(s["later"], 6)),
                    "stands after it")
        self.refuse("another name", self.schemas(lambda t: t.second.update(name="tin")), "same name")
        self.refuse("a version that it does not take over from", self.schemas(lambda t: t.second["migration"].update({"from": ["0.9.0", "1.1.0"]})), "version")
        self.accept("one of several", self.schemas(lambda t: t.second["migration"].update({"from": ["0.9.0", "1.0.0"]})))
        self.refuse("no behaviour", lambda s: (self.cut(s, "upgrade"), s["upgrade"].pop(41)), "behaviour")
        self.refuse("a behaviour without acts", self.schemas(lambda t: t.second.update(rules=[])), "behaviour")
        self.accept("neither", self.schemas(lambda t: t.second.update(rules=[]), lambda s: s["upgrade"].pop(41)))

        def plan(story):
            story["upgrade"].pop(41)
            story["planned"] = {0: 22, 9: ["operator", b"", 2, b""], 41: story["genesis"][41]}
            self.stamp(story["planned"], 6)
        self.refuse("a behaviour where there are no acts", self.schemas(lambda t: t.second.update(rules=[]), plan), "no acts", "planned")
        for key in (12, 17, 42):
            self.problem_of_form("a key less", lambda s: s["upgrade"].pop(key))
        self.problem_of_form("nothing", lambda s: [s["upgrade"].pop(key) for key in (12, 17, 41, 42)])
        self.refuse("the behaviour that is in force", lambda s: (self.cut(s, "behaviour"), s["behaviour"].update({41: s["genesis"][41]})),
                    "in force", "behaviour")

        def spawn(story):
            story["spawn"] = self.child(story, forge.sha256(forge.encode(SEED)))
        self.refuse("a schema for upgrades as that of a child", lambda s: (spawn(s), s["seed"].update({43: True})), "for children", "spawn")

        def other_seed(story):
            story["other seed"] = {0: 1, 1: "@host", 37: forge.encode(SEED | {"version": "1.0.1"})}
            self.stamp(story["other seed"], 20)
            spawn(story)
        self.refuse("a schema for children that is not the last", other_seed, "for children", "spawn")

    def problem_of_form(self, what, change):
        with self.subTest(what):
            problems, seqs = self.problems(change)
            self.assertEqual([(problem["object"], problem["seq"]) for problem in problems], [("tank", seqs["upgrade"])])

    def child(self, story, schema, allotment=None):
        spawn = {0: 9, 10: "breeds", 16: 0, 17: schema, "hash": SPAWNED} | ({20: allotment} if allotment else {})
        self.stamp(spawn, max(record[4] for record in story.values()) + 1)
        return spawn

    def test_memory(self):
        self.refuse("a field that is lost", self.schemas(lambda t: t.second["migration"].update(remove=["wind"])), "lost")
        self.refuse("a field that is lost without a migration", self.schemas(lambda t: t.second.pop("migration")), "lost")
        self.refuse("a value that was renamed", self.value("temperature", 13.0), "comes over")
        self.refuse("a value of the same name", self.value("note", "nine"), "comes over")
        self.refuse("a value within an array", self.value("recent", [1.0, 3.0]), "comes over")
        self.refuse("an integer that became a number", self.value("count", 4.0), "comes over")
        self.refuse("an integer that did not", self.value("count", 3), "cannot have")
        self.refuse("a default", self.value("site", "south"), "comes over")
        self.refuse("a value that was given up", self.value("wind", 2), "comes over")
        self.refuse("a default in another form", self.value("wait", "1m30s"), "cannot have")
        self.accept("what an expression came to", self.value("level", 7.5))
        self.refuse("what no expression can come to", self.value("level", 8.5), "cannot have")
        self.refuse("nothing from an expression", lambda s: (self.cut(s, "upgrade"), s["upgrade"][12].pop("level")), "no value")
        self.accept("nothing, where it may", self.schemas(lambda t: t.second["fields"]["level"].update(nullable=True),
                                                            lambda s: s["upgrade"][12].pop("level")))
        self.refuse("a null", self.value("wind", None), "null")
        self.refuse("a field of the schema before", self.value("temp", 14.0), "no field")
        self.refuse("a field left out", lambda s: (self.cut(s, "upgrade"), s["upgrade"][12].pop("note")), "comes over")
        self.refuse("a value out of bounds", self.schemas(lambda t: t.second["fields"]["note"].update(maxLength=3)), "cannot have")
        self.refuse("an array that is too long", self.schemas(lambda t: t.second["fields"]["recent"].update(maxItems=1)), "cannot have")
        self.refuse("a number that became an integer", self.schemas(lambda t: t.second["fields"].update(temperature={"type": "integer"}),
                                                                    self.value("temperature", 14)), "type")
        no_default = self.schemas(lambda t: t.second["migration"].pop("default"), lambda s: s["upgrade"][12].pop("site"))
        self.refuse("no value where there must be one", no_default, "no value")

        def without_defaults(t):
            t.second["migration"].pop("default")
            t.first["fields"]["note"].pop("default")
        incomplete = self.schemas(without_defaults, lambda s: s["upgrade"][12].pop("site"))
        self.accept("no value where one lacked before", incomplete)
        same = lambda t: (t.second["migration"].update(remove=["percent"]),
                          t.second["fields"].update(wind=t.first["fields"]["wind"] | {"default": 1.0}))
        self.accept("a value of a field that may be null", self.schemas(same, lambda s: s["upgrade"][12].update(wind=2.5)))
        self.accept("which is", self.schemas(same, lambda s: s["observed"][12].pop("wind")))
        self.refuse("it does not become its default",
                    self.schemas(same, lambda s: (s["observed"][12].pop("wind"), s["upgrade"][12].update(wind=1.0))), "comes over")
        self.refuse("a field whose type is another", self.schemas(lambda t: t.second["migration"].update(remove=["percent"])), "type")

    def test_law_after_it(self):
        self.refuse("a mutation of the schema before", lambda s: s["remark"].update({7: "observe"}), "mutation", "remark")
        self.refuse("a mutation of the new one before it", lambda s: s["observed"].update({7: "remark"}), "mutation", "observed")
        self.refuse("a mutation of the new one after a reversal", lambda s: s["observed again"].update({7: "remark"}), "mutation", "observed again")
        self.refuse("a value in the form before", lambda s: (self.cut(s, "remark"), s["remark"][12].update({"wind": 2.0})), "cannot have", "remark")
        self.refuse("force before", lambda s: self.force(s["remark"], 0), "force", "remark")
        self.refuse("force of itself", lambda s: self.force(s["upgrade"], 4), "force")
        self.refuse("force after a reversal", lambda s: self.force(s["outcome"], 0), "force", "outcome")
        self.refuse("a sealed object", lambda s: self.before_upgrade(s, seal={0: 15, 9: ["operator", b"", 0, b""]}), "sealed")
        self.refuse("drift", lambda s: (self.cut(s, "remark"), s["remark"][12].update(temperature=41.0)), "drift", "remark")
        self.refuse("drift by the upgrade", self.schemas(lambda t: t.second["trust_slope"]["drift"]["temperature"].update({"from": -20.0})), "drift")
        self.refuse("an effect that is under way", self.schemas(lambda t: t.second["mutations"].pop("signal")), "under way")
        other = {"from": ["observation"], "effect": {"interface": "a:b/c", "function": "g", "valid_for": "1h"}}
        self.refuse("another effect that is under way", self.schemas(lambda t: t.second["mutations"].update(signal=other)), "under way")

        def rest(story):
            self.before_upgrade(story, asleep={0: 10, 10: "rests"})
            story["awake"] = {0: 11}
            self.stamp(story["awake"], 7)
        self.accept("sleep that goes on", rest)
        no_rest = lambda t: t.second.update(rules=[rule for rule in SECOND["rules"] if rule["name"] != "rests"])
        self.refuse("sleep by a rule that is gone", self.schemas(no_rest, rest), "sleep", "awake")

    @staticmethod
    def force(record, seq):
        record.update({6: seq, "as it is": {6}})

    def before_upgrade(self, story, **records):
        """What happened before the upgrade, after which the story ends."""
        self.cut(story, "upgrade")
        upgrade = story.pop("upgrade")
        story.update(records, upgrade=upgrade)
        for tick, record in enumerate([*records.values(), upgrade], 5):
            self.stamp(record, tick)

    def test_drift_from_where_an_operator_put_it(self):
        def adjust(story):
            self.cut(story, "upgrade")
            story["observed"].update({8: 3, 9: ["operator", b"", 0, b""], 12: {"temp": 45.0, "count": 3}})
            story["heated"][12]["temp"] = 46.0
            story["upgrade"][12]["temp"] = 46.0
            story["upgrade"][12].pop("temperature")
        keep = lambda t: (t.second["fields"].update(temp=t.second["fields"].pop("temperature")), t.second["migration"].pop("rename"),
                          t.second["trust_slope"].update(drift=copy.deepcopy(t.first["trust_slope"]["drift"])))
        self.accept("of the same name and `from`", self.schemas(keep, adjust))
        other = lambda t: (keep(t), t.second["trust_slope"]["drift"]["temp"].update({"from": 11.0}))
        self.refuse("of another `from`", self.schemas(other, adjust), "drift")

    def test_slope(self):
        slope = lambda **keys: (lambda t: t.second["trust_slope"].update(keys))
        costs = lambda cost: (lambda s: s["heated again"].update({13: cost}))
        self.accept("what is left of a greater budget", costs(60_000_000))
        self.refuse("what was spent before", costs(61_000_000), "slope", "heated again")
        self.refuse("the same slope", self.schemas(slope(budget=100), after="heated again"), "slope", "heated again")
        self.accept("the same slope, within it", self.schemas(slope(budget=100), costs(40_000_000), "heated again"))
        self.refuse("another refill", self.schemas(slope(budget=100, refill={"amount": 20, "per": "1h"}), after="heated again"), "slope", "heated again")
        self.refuse("spent, and not refilled by a reversal", lambda s: s["observed again"].update(
            {7: "heat", 8: 0, 10: "heats", 12: {"temp": 17.0}, 13: 60_000_000}) or s["observed again"].pop(9), "slope", "observed again")
        no_slope = lambda t: t.second.pop("trust_slope")
        self.accept("none", self.schemas(no_slope, costs(999_000_000), "heated again"))
        # 60 were spent of 100: of 5, then of 100 again, 40 are left.
        def again(cost):
            def spends(story):
                story["heated again"].pop(13)
                story["observed again"].update({7: "heat", 8: 0, 10: "heats", 12: {"temp": 17.0}, 13: cost})
                story["observed again"].pop(9)
            return self.schemas(slope(budget=5), spends, "observed again")
        self.accept("what a smaller budget had no room for is owed", again(40_000_000))
        self.refuse("and not forgiven", again(41_000_000), "slope", "observed again")
        begins = lambda t: t.first.update(trust_slope={})
        self.accept("one that begins", self.schemas(begins, costs(120_000_000), "heated again"))
        self.refuse("one that begins, and no more", self.schemas(begins, costs(120_000_001), "heated again"), "slope", "heated again")

    def test_slope_of_families(self):
        hour = 3600 * 10**9

        def with_child(story, allotment=None):
            schema, upgrade = forge.sha256(story["seed"][37]), story.pop("upgrade")
            spawn = story["spawn"] = self.child(story, schema, allotment)
            story["child"] = copy.deepcopy(story["genesis"]) | {1: CHILD, 4: spawn[4], 5: spawn[5], 17: schema, 19: ["tank", SPAWNED], 22: 1}
            story["child"].pop(41)
            if allotment:
                story["child"][20] = allotment
            self.stamp(upgrade, spawn[4] + 1)
            story["upgrade"] = upgrade
        part = [30_000_000, 30_000_000, 2_000_000, hour]
        slope = lambda **keys: (lambda t: t.second["trust_slope"].update(keys))
        self.accept("a living child", self.schemas(lambda t: None, lambda s: with_child(s, part)))
        self.refuse("a budget below a child's", self.schemas(slope(budget=29), lambda s: with_child(s, part)), "than there is")
        self.refuse("a refill below a child's", self.schemas(slope(refill={"amount": 1, "per": "1h"}), lambda s: with_child(s, part)), "than there is")
        self.refuse("another period", self.schemas(slope(refill={"amount": 10, "per": "2h"}), lambda s: with_child(s, part)), "period")
        self.accept("none", self.schemas(lambda t: t.second.pop("trust_slope"), lambda s: with_child(s, part)))
        begins = lambda t: t.first.update(trust_slope={})
        self.refuse("a slope that begins", self.schemas(begins, lambda s: with_child(s, part)), "begins")
        self.accept("a slope that begins, and a child without a part", self.schemas(begins, with_child))

    def test_reversals(self):
        value = lambda name, value: self.value(name, value, "revert")
        self.refuse("a value of now", value("temp", 14.0), "comes over", "revert")
        self.refuse("a value of then", value("note", "none"), "comes over", "revert")
        self.refuse("a number for an integer", value("count", 4), "comes over", "revert")
        self.refuse("a value that was given up", value("percent", 0.0), "comes over", "revert")
        self.refuse("a field of then left out", lambda s: (self.cut(s, "revert"), s["revert"][12].pop("wind")), "comes over", "revert")
        self.refuse("a field that is gone", value("site", "north"), "no field", "revert")
        self.refuse("out of bounds", value("temp", 61.0), "cannot have", "revert")
        nullable = lambda t: t.second["fields"]["note"].update(nullable=True)

        def silent(story):
            story["remark"][12]["note"] = None
        self.accept("a value of then, where there is none", self.schemas(nullable, lambda s: (silent(s), s["revert"][12].update(note="none")), "revert"))
        self.refuse("no value, where there was one", self.schemas(nullable, lambda s: (silent(s), s["revert"][12].pop("note")), "revert"), "comes over", "revert")
        both = lambda t: (nullable(t), t.first["fields"]["note"].update(nullable=True))
        self.accept("none, where there may be none", self.schemas(both, lambda s: (silent(s), s["revert"][12].pop("note")), "revert"))
        longer = lambda t: t.second["fields"]["note"].update(maxLength=20)

        def remark(story, note):
            story["remark"][12]["note"], story["revert"][12]["note"] = "more than eight", note
        self.accept("a value of now that does not fit", self.schemas(longer, lambda s: remark(s, "none"), "revert"))
        self.refuse("it is not taken over", self.schemas(longer, lambda s: remark(s, "more tha"), "revert"), "comes over", "revert")
        pattern = lambda t: t.first["fields"]["note"].update(pattern="^[a-z]+$")
        for note in ("warm", "none"):
            self.accept("a pattern is not checked", self.schemas(pattern, lambda s: s["revert"][12].update(note=note), "revert"))
        self.refuse("what is neither", self.schemas(pattern, lambda s: s["revert"][12].update(note="cold"), "revert"), "comes over", "revert")
        self.refuse("another schema", lambda s: s["revert"].update({17: s["upgrade"][17]}), "comes back", "revert")
        self.refuse("another behaviour", lambda s: s["revert"].update({41: s["behaviour"][41]}), "comes back", "revert")
        self.refuse("no schema", lambda s: (self.cut(s, "revert"), [s["revert"].pop(key) for key in (12, 17, 42)]), "comes back", "revert")
        self.refuse("a record that is no upgrade", lambda s: s["revert"].update({27: 3}), "reverts", "revert")
        self.refuse("nothing", lambda s: s["revert"].update({27: 0}), "reverts", "revert")

        def again(story):
            self.cut(story, "revert")
            story["again"] = copy.deepcopy(story["revert"])
            story["again"].update({9: ["operator", b"", 3, b""]})
            self.stamp(story["again"], 20)
        self.refuse("twice", again, "reverts", "again")
        self.refuse("a reversal", lambda s: (again(s), s["again"].update({27: 7})), "reverts", "again")

        def of_behaviour(story, of, back):
            story["again"] = {0: 22, 9: ["operator", b"", 4, b""], 27: of, 41: back}
            self.stamp(story["again"], 20)
        self.accept("of the behaviour", lambda s: of_behaviour(s, 10, s["genesis"][41]))
        self.refuse("of the behaviour, to itself", lambda s: of_behaviour(s, 10, s["behaviour"][41]), "comes back", "again")
        self.refuse("of an upgrade before the last", lambda s: of_behaviour(s, 4, s["genesis"][41]), "reverts", "again")

    def test_signatures(self):
        last = forge.sha256(b"last")
        for name, instead in {"another schema": {17: last}, "no schema": {17: None}, "another behaviour": {41: [last, last]},
                              "no behaviour": {41: None}, "a reversal": {27: 4}}.items():
            self.refuse(name, lambda s: s["upgrade"].update({"signed as": instead}), "signature")
        self.refuse("an upgrade", lambda s: s["revert"].update({"signed as": {27: None}}), "signature", "revert")
        self.refuse("the schema that goes", lambda s: s["revert"].update({"signed as": {17: s["upgrade"][17]}}), "signature", "revert")
        self.refuse("stranger", lambda s: s["upgrade"].update(signer=forge.STRANGER), "operator")
        self.refuse("counter", lambda s: s["revert"].update({9: ["operator", b"", 1, b""]}), "counter", "revert")
        self.refuse("with a schema", lambda s: s["behaviour"].update({"signed as": {17: last}}), "signature", "behaviour")

    def test_malformed_schemas(self):
        schema = lambda **keys: abide_verify.Schema(forge.encode(SECOND | keys))
        self.assertEqual(schema().versions, ["1.0.0"])
        for migration in ({"from": None}, {"from": "1.0.0"}, {"remove": [1]}, {"rename": {"a": 1}}, {"rename": {"a": "b"}}, {"set": {"b": "1"}},
                          {"default": {"b": 1}}, {"default": {"wait": "90s"}}):
            with self.subTest(migration):
                self.assertRaises(abide_verify.Problem, schema, migration={"from": ["1.0.0"]} | migration)
        self.assertRaises(abide_verify.Problem, schema, migration={})
        for keys in ({"name": 1}, {"version": None}, {"fields": {"a": 1}}, {"trust_slope": {"refill": {"amount": 1, "per": "0s"}}}):
            with self.subTest(keys):
                self.assertRaises(abide_verify.Problem, schema, **keys)

    def test_bounds(self):
        for kind, good, bad in (
                ({"type": "integer", "multipleOf": 3}, (0, -6), (1, 3.0)), ({"type": "number", "multipleOf": 0.1}, (0.3, -1.2), (0.35,)),
                ({"type": "string", "minLength": 1, "maxLength": 2}, ("\u00e9\u00e9",), ("", "abc")),
                ({"type": "string", "format": "byte", "maxLength": 2}, (b"",), (b"abc",)),
                ({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2}, ([True],), ([], [True] * 3)),
                ({"type": "object", "additionalProperties": {"type": "boolean"}, "maxProperties": 1}, ({"a": True},), ({"a": True, "b": True},)),
                ({"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"type": "boolean"}}, "required": ["a"]},
                 ({"a": True},), ({}, {"b": True}))):
            for value in good:
                self.assertTrue(abide_verify.fits(value, kind), (value, kind))
            for value in bad:
                self.assertFalse(abide_verify.fits(value, kind), (value, kind))

    def test_values_as_data(self):
        for kind, data, value in (
                ({"type": "number"}, 3, 3.0), ({"type": "string", "format": "duration"}, "-1h30m", -5400 * 10**9),
                ({"type": "string", "format": "byte"}, "YWI=", b"ab"),
                ({"type": "string", "format": "date-time"}, "1970-01-01T00:00:01.5Z", 1_500_000_000),
                ({"type": "array", "items": {"type": "string", "format": "duration"}}, ["0s"], [0]),
                ({"type": "object", "additionalProperties": {"type": "number"}}, {"a": 1}, {"a": 1.0}),
                ({"type": "object", "properties": {"a": {"type": "number"}}}, {"a": 1}, {"a": 1.0})):
            with self.subTest(data):
                self.assertEqual(abide_verify.value_of(data, kind), value)
                self.assertEqual(type(abide_verify.value_of(data, kind)), type(value))
        properties = {"a": {"type": "integer"}, "b": {"type": "integer", "default": 2}, "c": {"type": "integer", "nullable": True}}
        self.assertEqual(abide_verify.value_of({"a": 1}, {"type": "object", "properties": properties}), {"a": 1, "b": 2, "c": None})
        for form, data in (("duration", "90s"), ("duration", "1h0m"), ("date-time", "1970-13-01T00:00:00Z"), ("date-time", "now"),
                           ("date-time", "2500-01-01T00:00:00Z"), ("byte", "?"), ("byte", "AB==")):
            self.assertRaises(abide_verify.Problem, abide_verify.value_of, data, {"type": "string", "format": form})

    def test_values_of_one_type_as_of_another(self):
        integer, number, text_, wait = {"type": "integer"}, {"type": "number"}, {"type": "string"}, {"type": "string", "format": "duration"}
        many = lambda kind: {"type": "array", "items": kind}
        of = lambda **kinds: {"type": "object", "properties": kinds}
        by_name = lambda kind: {"type": "object", "additionalProperties": kind}
        for old, new in ((integer, number), (many(integer), many(number)), (of(a=integer), of(a=number, b=wait)), (by_name(integer), by_name(number))):
            self.assertTrue(abide_verify.goes_to(old, new) and not abide_verify.goes_to(new, old), (old, new))
        for old, new in ((text_, wait), (many(text_), many(wait)), (of(a=text_), of(a=wait)), (by_name(text_), by_name(wait)), (of(a=integer), by_name(integer))):
            self.assertFalse(abide_verify.goes_to(old, new) or abide_verify.goes_to(new, old), (old, new))
        for value, old, new, carried in (
                (3, integer, number, 3.0), (2**53, integer, number, 2.0**53), (5.0, number, integer, 5), ([1], many(integer), many(number), [1.0]),
                ({"a": 1}, of(a=integer), of(a=number, b=integer | {"default": 7}), {"a": 1.0, "b": 7}), ({"x": 2.0}, by_name(number), by_name(integer), {"x": 2})):
            result = abide_verify.carried(value, old, new)
            self.assertEqual(forge.encode(result), forge.encode(carried))
        for value, old, new in ((2**53 + 1, integer, number), ([2**63 - 1], many(integer), many(number)), (5.5, number, integer), (2.0**63, number, integer),
                                ({"b": 1}, of(a=integer, b=integer), of(a=integer))):
            self.assertRaises(abide_verify.Problem, abide_verify.carried, value, old, new)


if __name__ == "__main__":
    unittest.main()
