"""Nodes that are played: they speak the real protocol to a real server, and run nothing.

Each has a thread that exchanges as an agent does. What it is told to have runs at once, but for the
slots that it shall fail at; what it uses and what its containers write is made up, always the same.
"""

import contextlib
import http.client
import json
import math
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from pathfinder.wire.messages import (
    Assignment,
    ContainerUsage,
    Holding,
    Measurements,
    StreamRequest,
)
from tests.support.running import Api, DriverNode

PAUSE_S: Final = 0.1
END_S_MAX: Final = 20.0
OUT: Final = b"\x01"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a node cannot start one of its containers."""

    code: str
    text: str
    hint: str = ""


@dataclass(kw_only=True)
class PlayedNode:
    """One node. `number` makes its addresses and its use."""

    api: Api
    name: str
    number: int = 1
    facts: dict[str, Any] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    runtime_error: str = ""
    log: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._node = DriverNode(self.api, self.name, secret=f"{self.number:x}" * 64)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._step = 0
        self._began_ms: dict[str, int] = {}
        self._snapshots: dict[str, dict[str, int]] = {}  # of each slot: when each was made

    def start(self) -> "PlayedNode":
        """Join and live."""
        self._node.join(**self.facts)
        self._thread.start()
        return self

    def fall_silent(self) -> None:
        """As by a power cut, once what is parked is answered."""
        self._stopping.set()

    def stop(self) -> None:
        """Fall silent, and return when that is so."""
        self.fall_silent()
        if self._thread.is_alive():
            self._thread.join(END_S_MAX)

    def _live(self) -> None:
        while not self._stopping.is_set():
            try:
                reply = self._node.exchange(
                    *self._holding(),
                    measurements=self._measurements(),
                    runtime_error=self.runtime_error,
                )
            except (OSError, http.client.HTTPException, AssertionError):
                self._stopping.wait(PAUSE_S)  # the server is being started anew
                continue
            for stream in reply.streams:
                threading.Thread(target=self._write, args=(stream,), daemon=True).start()

    def _holding(self) -> list[Holding]:
        # It copies nothing: what it is to take from another node never comes.
        there = (each for each in self._node.wanted.values() if each.relocation != "take")
        wanted = sorted(there, key=lambda each: each.slot)
        return [self._held(each, place) for place, each in enumerate(wanted, 10)]

    def _held(self, assignment: Assignment, place: int) -> Holding:
        slot = assignment.slot
        began_ms = self._began_ms.setdefault(slot, time.time_ns() // 1_000_000)
        running = Holding(
            slot=slot,
            generation=assignment.generation,
            digest=assignment.digest,
            phase="running",
            addresses=(f"10.20.{self.number}.{place}",),
            started_ms=began_ms,
        )
        if assignment.spec.get("bootstrap"):
            running = replace(
                running,
                round=assignment.round,
                bootstrap="done",
                bootstrap_tries=1,
                bootstrap_exit_code=0,
            )
        failure = self.failures.get(slot)
        if failure is None:
            return running
        return replace(
            running,
            phase="failed",
            addresses=(),
            error_code=failure.code,
            error=failure.text,
            hint=failure.hint,
        )

    def _measurements(self) -> Measurements:
        self._step += 1
        cpu = int(self.facts.get("cpu_millis", 8_000))
        memory = int(self.facts.get("memory_mib", 16_384))
        wave = math.sin(self._step / 5 + self.number)
        return Measurements(
            cpu_used_millis=int(cpu * (0.25 + 0.12 * wave)),
            memory_total_mib=memory,
            memory_used_mib=int(memory * (0.38 + 0.04 * wave)),
            load_1m=1.2 + wave / 4,
            load_5m=1.1,
            load_15m=0.9,
            disk_total_mib=200_000,
            disk_used_mib=31_000,
            containers=tuple(
                ContainerUsage(slot=slot, cpu_millis=120, memory_mib=48, processes=7)
                for slot in self._node.wanted
                if slot not in self.failures
            ),
        )

    def _write(self, stream: StreamRequest) -> None:
        """Bring a log, and keep it open as long as somebody reads; or answer about snapshots."""
        url = f"ws://127.0.0.1:{self.api.port}/api/v3/node/streams/{stream.stream_id}"
        credential = f"pfn.default.{self.name}.{self._node.secret}"
        with (
            contextlib.suppress(WebSocketException, OSError),
            connect(
                url,
                additional_headers={"Authorization": f"Bearer {credential}"},
                compression=None,
            ) as there,
        ):
            if stream.what == "snapshots":
                there.send(json.dumps(self._kept(stream.slot, stream.arguments)))
                return
            for line in (*self.log, f"{stream.slot} is up"):
                there.send(OUT + line.encode() + b"\n")
            there.recv()

    def _kept(self, slot: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The snapshots of a container when it has been done; restoring one takes no time."""
        kept = self._snapshots.setdefault(slot, {})
        do, name = arguments["do"], str(arguments["snapshot"])
        if do == "create":
            kept[name] = time.time_ns() // 1_000_000
        elif do == "delete":
            kept.pop(name, None)
        elif do == "restore" and name not in kept:
            text = f"{slot} has no snapshot {name}"
            return {"error": {"code": "not_found", "message": text, "hint": "look again"}}
        items = [{"name": each, "made_ms": ms, "size_mib": 128} for each, ms in kept.items()]
        return {"snapshots": items}


def stop_all(nodes: Iterable[PlayedNode]) -> None:
    """Have all fall silent at once."""
    for node in nodes:
        node.fall_silent()
    for node in nodes:
        node.stop()
