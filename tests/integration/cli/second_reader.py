#!/usr/bin/env python3
"""A second reader of the journal, written from docs/FORMATS.md and nothing else.

    second_reader.py DIR list                        lane files, as JSON
    second_reader.py DIR verify [PUBLIC_KEY.pem]     checksums, numbering, hashes, signatures; findings as JSON
    second_reader.py DIR read STREAM_ARN COMMAND...  records as JSON lines; COMMAND CONTEXT_KEY=VALUE unwraps a data key:
                                                     the ciphertext blob on stdin, 32 bytes on stdout
"""
import base64, glob, hashlib, hmac, json, os, struct, subprocess, sys, time

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PAGE = 4096
KEY, DATA, PAD, SHARDS, FOOTER, TRAILER, LOST, MOVED = range(1, 9)

TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(*parts):
    """Of all parts joined."""
    c = 0xFFFFFFFF
    for part in parts:
        for byte in part:
            c = c >> 8 ^ TABLE[(c ^ byte) & 0xFF]
    return c ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283


class Bad(Exception):
    """Something does not check: (offset, sentence)."""


def need(good, offset, sentence):
    if not good:
        raise Bad(offset, sentence)


class Block:
    def __init__(self, f, pos, limit):
        head = f.data[pos : pos + 128]
        need(len(head) == 128 and pos + 128 <= limit, pos, "a block is cut off")
        magic, version, kind, zero, total, crc, file_id, position, durable = struct.unpack_from("<4sBBHIIQQQ", head)
        self.epoch, self.stream, self.shard, self.count = struct.unpack_from("<QQII", head, 40)
        self.number, self.first, self.body_len, zero2 = struct.unpack_from("<QQII", head, 64)
        self.earliest, self.latest = struct.unpack_from("<QQ", head, 88)
        need(magic == b"SLJB" and version == 1 and 1 <= kind <= 8, pos, "no block")
        need(zero == zero2 == 0 and head[104:] == bytes(24), pos, "reserved bytes are not zero")
        need(file_id == f.id and position == pos and durable <= pos, pos, "a block of another place")
        size = 128 + self.body_len + {DATA: 16, MOVED: 40}.get(kind, 0)
        need(total == (size + 7) // 8 * 8 and pos + total <= limit, pos, "a length is wrong")
        self.raw = f.data[pos : pos + total]
        need(crc == crc32c(f.salt, self.raw[:12], bytes(4), self.raw[16:]), pos, "the checksum is wrong")
        need(self.raw[size:] == bytes(total - size), pos, "padding is not zero")
        if kind not in (KEY, DATA, MOVED):
            need(self.epoch == self.stream == 0, pos, "a field that this type does not have")
        self.kind, self.pos, self.end, self.file = kind, pos, pos + total, f
        self.body = self.raw[128 : 128 + self.body_len]
        self.tag = self.raw[128 + self.body_len : 144 + self.body_len]
        self.aad = self.raw[:12] + bytes(4) + self.raw[16:128]
        if kind == MOVED:  # as it was sealed, for another place; from here on it is a data block
            sealed = (144 + self.body_len + 7) // 8 * 8
            self.aad = self.raw[:5] + bytes([DATA]) + self.raw[6:8] + struct.pack("<II", sealed, 0) + \
                self.raw[144 + self.body_len : 168 + self.body_len] + self.raw[40:128]
            self.kind = DATA
        if kind in (PAD, LOST):
            need(not any(self.body), pos, "a pad is not zero")


class Footer:
    def __init__(self, block):
        b = block.body
        self.flags, shards, sparse, keys, self.blocks, self.records, self.plain = struct.unpack_from("<IIIIQQQ", b)
        need(self.flags < 16 and len(b) == 40 + 72 * shards + 32 * sparse + 24 * keys, block.pos, "a footer's counts are wrong")
        self.shards = [struct.unpack_from("<QIIQQQQQQQ", b, 40 + 72 * i) for i in range(shards)]
        self.sparse = [struct.unpack_from("<QIIQQ", b, 40 + 72 * shards + 32 * i) for i in range(sparse)]
        self.keys = [struct.unpack_from("<QQQ", b, 40 + 72 * shards + 32 * sparse + 24 * i) for i in range(keys)]


class LaneFile:
    def __init__(self, path, marks):
        self.name, self.path = os.path.basename(path), path
        with open(path, "rb") as f:
            self.data = f.read()
        h = self.data[:PAGE]
        need(len(h) == PAGE and h[:4] == b"SLJF", 0, "no lane file")
        need(crc32c(h[:4092]) == struct.unpack_from("<I", h, 4092)[0], 0, "the header's checksum is wrong")
        self.left = struct.unpack_from("<Q", h, 88)[0]
        version, self.id, self.lane, zero = struct.unpack_from("<IQII", h, 4)
        self.uuid, self.salt = h[24:40], h[40:56]
        self.capacity, self.created, self.previous, self.run = struct.unpack_from("<QQQQ", h, 56)
        need(version == 1 and zero == 0 and not any(h[96:4092]), 0, "the header is not well formed")
        need(self.name == "%020d.slj" % self.id, 0, "the name is of another file")
        self.footer = None
        try:
            t = Block(self, self.capacity - PAGE, self.capacity)
            need(t.kind == TRAILER, t.pos, "no trailer")
            end = Block(self, struct.unpack("<Q", t.body)[0], self.capacity - PAGE)
            need(end.kind == FOOTER, end.pos, "no footer")
            self.footer, self.limit, self.after = Footer(end), end.pos, end.end
        except Bad:
            pages = marks.get(self.lane)
            self.limit = self.capacity - PAGE
            if pages:
                self.limit = pages.get(self.id, PAGE)

    def blocks(self, bad):
        """Every good block; bad(offset, end) for what lies between."""
        pos = PAGE
        while pos < self.limit:
            start = pos
            block = None
            while block is None and pos < self.limit:
                try:
                    block = Block(self, pos, self.limit)
                except Bad:
                    pos += 8
            if pos != start:
                bad(self, start, min(pos, self.limit))
            if block is not None:
                yield block
                pos = block.end


def directories(directory):
    """All of the journal: its own list says which."""
    try:
        with open(os.path.join(directory, "directories"), "rb") as f:
            raw = f.read()
    except FileNotFoundError:
        return [directory]
    magic, version, uuid, generation, count, zero = struct.unpack_from("<4sI16sQII", raw)
    need(magic == b"SLJD" and version == 1 and zero == 0 and 1 <= count <= 8, 0, "no list of directories")
    need(crc32c(raw[:-4]) == struct.unpack_from("<I", raw, len(raw) - 4)[0], 0, "the list's checksum is wrong")
    at, out = 40, []
    for _ in range(count):
        length, state, zero = struct.unpack_from("<HBB", raw, at)
        need(state in (1, 2) and zero == 0, at, "a directory's entry is wrong")
        out.append(raw[at + 4 : at + 4 + length].decode())
        at += 4 + length
    need(at == len(raw) - 4, at, "the list has bytes behind its end")
    return out


def watermarks(directory, marks):
    """marks[lane][file id] = position, one for each directory that the lane has written to."""
    try:
        with open(os.path.join(directory, "watermark"), "rb") as f:
            for lane in range(64):
                until = time.monotonic() + 0.5
                while True:
                    f.seek(lane * PAGE)
                    raw = f.read(64)
                    if len(raw) < 64 or not any(raw):
                        break
                    magic, version, change, file_id, position = struct.unpack_from("<4sIQQQ", raw)
                    if magic == b"SLJW" and version == 1 and change % 2 == 0 and crc32c(raw[:60]) == struct.unpack_from("<I", raw, 60)[0]:
                        marks.setdefault(lane, {})[file_id] = position
                        break
                    if time.monotonic() > until:
                        break
    except FileNotFoundError:
        pass


def lane_files(directory, findings):
    marks, paths, files = {}, [], {}
    for one in directories(directory):
        watermarks(one, marks)
        paths += glob.glob(os.path.join(one, "[0-9]" * 20 + ".slj"))
    for path in sorted(paths, key=os.path.basename):
        try:
            f = LaneFile(path, marks)
            files[f.id] = f
        except Bad as e:
            findings.append({"file": os.path.basename(path), "offset": e.args[0], "message": e.args[1]})
    for f in files.values():
        before = files.get(f.previous)
        if f.left and before is not None and before.footer is None:
            before.limit = min(before.limit, f.left)
    yield from files.values()


def key_block(block):
    epoch, stream = struct.unpack_from("<QQ", block.body)
    commitment = block.body[16:48]
    lengths = struct.unpack_from("<HHHH", block.body, 48)
    need(len(block.body) == 56 + sum(lengths), block.pos, "a key block's lengths are wrong")
    parts, at = [], 56
    for n in lengths:
        parts.append(block.body[at : at + n])
        at += n
    return {"epoch": epoch, "stream": stream, "commitment": commitment, "stream_arn": parts[0].decode(), "key_arn": parts[1].decode(),
            "context": parts[2], "wrapped": parts[3]}


def context_pairs(raw):
    (count,) = struct.unpack_from("<H", raw)
    at, pairs, texts = 2, [], []
    for _ in range(2 * count):
        (n,) = struct.unpack_from("<H", raw, at)
        texts.append(raw[at + 2 : at + 2 + n].decode())
        at += 2 + n
    need(at == len(raw), 0, "a context has bytes behind its end")
    return list(zip(texts[::2], texts[1::2]))


def epoch_key(data_key, k):
    """The sealing key; the commitment is compared before anything is opened."""
    prk = hmac.new(bytes(32), data_key, hashlib.sha256).digest()
    info = b"sealock epoch v1" + struct.pack("<QQ", k["epoch"], k["stream"])
    first = hmac.new(prk, info + b"\x01", hashlib.sha256).digest()
    second = hmac.new(prk, first + info + b"\x02", hashlib.sha256).digest()
    need(second == k["commitment"], 0, "the data key is not the one of the epoch")
    return AESGCM(first)


def records(block, cipher):
    nonce = bytes(4) + struct.pack(">Q", block.number)
    plain = cipher.decrypt(nonce, block.body + block.tag, block.aad)
    at = 24 * block.count
    for i in range(block.count):
        data_len, key_len, source, zero, arrival, zero2 = struct.unpack_from("<IHBBQQ", plain, 24 * i)
        need(zero == zero2 == 0 and source in (1, 2), block.pos, "a record's entry is wrong")
        yield block.first + i, arrival, plain[at : at + key_len], plain[at + key_len : at + key_len + data_len]
        at += key_len + data_len
    need(at == len(plain), block.pos, "records do not fill their block")


# --- proofs ---


def proof_records(path):
    with open(path, "rb") as f:
        raw = f.read()
    at, out = 0, []
    while at + 16 <= len(raw):
        magic, version, kind, zero, length, crc = struct.unpack_from("<4sBBHII", raw, at)
        record = raw[at : at + length]
        if magic != b"SLJP" or version != 1 or zero != 0 or length < 16 or len(record) < length:
            break
        if crc != crc32c(record[:12], bytes(4), record[16:]):
            break
        out.append((kind, record[16:]))
        at += length
    return out


def signature_of(records, digest, trusted):
    """None: nobody signed; True or False: right or not."""
    result = None
    for kind, body in records:
        if kind != 3 or body[:32] != digest:
            continue
        s, p, a = struct.unpack_from("<HHH", body, 32)
        signature, der = body[48 : 48 + s], body[48 + s : 48 + s + p]
        key = serialization.load_der_public_key(der)
        if trusted is not None and der != trusted:
            result = result or False
            continue
        try:
            key.verify(signature, b"sealock-attest-1\0journal\0" + digest, ec.ECDSA(hashes.SHA256()))
            return True
        except InvalidSignature:
            result = False
    return result


def check_proof(f, chain, trusted, find):
    path = f.path[:-4] + ".slp"
    if not os.path.exists(path):
        if trusted is not None and f.footer is not None:
            find(f, 0, "a closed file without a proof")
        return 0
    recs = proof_records(path)
    running, position, pieces, signed, final = hashlib.sha256(), 0, 0, 0, False
    commitments = hashlib.sha256()
    bad = []
    for kind, body in recs:
        if kind == 1:
            start, count = struct.unpack_from("<QI", body)
            if start == 0:
                running, position, pieces, bad, final = hashlib.sha256(), 0, 0, [], False
            if start != position:
                return find(f, position, "a proof has a hole") or signed
            for i in range(count):
                entry = body[16 + 36 * i : 52 + 36 * i]
                (n,) = struct.unpack_from("<I", entry)
                if hashlib.sha256(f.data[position : position + n]).digest() != entry[4:]:
                    bad.append(position)
                running.update(entry)
                position, pieces = position + n, pieces + 1
        elif kind == 2:
            digest = hashlib.sha256(body).digest()
            right = signature_of(recs, digest, trusted)
            if right is None:
                continue
            uuid, file_id, lane, flags, run, pos, n = struct.unpack_from("<16sQIIQQQ", body)
            previous_id, previous_hash = struct.unpack_from("<Q32s", body, 152)
            if not right:
                return find(f, signed, "a statement is not signed by the appliance") or signed
            if (uuid, file_id, lane, run) != (f.uuid, f.id, f.lane, f.run):
                return find(f, 0, "a proof of another file") or signed
            if (pos, n, body[120:152]) != (position, pieces, running.digest()):
                return find(f, signed, "the hashes are not those that were signed") or signed
            for at in bad:
                find(f, at, "this is not what was written")
            bad, signed, final = [], pos, bool(flags & 1)
            known = chain.get(f.lane)
            if known is not None and previous_id != 0 and (previous_id, previous_hash) != known:
                find(f, 0, "the file before it is missing, or another one")
            if final:
                chain[f.lane] = (f.id, running.digest())
                counts = struct.unpack_from("<QQQ", body, 56)
                if f.footer is None:
                    find(f, pos, "the end of the file is gone")
                elif counts != (f.footer.blocks, f.footer.records, f.footer.plain):
                    find(f, f.limit, "the footer counts otherwise")
    if trusted is not None and f.footer is not None and not final:
        find(f, signed, "closed, and not signed to its end")
    return signed


def verify(directory, pem):
    findings, chain, shards, epochs, oldest = [], {}, {}, {}, {}
    trusted = None
    if pem is not None:
        with open(pem, "rb") as k:
            trusted = serialization.load_pem_public_key(k.read()).public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    total = {"files": 0, "blocks": 0, "data_blocks": 0, "records": 0, "bytes_signed": 0}

    def find(f, offset, message):
        findings.append({"file": f.name, "offset": offset, "message": message})

    for f in lane_files(directory, findings):
        total["files"] += 1
        oldest.setdefault(f.lane, f.id)
        blocks = count = 0
        for b in f.blocks(lambda f, start, end: find(f, start, "damaged up to %d" % end)):
            total["blocks"] += 1
            if b.kind == LOST:
                find(f, b.pos, "lost")
            if b.kind != DATA:
                continue
            blocks, count = blocks + 1, count + b.count
            first_seen = b.epoch not in epochs
            if b.number != epochs.get(b.epoch, 0) and not (first_seen and b.epoch >> 24 < oldest[f.lane]):
                find(f, b.pos, "a block number that is not the next")
            epochs[b.epoch] = b.number + 1
            place = (b.stream, b.shard)
            if place in shards and shards[place] != b.first:
                find(f, b.pos, "a sequence number that is not the next")
            shards[place] = b.first + b.count
        if f.footer is not None and (f.footer.blocks, f.footer.records) != (blocks, count):
            find(f, f.limit, "the footer counts other blocks or records")
        total["data_blocks"] += blocks
        total["records"] += count
        total["bytes_signed"] += check_proof(f, chain, trusted, find)
    total["findings"] = findings
    json.dump(total, sys.stdout)
    print()
    return 1 if findings else 0


def list_files(directory):
    findings = []
    files = []
    for f in lane_files(directory, findings):
        used, blocks, count, plain = PAGE, 0, 0, 0
        for b in f.blocks(lambda *_: None):
            used = b.end
            if b.kind == DATA:
                blocks, count, plain = blocks + 1, count + b.count, plain + b.body_len
        files.append({"name": f.name, "id": f.id, "lane": f.lane, "capacity_bytes": f.capacity, "used_bytes": used, "blocks": blocks,
                      "records": count, "plain_bytes": plain,
                      "state": "open" if f.footer is None else "recovered" if f.footer.flags & 1 else "closed"})
    json.dump({"files": files, "damaged": len(findings)}, sys.stdout)
    print()
    return 1 if findings else 0


def text_or_base64(out, name, raw):
    try:
        text = raw.decode()
        if "\0" in text:
            raise UnicodeDecodeError("utf-8", raw, 0, 1, "NUL")
        out[name] = text
    except UnicodeDecodeError:
        out[name] = base64.b64encode(raw).decode()
        out[name + "_encoding"] = "base64"


def read(directory, stream_arn, command):
    findings, keys, blocks = [], {}, []
    for f in lane_files(directory, findings):
        for b in f.blocks(lambda *_: findings.append(1)):
            if b.kind == KEY:
                keys.setdefault(b.epoch, key_block(b))
            elif b.kind == DATA:
                blocks.append(b)
    # Of one lane in the order of its files; lanes by run, then by arrival, with each lane in its own order.
    lanes = {}
    for b in blocks:
        lanes.setdefault(b.file.lane, []).append(b)
    ciphers = {}
    while lanes:
        lane = min(lanes, key=lambda n: (lanes[n][0].file.run, lanes[n][0].earliest, n))
        b = lanes[lane].pop(0)
        if not lanes[lane]:
            del lanes[lane]
        k = keys[b.epoch]
        if k["stream_arn"] != stream_arn:
            continue
        if b.epoch not in ciphers:
            pairs = ["%s=%s" % pair for pair in context_pairs(k["context"])]
            data_key = subprocess.run(command + pairs, input=k["wrapped"], stdout=subprocess.PIPE, check=True).stdout
            ciphers[b.epoch] = epoch_key(data_key, k)
        try:
            for sequence, arrival, key, data in records(b, ciphers[b.epoch]):
                out = {"sequence": sequence, "shard": b.shard, "arrival_ns": arrival, "epoch": "%016x" % b.epoch}
                text_or_base64(out, "partition_key", key)
                text_or_base64(out, "data", data)
                print(json.dumps(out))
        except InvalidTag:
            findings.append(1)
    return 1 if findings else 0


if __name__ == "__main__":
    directory, what = sys.argv[1], sys.argv[2]
    if what == "list":
        sys.exit(list_files(directory))
    if what == "verify":
        sys.exit(verify(directory, sys.argv[3] if len(sys.argv) > 3 else None))
    sys.exit(read(directory, sys.argv[3], sys.argv[4:]))
