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
GOLDEN = ("golden", "golden-clock", "golden-refill", "golden-upgrade")


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


if __name__ == "__main__":
    unittest.main()
