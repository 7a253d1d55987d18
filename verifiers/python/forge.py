"""Makes bundles for the tests: a host with keys of its own commits any records at all, sound or not, and signs their log.

What only hashes and signatures protect from is out of the way then, so that each check must find by itself what it is for.
"""
import base64
import binascii
import copy
import hashlib

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def sha256(data):
    return hashlib.sha256(data).digest()


def leaf_hash(data):
    return sha256(b"\0" + data)


def encode(value):
    return cbor2.dumps(value, canonical=True)


class Signer:
    def __init__(self, name):
        self.secret = Ed25519PrivateKey.from_private_bytes(sha256(name.encode()))
        self.public = self.secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message):
        return self.secret.sign(message)


IDENTITY, LOG, OPERATOR, STRANGER = map(Signer, ("identity", "log", "operator", "stranger"))
ORIGIN = "example.org/forged"


def nkey(prefix, public):
    body = bytes([prefix]) + public
    return base64.b32encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "little")).decode()


def root_of(leaves):
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + root_of(leaves[:split]) + root_of(leaves[split:]))


def inclusion(index, leaves):
    if len(leaves) <= 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return inclusion(index, leaves[:split]) + [root_of(leaves[split:])]
    return inclusion(index - split, leaves[split:]) + [root_of(leaves[:split])]


def consistency(size, leaves, whole=True):
    if size == len(leaves):
        return [] if whole else [root_of(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if size <= split:
        return consistency(size, leaves[:split], whole) + [root_of(leaves[split:])]
    return consistency(size - split, leaves[split:], False) + [root_of(leaves[:split])]


def key_id(origin=ORIGIN, public=LOG.public):
    return sha256(origin.encode() + b"\n\x01" + public)[:4]


def note(leaves, origin=ORIGIN, signer=LOG):
    text = f"{origin}\n{len(leaves)}\n{base64.b64encode(root_of(leaves)).decode()}\n"
    stamp = key_id(origin, signer.public) + signer.sign(text.encode())
    return f"{text}\n\u2014 {origin} {base64.b64encode(stamp).decode()}\n"


def records_of(bundle):
    """The records of a bundle, the host's first, as maps to change and to commit again."""
    records = []
    for data in [data for _, data, _ in bundle[3]] + bundle[5]:
        record = cbor2.loads(data)
        record["hash"] = leaf_hash(data)
        records.append(record)
    return records


def commit(records, blobs=(), earlier=()):
    """The bundle of a log that holds these records, with their links, ids, forces, certificates and signatures made anew.

    What a record has under "as it is" is left so: the keys in that set. What it has under "signed as" is signed in place of its own.
    """
    heads, force, genesis, ids, committed = {}, {}, {}, {}, []
    zero = None
    for record in copy.deepcopy(records):
        old = record.pop("hash", None)
        kept, signer, signed_as = record.pop("as it is", set()), record.pop("signer", OPERATOR), record.pop("signed as", {})
        own = lambda key: key in record and key not in kept
        record[1] = ids.get(record[1], record[1])
        name = record[1]
        if own(19):
            record[19] = ids.get((record[19][0], record[19][1]), record[19])
        if own(31):
            record[31] = ids.get(record[31], record[31])
        if own(21):
            record[21] = nkey(13 << 3, IDENTITY.public)
        if record[0] == 0:
            record.update({k: v for k, v in {33: LOG.public, 34: ORIGIN}.items() if k not in kept})
            if 35 not in kept:
                record[35] = IDENTITY.sign(b"abide-log-key/1\0" + record[34].encode() + b"\0" + record[33])
        if own(18) and record[18][0]:
            record[18][0] = [["operator", OPERATOR.public]]
        if name in heads:
            record.update({k: v for k, v in {2: heads[name][0] + 1, 3: heads[name][1], 6: force[name]}.items() if k not in kept})
        if own(9) and type(record[9]) is list and record[0] != 5:
            record[9] = sign(record | signed_as, genesis.get(name), zero, signer)
        data = record.get("bytes") or encode(record)
        hash = leaf_hash(data)
        if name not in heads:
            genesis[name], force[name] = hash, 0
        zero = zero or hash
        if record[0] == 22:
            force[name] = record[2]
        heads[name] = record[2], hash
        committed.append((name, record[0], data, hash))
        if record[0] == 9 and old:
            child = sha256(b"\2" + hash + record[16].to_bytes(4, "big")).hex()
            before = sha256(b"\2" + old + record[16].to_bytes(4, "big")).hex()
            ids[before] = child
            for parent in (name, next((r[1] for r in records if r.get("hash") == old), name)):
                ids[(parent, old)] = [name, hash]
    return bundle_of(committed, blobs, earlier)


def sign(record, genesis, zero, signer):
    counter, arguments = record[9][2], {}
    if record[0] == 21:
        message = ["abide-operator/1", zero, "reset-clock", "", {"to": record[5]}, counter]
    else:
        act = {4: "mutate", 14: "release", 15: "seal", 22: "upgrade" if record.get(27) is None else "revert"}[record[0]]
        if act == "mutate":
            arguments = record[11]
        if record[0] == 22:
            taking_force = {"schema": record.get(17)} | dict(zip(("component", "config"), record.get(41) or ()))
            arguments = {name: digest for name, digest in taking_force.items() if digest}
        message = ["abide-operator/1", genesis, act, record.get(7, ""), arguments, counter]
    return [record[9][0], signer.public, counter, signer.sign(encode(message))]


def bundle_of(committed, blobs, earlier):
    leaves = [hash for _, _, _, hash in committed]
    host, records, lasts = [], [], {}
    for index, (name, kind, data, _) in enumerate(committed):
        if name == "@host":
            host.append([index, data, inclusion(index, leaves)])
        else:
            records.append(data)
            lasts[name] = [index, inclusion(index, leaves)]
    heads = [[note(leaves[:size]), consistency(size, leaves) if size else []] for size in earlier]
    return {0: "abide-bundle", 1: 1, 2: note(leaves), 3: host, 4: sorted(blobs, key=sha256), 5: records,
            6: list(lasts.values()), 7: heads}
