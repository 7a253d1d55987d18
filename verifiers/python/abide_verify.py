#!/usr/bin/env python3
"""Verifies an Abide bundle offline, from docs/formats/bundle.md and docs/formats/lineage.md alone.

It checks all that the section "What a verifier checks" lists but what takes CEL: changes and costs of mutations, and what `set`
of a migration comes to, are taken as recorded. What a schema holds is that of docs/schema.md. Nothing in a bundle ends it
otherwise than with a verdict.
"""
import argparse
import base64
import binascii
import datetime
import hashlib
import json
import math
import re
import struct
import sys

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

BUNDLE_BYTES_MAX = 1 << 30
PROOF_HASHES_MAX = 128
# The pages bound no depth; types nest 16 deep and documents 64, so this is never reached.
DEPTH_MAX = 128
U64_MAX = (1 << 64) - 1
I64_MIN, I64_MAX = -(1 << 63), (1 << 63) - 1
MILLION = 1_000_000

HOST_OBJECT = "@host"
(HOST, SCHEMA, PROGRESS, GENESIS, MUTATION, DENIAL, DENIALS, HOLD, IDLE, SPAWN, SLEEP, WAKE, RETRY, QUARANTINE, RELEASE,
 SEAL, TERMINATE, POLICY, PAUSE, OUTCOME, CHILD_ENDED, CLOCK, UPGRADE) = range(23)
RULE, BEHAVIOUR, OBSERVATION, OPERATOR, COMPONENT, PARENT = range(6)
CALLERS = ("rule", "behaviour", "observation", "operator", "component", "parent")


class Problem(Exception):
    """What is wrong, and with which record of which object, where there is one."""

    def __init__(self, what, object=None, seq=None):
        super().__init__(what)
        self.what, self.object, self.seq = what, object, seq

    def as_json(self):
        return {"object": self.object, "seq": self.seq, "what": self.what}


def need(condition, what, object=None, seq=None):
    if not condition:
        raise Problem(what, object, seq)


# --- Hashes, keys and signatures ---


def sha256(data):
    return hashlib.sha256(data).digest()


def leaf_hash(record):
    return sha256(b"\0" + record)


def node_hash(left, right):
    return sha256(b"\1" + left + right)


def root_from_inclusion(leaf, index, size, proof):
    """The root that a proof of inclusion (RFC 6962 §2.1.1) leads to, or None if it has not the form of one."""
    if index >= size:
        return None
    last, root = size - 1, leaf
    for sibling in proof:
        if last == 0:
            return None
        if index & 1 or index == last:
            root = node_hash(sibling, root)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        index, last = index >> 1, last >> 1
    return root if last == 0 else None


def is_consistent(old_size, old_root, size, root, proof):
    """Whether a proof of consistency (RFC 6962 §2.1.2) shows that the one tree grew into the other."""
    if old_size > size:
        return False
    if old_size == size:
        return not proof and old_root == root
    if old_size == 0:
        return not proof and old_root == sha256(b"")
    if not proof:
        return False
    index, last, path = old_size - 1, size - 1, list(proof)
    while index & 1:
        index, last = index >> 1, last >> 1
    old = new = path.pop(0) if index else old_root
    for sibling in path:
        if last == 0:
            return False
        if index & 1 or index == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and old == old_root and new == root


def signature_holds(key, signature, message):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def host_key(identity):
    """The Ed25519 key of a host's identity: an nkey with the prefix byte of servers, or None."""
    if not re.fullmatch("N[A-Z2-7]{55}", identity):
        return None
    data = base64.b32decode(identity)
    body, checksum = data[:-2], data[-2:]
    # CRC-16/XMODEM.
    return body[1:] if body[0] == 13 << 3 and binascii.crc_hqx(body, 0) == int.from_bytes(checksum, "little") else None


def key_id(origin, key):
    return sha256(origin.encode() + b"\n\x01" + key)[:4]


def log_key_text(origin, key):
    return f"{origin}+{key_id(origin, key).hex()}+{base64.b64encode(bytes([1]) + key).decode()}"


def parse_log_key(text):
    """The origin and the key of `origin+id+key`, or None."""
    match = re.fullmatch(r"([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})", text)
    if not match:
        return None
    data = base64.b64decode(match[3])
    if len(data) != 33 or text != log_key_text(match[1], data[1:]):
        return None
    return match[1], data[1:]


def is_origin(text):
    return 1 <= len(text.encode()) <= 255 and not any(c.isspace() or c == "+" or c < " " or "\x7f" <= c <= "\x9f" for c in text)


def read_note(text, origin, key):
    """The size and the root of a checkpoint that is exactly in the form of the page, and signed with the key."""
    lines = text.split("\n")
    need(len(lines) == 6 and lines[3] == "" and lines[5] == "", "a checkpoint has three lines, an empty one and a signature")
    need(lines[0] == origin, f"the checkpoint is of `{lines[0][:300]}`, not of the origin `{origin}`")
    need(re.fullmatch("0|[1-9][0-9]{0,19}", lines[1]) and int(lines[1]) <= U64_MAX, "the size of a checkpoint is not in its one form")
    root = base64_exactly(lines[2], 32)
    need(root is not None, "the root of a checkpoint is not in its one form")
    prefix = f"\u2014 {origin} "
    need(lines[4].startswith(prefix), "the signature of a checkpoint does not name its origin")
    stamp = base64_exactly(lines[4][len(prefix):], 68)
    need(stamp is not None, "the signature of a checkpoint is not in its one form")
    need(stamp[:4] == key_id(origin, key), "a checkpoint is not signed with the log key")
    signed = "".join(line + "\n" for line in lines[:3]).encode()
    need(signature_holds(key, stamp[4:], signed), "the signature of a checkpoint does not hold")
    return int(lines[1]), root


def base64_exactly(text, length):
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        return None
    return data if len(data) == length and base64.b64encode(data).decode() == text else None


# --- Deterministic CBOR (RFC 8949 §4.2.1) ---


def decode(data):
    """The value of bytes that are its one encoding. The walk before cbor2 bounds what that comes to see."""
    walk(data)
    try:
        return cbor2.loads(data)
    except Exception as error:  # Text that is no UTF-8 is left to cbor2, which names its errors in its own way.
        raise Problem("no CBOR") from error


def walk(data):
    """Refuses what core deterministic CBOR does not have, and tags, which no format here uses. It keeps its own stack."""
    at, end = 0, len(data)
    # Each level: [items left, is a map, place of the key before, its end, place of the key at hand].
    stack = [[1, False, 0, 0, 0]]
    while stack:
        level = stack[-1]
        if level[0] == 0:
            stack.pop()
            if not stack:
                break
            finish_item(data, stack[-1], at)
            continue
        if level[1] and level[0] % 2 == 0:
            level[4] = at
        need(at < end, "the CBOR ends too early")
        major, minor = data[at] >> 5, data[at] & 31
        at += 1
        if major == 7:
            at = walk_simple(data, at, minor)
            finish_item(data, level, at)
            continue
        need(major != 6, "CBOR with a tag")
        argument, at = walk_argument(data, at, minor)
        if major in (2, 3):
            need(argument <= end - at, "the CBOR ends too early")
            at += argument
        elif major in (4, 5):
            count = argument * (major - 3)
            need(count <= end - at, "the CBOR ends too early")
            need(len(stack) <= DEPTH_MAX, "CBOR that nests too deep")
            stack.append([count, major == 5, 0, 0, 0])
            continue
        finish_item(data, level, at)
    need(at == end, "bytes after the CBOR")


def finish_item(data, level, at):
    level[0] -= 1
    if level[1] and level[0] % 2 == 1:
        key, before = data[level[4]:at], data[level[2]:level[3]]
        need(not before or before < key, "CBOR with keys that do not ascend")
        level[2], level[3] = level[4], at


def walk_argument(data, at, minor):
    if minor < 24:
        return minor, at
    need(minor < 28, "CBOR of indefinite length")
    width = 1 << (minor - 24)
    need(at + width <= len(data), "the CBOR ends too early")
    argument = int.from_bytes(data[at:at + width], "big")
    need(argument >= (24 if width == 1 else 1 << (4 * width)), "CBOR with a number that has a shorter form")
    return argument, at + width


def walk_simple(data, at, minor):
    if minor in (20, 21, 22):
        return at
    need(minor in (25, 26, 27), "CBOR with a simple value that no format here has")
    width = 1 << (minor - 24)
    need(at + width <= len(data), "the CBOR ends too early")
    value = struct.unpack({2: ">e", 4: ">f", 8: ">d"}[width], data[at:at + width])[0]
    need(math.isfinite(value) and (value != 0 or math.copysign(1, value) > 0), "CBOR with a number that is not finite, or −0")
    for shorter, form in ((2, ">e"), (4, ">f")):
        if shorter < width:
            try:
                need(struct.unpack(form, struct.pack(form, value))[0] != value, "CBOR with a float that has a shorter form")
            except OverflowError:
                pass
    return at + width


def encode(value):
    """Core deterministic CBOR. Where all keys of a map are texts, the order of cbor2's canonical form is the same."""
    return cbor2.dumps(value, canonical=True)


# --- The shapes of what stands in bundles and records: functions that say whether a decoded value has it ---


def uint(value):
    return type(value) is int and 0 <= value <= U64_MAX


def uint_below(bound):
    return lambda value: type(value) is int and 0 <= value < bound


def sint(value):
    return type(value) is int and I64_MIN <= value <= I64_MAX


def boolean(value):
    return type(value) is bool


def text(value):
    return type(value) is str


def blob(value):
    return type(value) is bytes


def bytes_of(length):
    return lambda value: type(value) is bytes and len(value) == length


digest = bytes_of(32)


def optional(shape):
    return lambda value: value is None or shape(value)


def either(*shapes):
    return lambda value: any(shape(value) for shape in shapes)


def exactly(expected):
    return lambda value: type(value) is type(expected) and value == expected


def list_of(shape, length_max=None):
    return lambda value: (type(value) is list and (length_max is None or len(value) <= length_max)
                          and all(shape(item) for item in value))


def row(*shapes):
    return lambda value: type(value) is list and len(value) == len(shapes) and all(s(v) for s, v in zip(shapes, value))


def map_of(shape):
    return lambda value: type(value) is dict and all(text(k) and shape(v) for k, v in value.items())


def any_value(value):
    if type(value) is int:
        return I64_MIN <= value <= I64_MAX
    if type(value) is list:
        return all(any_value(item) for item in value)
    if type(value) is dict:
        return all(text(k) and any_value(v) for k, v in value.items())
    return value is None or type(value) in (bool, float, str, bytes)


proof = list_of(digest, PROOF_HASHES_MAX)
place = either(row(exactly(0)), row(uint_below(4), text))
signature = row(text, digest, uint, bytes_of(64))
counted_rules = list_of(row(text, sint, optional(sint)))
counted = row(row(optional(text), uint_below(13), place), uint, sint, list_of(sint), counted_rules)
policy = row(list_of(row(text, digest)), list_of(row(text, text, list_of(text))), row(uint, uint, uint, uint))

BUNDLE = (exactly("abide-bundle"), exactly(1), text, list_of(row(uint, blob, proof)), list_of(blob), list_of(blob),
          list_of(row(uint, proof)), list_of(row(text, proof)))

RECORD_VALUES = {
    0: uint_below(23), 1: text, 2: uint, 3: digest, 4: uint, 5: sint, 6: uint, 7: text, 8: uint_below(6),
    9: either(text, signature), 10: text, 11: map_of(any_value), 12: map_of(any_value),
    13: lambda value: uint(value) and value > 0, 14: row(uint_below(13), place, optional(text), text),
    15: list_of(any_value), 16: uint_below(1 << 32), 17: digest, 18: policy, 19: row(text, digest),
    20: row(uint, uint, uint, sint), 21: text, 22: uint, 23: list_of(counted), 24: list_of(row(text, boolean)), 25: sint,
    26: uint, 27: uint, 28: uint_below(4), 29: text, 30: sint, 31: text, 32: exactly(1), 33: digest, 34: text,
    35: bytes_of(64), 36: boolean, 37: blob, 40: sint, 41: row(digest, digest), 42: digest,
    43: exactly(True),
}

# Of each kind: the keys beyond 0–6 that it must have, and those that it may have. `progress` is in no bundle.
RECORD_KEYS = {
    HOST: ({21, 32, 33, 34, 35, 36}, set()), SCHEMA: ({37}, {41, 43}),
    GENESIS: ({12, 17, 18, 21, 22}, {19, 20, 41}), MUTATION: ({7, 8, 11, 12}, {9, 10, 13, 15, 16}),
    DENIAL: ({8, 11, 14}, {7, 9, 10, 16, 40}), DENIALS: ({23}, set()), HOLD: ({24}, set()), IDLE: ({10}, set()),
    SPAWN: ({10, 16, 17}, {20, 41}), SLEEP: ({10}, {25}), WAKE: (set(), set()), RETRY: ({10, 25, 26}, set()),
    QUARANTINE: (set(), set()), RELEASE: ({9}, set()), SEAL: ({9}, set()), TERMINATE: ({10}, set()),
    POLICY: ({18}, set()), PAUSE: ({30}, set()), OUTCOME: ({26, 27, 28}, {29}), CHILD_ENDED: ({20, 31}, set()),
    CLOCK: ({30}, {9}), UPGRADE: ({9}, {12, 17, 27, 41, 42}),
}


class Record:
    """A record in its one form: its keys by number, and its hash."""

    def __init__(self, data):
        keys = decode(data)
        need(type(keys) is dict and all(type(key) is int for key in keys), "a record is not a map with integers as keys")
        self.keys, self.hash = keys, leaf_hash(data)
        need(text(keys.get(1)) and uint(keys.get(2)), "a record names no object and seq")
        self.object, self.seq = keys[1], keys[2]
        self.need(all(key in RECORD_VALUES for key in keys), "a key that no record has")
        for key, value in keys.items():
            self.need(RECORD_VALUES[key](value), f"key {key} is not as it must be")
        self.need({0, 4, 5} <= keys.keys(), "a record without kind, tick or time")
        self.kind, self.tick, self.time = keys[0], keys[4], keys[5]
        self.need(self.kind in RECORD_KEYS, "a kind that is in no bundle")
        must, may = RECORD_KEYS[self.kind]
        must = must | {0, 1, 2, 4, 5} | (set() if self.kind in (HOST, GENESIS) else {3, 6})
        self.need(must <= keys.keys() <= must | may, f"kind {self.kind} has not the keys that it must have")
        self.check_who()

    def __getitem__(self, key):
        return self.keys[key]

    def get(self, key):
        return self.keys.get(key)

    def need(self, condition, what):
        need(condition, what, self.object, self.seq)

    def check_who(self):
        """Which keys go together: who asked (9) by caller, the step of a behaviour, an allotment only of a child."""
        by, caller = self.get(9), self.get(8)
        if self.kind in (MUTATION, DENIAL):
            if caller == RULE:
                self.need(by in (None, "safe_state"), "of a rule, `by` is `safe_state` or nothing")
            elif caller == BEHAVIOUR:
                self.need(by is None, "a behaviour has no `by`")
            elif caller == OPERATOR:
                self.need(type(by) is list, "an operator without a signature")
            else:
                self.need(type(by) is str, "a caller without its name")
        elif by is not None:
            self.need(type(by) is list, "an act of an operator without a signature")
        if self.kind == MUTATION:
            self.need((16 in self.keys) == (caller == BEHAVIOUR), "mutations of behaviours alone have a step")
        if self.kind == GENESIS:
            self.need(20 not in self.keys or 19 in self.keys, "an allotment without a parent")
        if self.kind == CLOCK:
            self.need((9 in self.keys) == (self.object == HOST_OBJECT), "the host's clock records alone are signed")
            self.need(self[30] > self.time, "a clock record that does not set the clock back")
        if self.kind == UPGRADE:
            of_schema = {12, 17, 42} & self.keys.keys()
            self.need(len(of_schema) in (0, 3), "an upgrade of the schema has both schemas and the memory")
            self.need(of_schema or 41 in self.keys, "an upgrade to nothing")


# --- Schemas, as far as they bound what records say ---

HOUR = 3_600 * 10**9
UNITS = (("h", HOUR), ("m", 60 * 10**9), ("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1))
DURATION = re.compile("-?" + "".join(rf"(?:(\d{{1,19}}){unit})?" for unit, _ in UNITS), re.ASCII)
TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def duration(value):
    """The nanoseconds of `1h30m`, which is their one spelling: each unit at most once, and as much as goes into the larger ones."""
    match = DURATION.fullmatch(value) if type(value) is str else None
    need(match, "a duration is malformed")
    total = sum(int(count or 0) * length for count, (_, length) in zip(match.groups(), UNITS)) * (-1 if value[:1] == "-" else 1)
    need(I64_MIN <= total <= I64_MAX and value == spelt(total), "a duration is out of range, or not in its one spelling")
    return total


def spelt(nanoseconds):
    parts, rest = [], abs(nanoseconds)
    for unit, length in UNITS:
        count, rest = divmod(rest, length)
        parts += [f"{count}{unit}"] * (count > 0)
    return "-" * (nanoseconds < 0) + ("".join(parts) or "0s")


def instant(value):
    """The nanoseconds since 1970 of a time with an offset."""
    match = TIME.fullmatch(value)
    need(match, "a time is malformed")
    try:
        time = datetime.datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
    except ValueError as error:
        raise Problem("a time is malformed") from error
    total = (time - EPOCH) // datetime.timedelta(seconds=1) * 10**9 + int((match[2] or "").ljust(9, "0"))
    need(I64_MIN <= total <= I64_MAX, "a time is out of range")
    return total


def base64_bytes(value):
    try:
        data = base64.b64decode(value.encode("ascii"), validate=True)
    except ValueError as error:
        raise Problem("base64 is malformed") from error
    need(base64.b64encode(data).decode() == value, "base64 is not in its one spelling")
    return data


def millionths(amount):
    """An amount in its one form: an integer if it is whole, else a float of no more than millionths."""
    need(type(amount) in (int, float) and 0 <= amount <= 10**12, "an amount in a schema is malformed")
    if type(amount) is int:
        return amount * MILLION
    units = math.floor(amount * MILLION + 0.5)
    need(not amount.is_integer() and amount == units / MILLION, "an amount in a schema is not in its one form")
    return units


def section(parent, name):
    value = parent.get(name, {})
    need(type(value) is dict and all(text(key) for key in value), f"`{name}` of a schema is no map")
    return value


class Schema:
    def __init__(self, canonical):
        document = decode(canonical)
        need(type(document) is dict and document.get("schema") == "abide/v1", "a schema is no map, or of another version")
        self.name, self.version = document.get("name"), document.get("version")
        need(text(self.name) and text(self.version), "a schema has no name or no version")
        self.fields, self.mutations = section(document, "fields"), section(document, "mutations")
        for mutation in self.mutations.values():
            need(type(mutation) is dict and list_of(text)(mutation.get("from")), "a mutation of a schema is malformed")
            section(mutation, "args")
            section(mutation, "set")
        rules = document.get("rules", [])
        need(type(rules) is list and all(type(rule) is dict and text(rule.get("name")) for rule in rules), "rules of a schema are malformed")
        # A step is a map with one of `mutate`, `act`, `spawn` and `sleep`, or a text.
        steps = {rule["name"]: rule.get("then") for rule in rules}
        self.rules = {name: step if type(step) is dict else {str(step): None} for name, step in steps.items()}
        self.has_acts = any("act" in step for step in self.rules.values())
        self.safe_mutation = section(document, "safe_state").get("mutate")
        slope = section(document, "trust_slope")
        self.has_quarantine = "quarantine" in slope
        self.budget = millionths(slope["budget"]) if "budget" in slope else None
        self.amount, self.per = 0, 10**9  # No refill is one of 0 in a second.
        if "refill" in slope:
            refill = section(slope, "refill")
            self.amount, self.per = millionths(refill.get("amount")), duration(refill.get("per"))
            need(self.per > 0, "a refill of a schema is malformed")
        self.drift = {name: self.drift_of(name, bound) for name, bound in section(slope, "drift").items()}
        need(all(type(kind) is dict for kind in self.fields.values()), "a field of a schema is malformed")
        self.defaults = {name: value_of(kind["default"], kind) for name, kind in self.fields.items() if "default" in kind}
        self.read_migration(section(document, "migration"), "migration" in document)

    def read_migration(self, migration, is_there):
        """How it takes over from another version of its name: from any, where it does not say."""
        self.versions = migration.get("from")
        need(not is_there or list_of(text)(self.versions), "`from` of a migration is malformed")
        self.rename, self.set, self.remove = section(migration, "rename"), section(migration, "set"), migration.get("remove", [])
        need(list_of(text)(self.remove) and all(text(new) for new in self.rename.values()), "a migration of a schema is malformed")
        given = section(migration, "default")
        need({*given, *self.set, *self.rename.values()} <= self.fields.keys(), "a migration to a field that the schema has not")
        self.fallbacks = self.defaults | {name: value_of(data, self.fields[name]) for name, data in given.items()}

    def drift_of(self, name, bound):
        need(type(bound) is dict and type(self.fields.get(name)) is dict, "a drift of a schema is malformed")
        need(self.fields[name].get("type") in ("integer", "number"), "a drift of a field that is no number")
        origin, within = bound.get("from", self.fields[name].get("default")), bound.get("within")
        need(all(type(value) in (int, float) for value in (origin, within)), "a drift of a schema is malformed")
        return origin, within

    def gaps(self, memory):
        return {name for name, kind in self.fields.items() if memory.get(name) is None and kind.get("nullable") is not True}

    def call(self, mutation):
        """The interface and the function of a mutation's effect, or None."""
        effect = self.mutations.get(mutation, {}).get("effect")
        return (effect.get("interface"), effect.get("function")) if type(effect) is dict else None


def fits(value, kind):
    """Whether a value has the form of a type of a schema: its CBOR type, its bounds and its enum."""
    if type(kind) is not dict:
        return False
    if value is None:
        return kind.get("nullable") is True or kind.get("type") == "null"
    name, form = kind.get("type"), kind.get("format")
    if not text(name) or not optional(text)(form):
        return False
    if name == "string":
        wanted = {"byte": bytes, "date-time": int, "duration": int}.get(form, str)
    else:
        wanted = {"boolean": bool, "integer": int, "number": float, "array": list, "object": dict}.get(name)
    if type(value) is not wanted:
        return False
    if name in ("integer", "number"):
        bounds = {key: bound for key, bound in kind.items() if type(bound) in (int, float)}
        if (value < bounds.get("minimum", value) or value > bounds.get("maximum", value)
                or "exclusiveMinimum" in bounds and value <= bounds["exclusiveMinimum"]
                or "exclusiveMaximum" in bounds and value >= bounds["exclusiveMaximum"]):
            return False
        step = kind.get("multipleOf")
        if type(step) in (int, float) and step > 0 and not is_multiple(value, step):
            return False
    sizes = {"array": ("minItems", "maxItems"), "object": ("minProperties", "maxProperties"), "string": ("minLength", "maxLength")}
    if name in sizes and type(value) is not int:
        least, most = (kind.get(size) for size in sizes[name])
        if uint(least) and len(value) < least or uint(most) and len(value) > most:
            return False
    if name == "array":
        return all(fits(item, kind.get("items")) for item in value)
    if name == "object":
        if list_of(text)(kind.get("required")) and not value.keys() >= set(kind["required"]):
            return False
        if type(kind.get("properties")) is dict:
            return all(key in kind["properties"] and fits(item, kind["properties"][key]) for key, item in value.items())
        return all(fits(item, kind.get("additionalProperties")) for item in value.values())
    return "enum" not in kind or form is not None or type(kind["enum"]) is list and value in kind["enum"]


def is_multiple(value, step):
    if type(value) is type(step) is int:
        return value % step == 0
    quotient = value / step
    return math.isfinite(quotient) and abs(quotient - round(quotient)) <= 1e-9 * abs(quotient)


TEXT_FORMS = {"byte": base64_bytes, "date-time": instant, "duration": duration}


def value_of(data, kind):
    """The value of a type that data stands for, as documents and JSON have it. Whether it fits is seen after."""
    if type(kind) is not dict:
        return data
    if type(data) is int and kind.get("type") == "number":
        return float(data)
    if type(data) is str and text(kind.get("format")) and kind["format"] in TEXT_FORMS:
        return TEXT_FORMS[kind["format"]](data)
    if type(data) is list:
        return [value_of(item, kind.get("items")) for item in data]
    if type(data) is dict and type(kind.get("properties")) is dict:
        known = {name: inner for name, inner in kind["properties"].items() if type(inner) is dict}
        absent = {name: inner.get("default") for name, inner in known.items() if "default" in inner or inner.get("nullable") is True}
        return {name: value_of(item, known.get(name)) for name, item in (absent | data).items()}
    if type(data) is dict:
        return {name: value_of(item, kind.get("additionalProperties")) for name, item in data.items()}
    return data


# --- What becomes of a memory when another schema takes force ---


def goes_to(old, new):
    """Whether values of the one type become values of the other: it is the same but for its bounds, or integers become numbers."""
    if type(old) is not dict or type(new) is not dict:
        return False
    if old.get("type") == "integer" and new.get("type") == "number":
        return True
    if (old.get("type"), old.get("format")) != (new.get("type"), new.get("format")):
        return False
    if old.get("type") == "array":
        return goes_to(old.get("items"), new.get("items"))
    if old.get("type") == "object":
        had, has = old.get("properties"), new.get("properties")
        if type(had) is dict and type(has) is dict:
            return all(goes_to(kind, has[name]) for name, kind in had.items() if name in has)
        return had is None and has is None and goes_to(old.get("additionalProperties"), new.get("additionalProperties"))
    return True


def carried(value, old, new):
    """A value of one type as one of another that goes with it, either way. Whether it fits is seen after."""
    if type(value) is int and (old.get("type"), new.get("type")) == ("integer", "number"):
        need(int(float(value)) == value, "an integer is no number of 64 bits")
        return float(value)
    if type(value) is float and (old.get("type"), new.get("type")) == ("number", "integer"):
        need(value.is_integer() and -2**63 <= value < 2**63, "a number is no integer")
        return int(value)
    if type(value) is list:
        return [carried(item, old["items"], new["items"]) for item in value]
    if type(value) is dict and type(new.get("properties")) is dict:
        had, known = old["properties"], new["properties"]
        need(value.keys() <= known.keys(), "an object has a property that the new type has not")
        absent = {name: value_of(kind.get("default"), kind) for name, kind in known.items() if "default" in kind or kind.get("nullable") is True}
        return absent | {name: carried(item, had[name], known[name]) for name, item in value.items()}
    if type(value) is dict:
        return {name: carried(item, old["additionalProperties"], new["additionalProperties"]) for name, item in value.items()}
    return value


def has_pattern(kind):
    if type(kind) is not dict:
        return False
    properties = kind.get("properties")
    inner = [kind.get("items"), kind.get("additionalProperties"), *(properties.values() if type(properties) is dict else ())]
    return "pattern" in kind or any(map(has_pattern, inner))


def after_upgrade(schema, before, memory):
    """Of each field of a schema that takes force, the values that it may have; None where that takes CEL."""
    need(schema.versions is None or before.version in schema.versions, f"the new schema takes nothing over from version {before.version[:64]}")
    for name in before.fields:
        taken = any(new == name and old in before.fields for old, new in schema.rename.items())
        need(name in schema.fields and not taken or name in schema.rename or name in schema.remove, f"field `{name}` is lost")
    allowed = {}
    for name, kind in schema.fields.items():
        if name in schema.set:
            allowed[name] = None
            continue
        value, source = schema.fallbacks.get(name), source_of(name, schema, before)
        if source is not None:
            need(goes_to(before.fields[source], kind), f"field `{name}` is not of the type of `{source}` before")
            if memory.get(source) is not None:
                value = carried(memory[source], before.fields[source], kind)
            elif kind.get("nullable") is True:
                value = None
        allowed[name] = [value]
    return allowed


def source_of(name, schema, before):
    """The field before whose value a field takes up, or None."""
    for old, new in schema.rename.items():
        if new == name and old in before.fields:
            return old
    return name if name in before.fields and name not in schema.rename and name not in schema.remove else None


def counterpart(name, back, schema):
    """The field now that took up the value of a field that comes back, and means the same; or None."""
    other = schema.rename.get(name, name)
    if other not in schema.fields or name in schema.remove or other in schema.set:
        return None
    now, then = schema.fields[other], back.fields[name]
    return other if goes_to(now, then) or goes_to(then, now) else None


def after_reversal(back, schema, memory, then):
    """Of each field of a schema that comes back, the values that it may have: of now, where they go with it, or as it was then."""
    allowed = {}
    for name, kind in back.fields.items():
        allowed[name] = [then.get(name)]
        other = counterpart(name, back, schema)
        if other is None:
            continue
        value = memory.get(other)
        if value is None:
            if kind.get("nullable") is True or then.get(name) is None:
                allowed[name] = [None]
            continue
        try:
            value = carried(value, schema.fields[other], kind)
        except Problem:
            continue
        if fits(value, kind):
            # Patterns are not checked: it may have been one that keeps the value of now away.
            allowed[name] = [value] + allowed[name] * has_pattern(kind)
    return allowed


class Bucket:
    """How much of the slope is left. None may be taken that is not there."""

    def __init__(self, schema, allotment, time):
        self.time, self.remainder = time, 0
        self.given = {}  # What living children were given, by their ids.
        self.owed = 0  # What was spent that a smaller budget, or none, had no room for.
        self.capacity, self.amount, self.per = schema.budget, schema.amount, schema.per
        self.level = self.capacity
        if allotment is not None:
            budget, level, amount, per = allotment
            if self.capacity is None:
                self.capacity, self.amount, self.per = budget, amount, per
            else:
                self.capacity = min(self.capacity, budget)
                if amount * self.per < self.amount * per:
                    self.amount, self.per = amount, per
            self.level = min(self.capacity, level)
        self.begun = self.capacity, self.amount

    @property
    def bounded(self):
        return self.capacity is not None

    def go_to(self, time):
        if not self.bounded or time <= self.time:
            return
        grown, self.remainder = divmod((time - self.time) * self.amount + self.remainder, self.per)
        self.level, self.time = self.level + grown, time
        if self.level >= self.capacity:
            self.level, self.remainder = self.capacity, 0

    def take(self, cost):
        if self.bounded:
            need(cost <= self.level, f"it costs {cost} millionths, and the slope had {self.level}")
            self.level -= cost

    def give_away(self, child, allotment):
        self.given[child] = allotment or [0, 0, 0, 0]
        if not self.bounded:
            return  # It gives what it likes, or a child that has no bound either.
        need(allotment is not None, "a child is given no part of the slope")
        budget, level, amount, per = allotment
        need(budget <= self.capacity, "a child is given more budget than there is")
        need(per == self.per and amount <= self.amount, "a child is given more refill than there is")
        need(level == min(budget, self.level), "the level of a child is not the lesser of its budget and its parent's level")
        self.capacity -= budget
        self.amount -= amount
        self.level = min(self.level - level, self.capacity)

    def take_back(self, child, allotment):
        self.given.pop(child, None)
        if not self.bounded:
            return
        budget, level, amount, _ = allotment
        self.capacity += budget
        self.amount += amount
        self.level = min(self.level + level, self.capacity)

    def lent(self):
        """The budget and the amount that were given to children and have not come back."""
        return self.begun[0] - self.capacity, self.begun[1] - self.amount

    def under(self, schema, before, allotment, time):
        """The bucket when a schema takes force: a new one, less what is lent and what was spent, also what it has no room for."""
        if (schema.budget, schema.amount, schema.per) == (before.budget, before.amount, before.per):
            return self
        new = Bucket(schema, allotment, time)
        new.given = self.given
        level = (self.level - Bucket(before, allotment, time).level if self.bounded else 0) - self.owed
        if new.bounded:
            level += new.level
        new.owed = max(0, -level)
        if new.bounded and not self.bounded:
            need(not any(budget or amount for budget, _, amount, _ in self.given.values()),
                 "a living child has a part of a slope that begins with it")
        elif new.bounded:
            budget, amount = self.lent()
            new.capacity, new.amount = new.capacity - budget, new.amount - amount
            need(new.capacity >= 0 and new.amount >= 0, "more of the slope is lent than there is")
            need(not amount or new.per == self.per, "a refill of another period is lent")
        if new.bounded:
            new.level = min(max(0, level), new.capacity)
        return new

    def left_at_end(self, allotment):
        """What an end gives back: all that was given, without what is lent; the refill in its unit of time."""
        if allotment is None:
            return [0, 0, 0, 0]
        (budget, _, amount, per), (lent_budget, lent_amount) = allotment, self.lent()
        return [budget - lent_budget, self.level, (amount * self.per - lent_amount * per) // self.per, per]


# --- The bundle ---


class Verifier:
    """Checks one bundle. `problems` has what was found, `summary` what it says of itself as far as that was read."""

    def __init__(self, data, keys=(), since=()):
        self.data, self.keys, self.since = data, keys, since
        self.problems, self.host, self.log_key, self.key_confirmed, self.head = [], None, None, False, None
        self.lineages, self.records, self.record_count = {}, [], 0

    def run(self):
        try:
            self.check_all()
        except Problem as problem:
            self.problems.append(problem)
        except (RecursionError, MemoryError, ValueError, TypeError, KeyError, IndexError, ArithmeticError, AttributeError) as error:
            # Nothing above should come to this. If it does, what was not checked is not verified.
            self.problems.append(Problem(f"the bundle could not be checked to its end ({type(error).__name__})"))
        return self.summary()

    def summary(self):
        head = self.head and {"size": self.head[0], "root": self.head[1].hex()}
        return {"verified": not self.problems, "host": self.host, "log_key": self.log_key, "key_confirmed": self.key_confirmed,
                "head": head, "objects": sorted(self.lineages), "records": self.record_count,
                "problems": [problem.as_json() for problem in self.problems]}

    def attempt(self, check, *arguments):
        """One check among several: what it finds does not keep the others from being made."""
        try:
            check(*arguments)
        except Problem as problem:
            self.problems.append(problem)

    def check_all(self):
        self.read_form()
        self.check_record_zero()
        self.head = read_note(self.note, self.origin, self.key)
        self.attempt(self.check_places)
        self.attempt(self.check_earlier)
        self.attempt(self.check_host_chain)
        self.attempt(self.check_commits)
        before = len(self.problems)
        for records in self.lineages.values():
            self.attempt(self.check_chain, records)
        if len(self.problems) > before:
            return  # What follows takes chains for granted,
        self.attempt(self.read_schemas)
        self.attempt(self.check_blobs)
        if len(self.problems) > before:
            return  # and what follows schemas.
        family, walks = Family(self.lineages), {}
        for name, records in self.lineages.items():
            walks[name] = Walk(records, self.schemas)
            self.attempt(walks[name].run)
        for records in self.lineages.values():
            self.attempt(family.check, records, walks)
        for record in self.host_records:
            if record.kind == CLOCK:
                self.attempt(self.check_reset, record)

    # 1. Form.
    def read_form(self):
        need(len(self.data) <= BUNDLE_BYTES_MAX, "a bundle has at most 2³⁰ bytes")
        bundle = decode(self.data)
        need(type(bundle) is dict and list(bundle) == list(range(8)), "a bundle is a map with the keys 0 to 7")
        for key, shape in enumerate(BUNDLE):
            need(shape(bundle[key]), f"key {key} of the bundle is not as it must be")
        _, _, self.note, host, self.blobs, records, self.lasts, self.earlier = (bundle[key] for key in range(8))
        self.host_places = [(leaf, path) for leaf, _, path in host]
        self.host_records = [Record(data) for _, data, _ in host]
        self.record_count = len(records)
        self.records = [Record(data) for data in records]
        need(self.records, "a bundle has a lineage")
        for place, record in enumerate(self.records):
            record.place = place
            record.need(record.object != HOST_OBJECT and record.kind not in (HOST, SCHEMA), "a record of the host among those of objects")
            self.lineages.setdefault(record.object, []).append(record)

    # 2. Record 0.
    def check_record_zero(self):
        need(self.host_records, "there is no record 0")
        zero = self.host_records[0]
        zero.need(zero.kind == HOST and zero.object == HOST_OBJECT and zero.seq == 0 and self.host_places[0][0] == 0,
                  "the first record is not record 0 of a log")
        self.host, self.origin, self.key = zero[21], zero[34], zero[33]
        zero.need(is_origin(self.origin), "the origin is not in the form of one")
        self.log_key = log_key_text(self.origin, self.key)
        identity = host_key(self.host)
        zero.need(identity is not None, "the identity of the host is no nkey of a server")
        certified = b"abide-log-key/1\0" + self.origin.encode() + b"\0" + self.key
        zero.need(signature_holds(identity, zero[35], certified), "the certificate of the log key does not hold")
        for key in self.keys:
            zero.need(key == self.host or key == self.log_key, f"it is of the host `{self.host}`, not of the key that was given")
        self.key_confirmed = bool(self.keys)

    # 4. Places.
    def check_places(self):
        size, root = self.head
        before = -1
        for (leaf, path), record in zip(self.host_places, self.host_records):
            record.need(record.object == HOST_OBJECT and record.kind in (HOST, SCHEMA, CLOCK), "it is not of the host, or of another kind")
            record.need(leaf > before, "the places of the host's records do not ascend")
            record.need(root_from_inclusion(record.hash, leaf, size, path) == root, "it is not in the log at its place")
            before = leaf
        need(len(self.lasts) == len(self.lineages), "there are not as many places as lineages")
        for (leaf, path), records in zip(self.lasts, self.lineages.values()):
            last = records[-1]
            last.need(root_from_inclusion(last.hash, leaf, size, path) == root, "the last record is not in the log at its place")

    # 5. Earlier heads.
    def check_earlier(self):
        heads = {self.head}
        for note, path in self.earlier:
            head = read_note(note, self.origin, self.key)
            need(is_consistent(*head, *self.head, path), f"the log did not grow from its head of size {head[0]}")
            heads.add(head)
        for note in self.since:
            head = read_note(note, self.origin, self.key)
            need(head in heads, f"it has no proof that the log grew from the checkpoint of size {head[0]}")

    # 6. Chains.
    def check_host_chain(self):
        self.resets = {record.tick: record for record in self.host_records if record.kind == CLOCK}
        for before, record in zip(self.host_records, self.host_records[1:]):
            record.need(record.kind != HOST, "a second record 0")
            record.need(record.seq > before.seq, "the seq of the host's records do not ascend")
            if record.seq == before.seq + 1:
                record.need(record[3] == before.hash, "it does not follow the record before it")
            self.check_clock(before, record)

    def check_chain(self, records):
        first = records[0]
        first.need(first.kind == GENESIS and first.seq == 0, "a lineage does not begin with its genesis")
        first.need(first[21] == self.host, "the genesis is of another host")
        force = 0
        for seq, (before, record) in enumerate(zip(records, records[1:]), 1):
            record.need(record.kind != GENESIS, "a second genesis")
            record.need(record.seq == seq, f"the seq should be {seq}")
            record.need(record[3] == before.hash, "it does not follow the record before it")
            record.need(record[6] == force, f"`force` should be {force}")
            if record.kind == UPGRADE:
                force = record.seq
            self.check_clock(before, record)

    def check_clock(self, before, record):
        """Ticks and times do not go back, but for times in the commit of a reset, which bears the new time."""
        record.need(record.tick >= before.tick, "its tick is before the last one")
        reset = self.resets.get(record.tick)
        if reset and record.tick > before.tick:
            record.need(record.time == reset.time and before.time <= reset[30], "its time is not the one of the reset, or was not before it")
        else:
            record.need(record.time >= before.time, "its time is before the last one")
        if record.kind == CLOCK:
            record.need(reset and (reset.time, reset[30]) == (record.time, record[30]), "the host has no such reset of the clock")
            record.need(before.tick < record.tick or before.kind == DENIALS, "the reset has no commit of its own")

    def check_commits(self):
        """All records of a tick are of one commit and bear its time, and key 5 has the commits in their order."""
        merged = sorted(self.host_records + self.records, key=lambda record: record.tick)
        for before, record in zip(self.records, self.records[1:]):
            record.need(record.tick >= before.tick, "its tick is before that of the record before it in the bundle")
        for before, record in zip(merged, merged[1:]):
            record.need(record.tick > before.tick or record.time == before.time, "its time is not that of its commit")
            record.need(record.time >= before.time or record.tick in self.resets, "its time is before that of the commit before it")

    # 7. Schemas.
    def read_schemas(self):
        self.schemas, last = {}, {}
        host = [record for record in self.host_records if record.kind == SCHEMA]
        for record in sorted(host + self.records, key=lambda record: record.tick):
            if record.kind == SCHEMA:
                try:
                    schema = self.schemas[sha256(record[37])] = Schema(record[37])
                except Problem as problem:
                    record.need(False, problem.what)
                if 43 not in record.keys:
                    last[schema.name] = schema
            elif 17 in record.keys:
                schema = self.schemas.get(record[17])
                record.need(schema is not None, "its schema is not in the bundle, or stands after it")
                record.need((41 in record.keys) == schema.has_acts, "a behaviour stands where the schema has acts, and only there")
                record.need(record.kind != SPAWN or last.get(schema.name) is schema, "its schema is not the last one of that name for children")

    # 8. Blobs.
    def check_blobs(self):
        digests = [sha256(data) for data in self.blobs]
        need(all(a < b for a, b in zip(digests, digests[1:])), "the blobs do not ascend")
        held, named = dict(zip(digests, self.blobs)), set()
        for records in self.lineages.values():
            for record in records:
                if 41 in record.keys:
                    component, configuration = record[41]
                    named |= {component, configuration}
                    record.need(configuration in held, "its configuration is not in the bundle")
                    record.need(map_of(text)(decode(held[configuration])), "its configuration is no map of texts")
        need(named.issuperset(digests), "a blob that no lineage names")

    # 12. The operator's signature of a reset, which every object that is neither sealed nor terminated lets him make.
    def check_reset(self, record):
        zero = self.host_records[0]
        record.need(not zero[36], "a host whose clock is replayed has no reset of it")
        name, key, counter, _ = record[9]
        message = encode(["abide-operator/1", zero.hash, "reset-clock", "", {"to": record.time}, counter])
        record.need(signature_holds(key, record[9][3], message), "the signature of the reset does not hold")
        earlier = [other[9][2] for other in self.host_records if other.kind == CLOCK and other.seq < record.seq and other[9][1] == key]
        record.need(all(counter > other for other in earlier), "its counter is not above the last one of that key")
        for records in self.lineages.values():
            past = [other for other in records if other.tick < record.tick]
            if not past or any(other.kind in (SEAL, TERMINATE) for other in past):
                continue
            in_force = next(other for other in reversed(past) if other.kind in (GENESIS, POLICY))
            record.need([name, key] in in_force[18][0], f"the policy of `{records[0].object}` does not name that operator")
            past[-1].need(any(other.kind == CLOCK and other.tick == record.tick for other in records), "a reset of the clock after it is left out")


class Family:
    """Who made whom: each spawn record has a child in the bundle, and each child its spawn record."""

    def __init__(self, lineages):
        self.lineages, self.children = lineages, {}
        for records in lineages.values():
            for record in records:
                if record.kind == SPAWN:
                    self.children[self.child_id(record)] = (records, record)

    @staticmethod
    def child_id(spawn):
        return sha256(b"\2" + spawn.hash + spawn[16].to_bytes(4, "big")).hex()

    # 11. Families.
    def check(self, records, walks):
        self.check_genesis(records[0])
        living = set()
        for record in records:
            if record.kind == SPAWN:
                child = self.child_id(record)
                record.need(child in self.lineages, "the child that it made is not in the bundle")
                living.add(child)
            elif record.kind == CHILD_ENDED:
                record.need(record[31] in living, "it has no such child that lives")
                living.discard(record[31])
                ended = walks[record[31]]
                end = ended.end
                record.need(end and end.tick == record.tick and end.place < record.place, "its child did not end in this tick")
                record.need(record[20] == ended.left, "what comes back is not what its child had left of its allotment")

    def check_genesis(self, genesis):
        if 19 not in genesis.keys:
            genesis.need(genesis[22] == 0, "an object without a parent has depth 0")
            genesis.need(genesis.object not in self.children, "a child that names no parent")
            return
        parent, spawn = self.children.get(genesis.object, (None, None))
        genesis.need(spawn is not None and genesis[19] == [parent[0].object, spawn.hash], "no parent in the bundle made it")
        genesis.need(spawn.place < genesis.place, "it stands before its spawn record")
        genesis.need(genesis.tick == spawn.tick and genesis.time == spawn.time, "it was not made in the tick of its spawn record")
        for key, name in ((17, "schema"), (41, "behaviour"), (20, "allotment")):
            genesis.need(genesis.get(key) == spawn.get(key), f"its {name} is not the one that its parent gave")
        genesis.need(genesis[22] == parent[0][22] + 1, "its depth is not one more than its parent's")
        in_force = next(parent[seq] for seq in range(spawn.seq, -1, -1) if parent[seq].kind in (GENESIS, POLICY))
        genesis.need(all(link in in_force[18][1] for link in genesis[18][1]), "it has a link that its parent had not")


class Walk:
    """Goes along a lineage with what its state bounds: the slope, the drift, the policy, and the operators' counters."""

    def __init__(self, records, schemas):
        genesis = records[0]
        self.records, self.schemas, self.genesis = records, schemas, genesis
        self.digest, self.schema, self.behaviour = genesis[17], schemas[genesis[17]], genesis.get(41)
        self.bucket = Bucket(self.schema, genesis.get(20), genesis.time)
        self.origins = {name: origin for name, (origin, _) in self.schema.drift.items()}
        self.operators, self.counters = genesis[18][0], {}
        self.effects = {}  # The mutations of those without an outcome, by the `seq` that ordered them.
        self.memory = dict(self.schema.defaults)
        self.closed, self.asleep, self.quarantined = None, None, False
        self.end, self.left = None, None
        self.reversible = None  # Of the last upgrade, if it was no reversal: its `seq`, and what was in force before.

    def run(self):
        for record in self.records:
            try:
                self.step(record)
            except Problem as problem:
                raise Problem(problem.what, record.object, record.seq) from problem

    def step(self, record):
        if record.kind in (MUTATION, GENESIS):
            self.check_values(record[12])
        if 10 in record.keys:
            need(record[10] in self.schema.rules, f"the schema has no rule `{record[10][:64]}`")
            asked = {SPAWN: "spawn", SLEEP: "sleep", RETRY: "retry", TERMINATE: "terminate"}.get(record.kind, "act")
            is_own = record.kind in (SPAWN, SLEEP, RETRY, TERMINATE)
            step = self.schema.rules[record[10]]
            need(not is_own or asked in step or "act" in step, "the rule that it names does not ask for that")
        if record.kind == CLOCK:
            self.bucket.time -= record[30] - record.time
        self.bucket.go_to(record.time)
        act = {GENESIS: self.genesis_values, MUTATION: self.mutation, DENIAL: self.denial, DENIALS: self.denials, HOLD: self.hold,
               SPAWN: self.spawn, SLEEP: self.sleep, WAKE: self.wake, QUARANTINE: self.quarantine, RELEASE: self.release,
               SEAL: self.seal, TERMINATE: self.terminate, POLICY: self.policy, OUTCOME: self.outcome,
               CHILD_ENDED: self.child_ended, UPGRADE: self.upgrade}.get(record.kind)
        if act:
            act(record)

    def check_values(self, values):
        for name, value in values.items():
            need(name in self.schema.fields, f"the schema has no field `{name[:64]}`")
            need(fits(value, self.schema.fields[name]), f"a value that field `{name}` cannot have")

    def genesis_values(self, record):
        self.check_values(self.memory)
        self.memory.update(record[12])

    # 13. Law, without CEL; 9. Slope; 10. Drift.
    def mutation(self, record):
        mutation = self.schema.mutations.get(record[7])
        need(mutation is not None, f"the schema has no mutation `{record[7][:64]}`")
        need(self.closed is None, f"a {self.closed} object admits nothing")
        safe = record.get(9) == "safe_state"
        need(CALLERS[record[8]] in mutation["from"] or safe and "rule" in mutation["from"], "the mutation is not open to its caller")
        declared = mutation.get("args", {})
        for name, value in record[11].items():
            need(name in declared and fits(value, declared[name]), f"argument `{name[:64]}` is not one that the mutation has")
        for name in record[12]:
            need(name in mutation.get("set", {}), f"the mutation does not set field `{name}`")
        self.asked_for(record, safe)
        if 15 in record.keys:
            need("effect" in mutation, "an effect that the mutation has not")
            self.effects[record.seq] = record[7]
        if 13 in record.keys:
            need(record[8] in (RULE, BEHAVIOUR, COMPONENT) and "cost" in mutation, "a cost where the mutation costs its caller nothing")
            self.bucket.take(record[13])
        if record[8] == OPERATOR:
            self.origins |= {name: value for name, value in record[12].items() if name in self.origins and value is not None}
        self.drift(record[12])
        for name, value in record[12].items():
            before = self.memory.get(name)
            need(type(before) is not type(value) or before != value, f"field `{name}` had that value")
        self.memory.update(record[12])
        if record[8] == OPERATOR:
            self.signed(record)

    def asked_for(self, record, safe):
        step = self.schema.rules.get(record.get(10), {})
        if record[8] == RULE and safe:
            need(record[7] == self.schema.safe_mutation, "the safe state does not ask for that")
        elif record[8] == RULE:
            need(step.get("mutate") == record[7], "the rule that it names does not ask for that")
        elif record[8] == BEHAVIOUR:
            need("act" in step, "the rule that it names does not act")

    def drift(self, values):
        for name, (_, within) in self.schema.drift.items():
            value, origin = values.get(name), self.origins[name]
            need(value is None or abs(value - origin) <= within, f"`{name}` drifts to {value}, more than {within} away from {origin}")

    def denial(self, record):
        need(7 not in record.keys or record[7] in self.schema.mutations, "the schema has no such mutation")

    def denials(self, record):
        for (name, _, _), _, _, _, rules in record[23]:
            need(name is None or name in self.schema.mutations, "the schema has no such mutation")
            need(all(rule in self.schema.rules for rule, _, _ in rules), "the schema has no such rule")

    def hold(self, record):
        need(all(rule in self.schema.rules for rule, _ in record[24]), "the schema has no such rule")

    def sleep(self, record):
        self.asleep = record[10]

    def wake(self, record):
        need(self.asleep is not None, "it did not sleep")
        self.asleep = None

    def quarantine(self, record):
        need(self.schema.has_quarantine, "its schema knows no quarantine")
        self.quarantined = True

    def release(self, record):
        need(self.quarantined, "only a quarantined object can be released")
        self.signed(record)
        self.quarantined = False

    def seal(self, record):
        need(self.closed is None, f"the object is {self.closed} already")
        self.signed(record)
        self.closed = "sealed"

    def terminate(self, record):
        need(self.closed is None, f"the object is {self.closed} already")
        self.closed, self.end = "terminated", record
        self.left = self.bucket.left_at_end(self.genesis.get(20))

    # An upgrade: of the behaviour, of the schema, or of both; or a reversal of the last one.
    def upgrade(self, record):
        need(self.closed is None, f"a {self.closed} object is not upgraded")
        self.signed(record)
        before, then = (record.seq, self.digest, self.behaviour, self.memory, self.origins), None
        if 27 in record.keys:
            need(self.reversible and self.reversible[0] == record[27], "what it reverts is not the last upgrade, or is a reversal itself")
            _, digest, behaviour, *then = self.reversible
            need(record.get(41) == behaviour, "the behaviour that comes back is not the one before")
            need(record.get(17) == (None if digest == self.digest else digest), "the schema that comes back is not the one before")
        elif 17 not in record.keys:
            need(self.schema.has_acts, "its schema has no acts")
            need(record[41] != self.behaviour, "that behaviour is in force")
        if 17 in record.keys:
            self.change_schema(record, then)
        self.behaviour = record.get(41)
        self.reversible = None if 27 in record.keys else before

    def change_schema(self, record, then):
        """Another schema takes force, by its migration, or by a reversal with what was before the upgrade that it reverts."""
        before, schema = self.schema, self.schemas[record[17]]
        memory, origins = then or (None, {})
        need(record[42] == self.digest, "`was` is not the schema in force")
        need(record[17] != self.digest and schema.name == before.name, "the schema is not another one of the same name")
        allowed = after_upgrade(schema, before, self.memory) if then is None else after_reversal(schema, before, self.memory, memory)
        was_incomplete, values = before.gaps(self.memory), record[12]
        self.digest, self.schema = record[17], schema
        need(None not in values.values(), "a memory with a null")
        self.check_values(values)
        for name, choices in allowed.items():
            need(choices is None or any(encode(values.get(name)) == encode(choice) for choice in choices),
                 f"field `{name}` has not the value that comes over")
        for name in schema.gaps(values):
            need(was_incomplete and allowed[name], f"field `{name}` has no value")
        was = {name: source_of(name, schema, before) if then is None else counterpart(name, schema, before) for name in schema.drift}
        self.origins = {name: self.origins[was[name]] if was[name] in before.drift and before.drift[was[name]][0] == origin
                        else origins.get(name, origin) for name, (origin, _) in schema.drift.items()}
        self.drift(values)
        for name in self.effects.values():
            need(schema.call(name) and schema.call(name) == before.call(name), f"an effect of `{name[:64]}` is under way, which the schema has not")
        self.bucket = self.bucket.under(schema, before, self.genesis.get(20), record.time)
        self.asleep = self.asleep if self.asleep in schema.rules else None
        self.memory = dict(values)

    # 12. Operators. A denied act does not use its counter up, and what was wrong with it may be its signature.
    def signed(self, record):
        name, key, counter, stamp = record[9]
        need([name, key] in self.operators, f"the policy names no operator `{name[:64]}` with that key")
        act, mutation, arguments = "mutate", record.get(7), record.get(11)
        if record.kind != MUTATION:
            act, mutation, arguments = {RELEASE: "release", SEAL: "seal", UPGRADE: "upgrade"}[record.kind], "", {}
            if 27 in record.keys:
                act = "revert"
            if 17 in record.keys:
                arguments["schema"] = record[17]
            if 41 in record.keys:
                arguments |= {"component": record[41][0], "config": record[41][1]}
        message = encode(["abide-operator/1", self.genesis.hash, act, mutation, arguments, counter])
        need(signature_holds(key, stamp, message), "the operator's signature does not hold")
        need(counter > self.counters.get(key, -1), "the operator's counter is not above the last one")
        self.counters[key] = counter

    def spawn(self, record):
        need(self.closed is None, f"a {self.closed} object makes no child")
        self.bucket.give_away(Family.child_id(record), record.get(20))

    def child_ended(self, record):
        self.bucket.take_back(record[31], record[20])

    def policy(self, record):
        self.operators = record[18][0]

    def outcome(self, record):
        need(record[27] in self.effects, "an outcome of no effect that was under way")
        del self.effects[record[27]]


# --- Command line ---


def verify(data, keys=(), since=()):
    """The verdict on a bundle, as `--json` prints it. `keys` are identities or log keys, `since` texts of checkpoints."""
    return Verifier(data, keys, since).run()


def read_key(argument):
    if host_key(argument) or parse_log_key(argument):
        return argument
    try:
        with open(argument, encoding="utf-8") as file:
            candidate = file.read(4096).strip()
    except (OSError, ValueError):
        candidate = ""
    if host_key(candidate) or parse_log_key(candidate):
        return candidate
    raise argparse.ArgumentTypeError(f"`{argument}` is no key, and no file with one: neither an identity (`N…`) nor a log key (`origin+id+key`)")


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="abide_verify.py", description="Verifies an Abide bundle, offline.",
                                     epilog="Exit codes: 0 verified; 1 not verified; 2 usage; 3 a file cannot be read.")
    parser.add_argument("file", metavar="FILE.abide", help="a bundle; `-` is standard input")
    parser.add_argument("--key", help="whose it must be: an identity (`N…`), a log key (`origin+id+key`), or a file with either")
    parser.add_argument("--since", action="append", default=[], metavar="CHECKPOINT", help="a file with a checkpoint that it must have grown out of; may be repeated")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    options = parser.parse_args(arguments)
    try:
        keys = [read_key(options.key)] if options.key else []
        since = []
        for path in options.since:
            with open(path, "rb") as file:
                since.append(file.read(1 << 16).decode("utf-8"))
        with (sys.stdin.buffer if options.file == "-" else open(options.file, "rb")) as file:
            data = file.read(BUNDLE_BYTES_MAX + 1)
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    verdict = verify(data, keys, since)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    print(json.dumps(verdict, indent=2, sort_keys=True) if options.json else in_words(verdict))
    return 0 if verdict["verified"] else 1


def in_words(verdict):
    if not verdict["verified"]:
        return "\n".join(["not verified"] + [problem_in_words(problem) for problem in verdict["problems"]])
    head = verdict["head"]
    lines = [f"verified: {verdict['records']} records of {len(verdict['objects'])} objects, head {head['root']} of size {head['size']}"]
    if not verdict["key_confirmed"]:
        lines.append(f"it says that it is of the host `{verdict['host']}`: give `--key` to be sure of it")
    return "\n".join(lines)


def problem_in_words(problem):
    # What a bundle says is not let loose on a terminal.
    where = [] if problem["object"] is None else [ascii(problem["object"][:80]), f"record {problem['seq']}"]
    return "  " + ": ".join([", ".join(where)] * bool(where) + [printable(problem["what"])])


def printable(what):
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in what)


if __name__ == "__main__":
    sys.exit(main())
