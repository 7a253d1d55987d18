#!/usr/bin/env python3
"""Reads and checks an Abide data folder, from docs/formats/lineage.md and the standard library alone.

Usage: read_log.py FOLDER
Prints what the log holds, a line for each thing, and exits with 1 at the first thing that is wrong.
"""
import base64
import hashlib
import os
import struct
import sys
import zlib


def fail(path, offset, what):
    sys.exit(f"{os.path.basename(path)} at byte {offset}: {what}")


def need(condition, path, offset, what):
    if not condition:
        fail(path, offset, what)


# Ed25519 as in RFC 8032, section 6; slow, and enough.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    i, j, k, m = f - e, h - g, h + g, f + e
    return (i * j % P, k * m % P, j * k % P, i * m % P)


def multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def decompress(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - x2) % P:
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def verify(key, message, signature):
    a, r = decompress(key), decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    left, right = multiply(s, BASE), add(r, multiply(h, a))
    same_x = (left[0] * right[2] - right[0] * left[2]) % P == 0
    return same_x and (left[1] * right[2] - right[1] * left[2]) % P == 0


def leaf_hash(data):
    return hashlib.sha256(b"\0" + data).digest()


def root_of(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root_of(leaves[:split]) + root_of(leaves[split:])).digest()


def read_header(path, data, leaves):
    need(data[:8] == b"ABIDELOG", path, 0, "no segment header")
    version, checksum, length, origin_length = struct.unpack_from("<IIII", data, 8)
    need(version == 1, path, 8, f"version {version}")
    need(zlib.crc32(data[16:length]) == checksum, path, 12, "checksum")
    base, first_leaf, root, key, key_id, reserved = struct.unpack_from("<QQ32s32s4sI", data, 24)
    origin = data[112:112 + origin_length].decode()
    need(length == 112 + (origin_length + 7) // 8 * 8, path, 16, "header length")
    need(not any(data[112 + origin_length:length]) and reserved == 0, path, 112, "padding")
    need(os.path.basename(path) == f"{base:020}.seg", path, 24, "name")
    need(first_leaf == len(leaves) and root == root_of(leaves), path, 32, "it does not follow the segment before")
    named = hashlib.sha256(origin.encode() + b"\n\x01" + key).digest()[:4]
    need(key_id == named, path, 104, "key id")
    print(f"segment {base} origin {origin} key {key.hex()} id {key_id.hex()}")
    return base, length, origin, key, key_id


def read_frame(path, data, offset, segment, leaves, heads):
    base, _, origin, key, key_id = segment
    need(data[offset:offset + 4] == b"AbFr", path, offset, "no frame")
    checksum, length, count, position, first_leaf, tick, time, named, reserved = struct.unpack_from(
        "<IIIQQQq4sI", data, offset + 4)
    need(offset + length <= len(data) and length % 8 == 0, path, offset, "frame length")
    need(zlib.crc32(data[offset + 8:offset + length]) == checksum, path, offset, "checksum")
    need(position == base + offset and named == key_id and reserved == 0, path, offset, "frame header")
    need(first_leaf == len(leaves), path, offset, "first leaf")
    at = offset + 56
    lines = []
    for _ in range(count):
        leaf, previous, number, size = struct.unpack_from("<QQII", data, at)
        need(leaf == len(leaves) and previous == heads.get(number, 0), path, at, "record header")
        record = data[at + 24:at + 24 + size]
        leaves.append(leaf_hash(record))
        heads[number] = base + at
        lines.append(f"  record {base + at} leaf {leaf} object {number} previous {previous} "
                     f"hash {leaves[-1].hex()} bytes {record.hex()}")
        at += 24 + size
    end = offset + length - 96
    need(at <= end < at + 8 and not any(data[at:end]), path, at, "padding")
    root, signature = data[end:end + 32], data[end + 32:end + 96]
    need(root == root_of(leaves), path, end, "root")
    text = f"{origin}\n{len(leaves)}\n{base64.b64encode(root).decode()}\n"
    need(verify(key, text.encode(), signature), path, end + 32, "signature")
    print(f"frame {position} to {position + length} tick {tick} time {time} size {len(leaves)} root {root.hex()}")
    print("\n".join(lines + [""]), end="")
    print(f"{text}\n\u2014 {origin} {base64.b64encode(key_id + signature).decode()}")
    return offset + length


def read_snapshot(path, ends):
    data = open(path, "rb").read()
    need(hashlib.sha256(data[:-32]).digest() == data[-32:], path, len(data) - 32, "checksum")
    magic, version, objects, position, last_frame, tick, time, size = struct.unpack_from("<8sIIQQQqQ", data, 0)
    need(magic == b"ABIDESNP" and version == 1, path, 0, "no snapshot")
    leaves, heads, begin = ends[position]
    need(size == len(leaves) and last_frame == begin, path, 32, "it does not stand where it says")
    at = 56
    expected, done = [], 0
    for bit in reversed(range(64)):
        if size >> bit & 1:
            expected.append(root_of(leaves[done:done + (1 << bit)]))
            done += 1 << bit
    need(data[at:at + 32 * len(expected)] == b"".join(expected), path, at, "subtrees")
    at += 32 * len(expected)
    stored = struct.unpack_from(f"<{objects}Q", data, at)
    need(all(heads.get(number, 0) == head for number, head in enumerate(stored)), path, at, "heads")
    at += 8 * objects
    (length,) = struct.unpack_from("<Q", data, at)
    state = data[at + 8:-32]
    need(len(state) == length, path, at, "state length")
    print(f"snapshot {position} last frame {last_frame} tick {tick} time {time} size {size} state {state.hex()}")


def main(folder):
    leaves, heads, ends, end = [], {}, {}, 0
    log = os.path.join(folder, "log")
    for name in sorted(os.listdir(log)):
        path = os.path.join(log, name)
        data = open(path, "rb").read()
        segment = read_header(path, data, leaves)
        need(segment[0] == end, path, 24, "base")
        offset = segment[1]
        while offset < len(data):
            begin = offset
            offset = read_frame(path, data, offset, segment, leaves, heads)
            ends[segment[0] + offset] = (list(leaves), dict(heads), segment[0] + begin)
        end = segment[0] + len(data)
    snapshots = os.path.join(folder, "snapshots")
    for name in sorted(os.listdir(snapshots)):
        read_snapshot(os.path.join(snapshots, name), ends)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.stdout.reconfigure(encoding="utf-8")
    main(sys.argv[1])
