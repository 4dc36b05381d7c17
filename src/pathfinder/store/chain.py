"""The hash chain, the same in every engine: what makes a change to history visible."""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pathfinder.store.port import GENESIS, RECORD_BYTES_MAX, Broken, Record

_NUMBERS: Final = struct.Struct(">QQQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place in the chain: after record `seq`, whose hash is `hash`."""

    seq: int
    hash: bytes


BEGINNING: Final = Mark(seq=0, hash=GENESIS)


def mark_of(record: Record) -> Mark:
    """The place right after `record`."""
    return Mark(seq=record.seq, hash=record.hash)


def next_record(after: Mark, *, epoch: int, time_ms: int, body: bytes) -> Record:
    """The record that follows `after`, with its hash."""
    assert len(body) <= RECORD_BYTES_MAX, f"a record of {len(body)} bytes"
    seq = after.seq + 1
    return Record(
        seq=seq,
        epoch=epoch,
        time_ms=time_ms,
        body=body,
        previous=after.hash,
        hash=_hash(after.hash, seq, epoch, time_ms, body),
    )


def checked(rows: Iterable[tuple[object, ...]], after: Mark) -> Iterator[Record]:
    """Stored (seq, epoch, time_ms, body, hash) as records; Broken where they do not follow `after`.

    Rows come from a disk that may have lied, so not even their types are believed.
    """
    for row in rows:
        match row:
            case (int(seq), int(epoch), int(time_ms), bytes(body), bytes(stored)) if (
                epoch >= 0 and time_ms >= 0
            ):
                pass
            case _:
                raise Broken(f"record {after.seq + 1} cannot be read")
        record = Record(
            seq=seq, epoch=epoch, time_ms=time_ms, body=body, previous=after.hash, hash=stored
        )
        check(record, after)
        yield record
        after = mark_of(record)


def check(record: Record, after: Mark) -> None:
    """Broken unless `record` follows `after` in the chain."""
    seq = record.seq
    if seq != after.seq + 1:
        raise Broken(f"record {after.seq + 1} is missing: {seq} follows {after.seq}")
    expected = _hash(after.hash, seq, record.epoch, record.time_ms, record.body)
    if record.previous != after.hash or record.hash != expected:
        raise Broken(f"record {seq} does not carry the hash of its content and predecessor")


def digest_of(chunks: Iterable[bytes]) -> bytes:
    """SHA-256 over a snapshot's chunks and where each ends."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(_NUMBERS.pack(len(chunk), 0, 0))
        digest.update(chunk)
    return digest.digest()


def _hash(previous: bytes, seq: int, epoch: int, time_ms: int, body: bytes) -> bytes:
    digest = hashlib.sha256(previous)
    digest.update(_NUMBERS.pack(seq, epoch, time_ms))
    digest.update(body)
    return digest.digest()
