"""Faults of one line each, for `scripts/soak --mutants`: the seeds of the simulated network must find every one.

`{on}` stands for "this fault is switched on": all of them are built into one copy of the core, and an environment variable says which one
is there. A text that is not found exactly once in its file is an error: who changes the line changes the fault with it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str  # below Sources/DispatcherCore
    old: str
    new: str


MUTANTS = [
    # Opening
    Mutant(
        "cookie-hash-not-checked",
        "Splicing/SYNCookie.swift",
        "if firstWrong | secondWrong == 0 {",
        "if {on} || firstWrong | secondWrong == 0 {",
    ),
    Mutant(
        "cookie-number-not-checked",
        "Splicing/SYNCookie.swift",
        "let secondWrong = (cookie & 0x3FFF) ^ second",
        "let secondWrong = {on} ? 0 : (cookie & 0x3FFF) ^ second",
    ),
    Mutant(
        "scale-never-offered-by-the-client",
        "Engines/L73Dispatcher+Open.swift",
        "if segment.options.windowScale != 255 { answer.windowScale",
        "if {on} || segment.options.windowScale != 255 { answer.windowScale",
    ),
    Mutant(
        "connect-timer-not-armed",
        "Engines/L73Dispatcher+BackOpen.swift",
        "        back.pointee.sender.armTimer(at: now)\n        send(segment, .empty, .connect",
        "        if {on} { back.pointee.sender.deadline = .distantFuture } else { back.pointee.sender.armTimer(at: now) }\n"
        "        send(segment, .empty, .connect",
    ),
    # Attacks
    Mutant(
        "rst-of-a-client-accepted-anywhere",
        "Engines/L73Dispatcher+FrontSegment.swift",
        "if segment.sequence == front.pointee.receiveNext {",
        "if {on} || segment.sequence == front.pointee.receiveNext {",
    ),
    Mutant(
        "rst-of-a-server-accepted-anywhere",
        "Engines/L73Dispatcher+BackSegment.swift",
        "guard segment.sequence == back.pointee.receiveNext || segment.sequence == back.pointee.told else {",
        "guard {on} || segment.sequence == back.pointee.receiveNext || segment.sequence == back.pointee.told else {",
    ),
    Mutant(
        "acknowledgement-of-what-was-not-sent-accepted",
        "Engines/L73Dispatcher+FrontSegment.swift",
        "        if segment.acknowledgement.isAfter(front.pointee.sender.highest) {\n            challenge(front",
        "        if !{on}, segment.acknowledgement.isAfter(front.pointee.sender.highest) {\n            challenge(front",
    ),
    # Checksums
    Mutant(
        "checksum-not-checked",
        "Wire/Frame.swift",
        "guard pseudo.folded == 0xFFFF else { return .bad(.badTCPChecksum) }",
        "guard {on} || pseudo.folded == 0xFFFF else { return .bad(.badTCPChecksum) }",
    ),
    Mutant(
        "incremental-checksum-wrong",
        "Wire/Egress.swift",
        "sum.add(segment.payloadSum ?? Checksum.partial(payload))",
        "sum.add(segment.payloadSum.map { {on} ? $0 &+ 1 : $0 } ?? Checksum.partial(payload))",
    ),
    # Splitting
    Mutant(
        "pieces-one-byte-off",
        "Wire/SegmentSplitter.swift",
        "tcp.store(sequence &+ UInt32(start), at: 4)",
        "tcp.store(sequence &+ UInt32(start) &+ ({on} && index > 0 ? 1 : 0), at: 4)",
    ),
    Mutant(
        "fin-on-every-piece",
        "Wire/SegmentSplitter.swift",
        ".subtracting([.psh, .fin])",
        ".subtracting({on} ? [.psh] : [.psh, .fin])",
    ),
    # Requests
    Mutant(
        "gap-in-a-request-overlooked",
        "Splicing/Reassembly.swift",
        "if start == contiguous {",
        "if {on} || start == contiguous {",
    ),
    Mutant(
        "request-repeated-from-its-start",
        "Engines/L73Dispatcher+Emit.swift",
        "payload = front.pointee.output.bytes(Int(front.pointee.stream.start) + piece.offset, count: piece.length)",
        "payload = front.pointee.output.bytes(\n"
        "                {on} && piece.isRetransmission ? 0 : Int(front.pointee.stream.start) + piece.offset, count: piece.length)",
    ),
    Mutant(
        "post-repeated",
        "Engines/L73Dispatcher+BackSegment.swift",
        "!front.pointee.stream.isActive && (front.pointee.isIdempotent || !received)",
        "!front.pointee.stream.isActive && ({on} || front.pointee.isIdempotent || !received)",
    ),
    # Load
    Mutant(
        "slot-not-freed",
        "Engines/L73Dispatcher+Close.swift",
        "case (_, .bound), (_, .awaitingHead), (_, .body), (_, .staged): leaveSlot(back, at: now)",
        "case (_, .bound), (_, .awaitingHead), (_, .body), (_, .staged): if !{on} { leaveSlot(back, at: now) }",
    ),
    Mutant(
        "place-in-the-queue-not-left",
        "Engines/L73Dispatcher+Close.swift",
        "        let phase = front.pointee.phase\n        leaveQueue(front, at: now)",
        "        let phase = front.pointee.phase\n        if !{on} { leaveQueue(front, at: now) }",
    ),
    # Windows, acknowledgements, SACK
    Mutant(
        "window-toward-servers-not-encoded",
        "Engines/L73Dispatcher+Emit.swift",
        "let window = back.pointee.options.field(atMost: room)",
        "let window = {on} ? UInt16(min(max(room, 0), 65_535)) : back.pointee.options.field(atMost: room)",
    ),
    Mutant(
        "window-of-clients-not-decoded",
        "Splicing/NegotiatedOptions.swift",
        "func bytes(_ field: UInt16) -> Int { Int(field) << Int(peerShift) }",
        "func bytes(_ field: UInt16) -> Int { Int(field) << ({on} ? Int(shift) : Int(peerShift)) }",
    ),
    Mutant(
        "sack-edge-not-translated",
        "Wire/SACKBlocks.swift",
        "            result.append(Block(start: start, end: end))\n        }\n        return result\n    }\n\n    /// The blocks that go",
        "            result.append({on} ? blocks[index] : Block(start: start, end: end))\n        }\n        return result\n    }\n\n"
        "    /// The blocks that go",
    ),
    # Responses
    Mutant(
        "delta-off-by-one",
        "Engines/L73Dispatcher+Response.swift",
        "back.pointee.splice.delta = front.pointee.sender.streamEnd.value &- back.pointee.receiveNext.value",
        "back.pointee.splice.delta = front.pointee.sender.streamEnd.value &- back.pointee.receiveNext.value &+ ({on} ? 1 : 0)",
    ),
    Mutant(
        "end-of-a-response-off-by-one",
        "Engines/L73Dispatcher+Response.swift",
        "back.pointee.splice.remaining = length + UInt64(headInEpoch)",
        "back.pointee.splice.remaining = length + UInt64(headInEpoch) + ({on} ? 1 : 0)",
    ),
    Mutant(
        "old-epoch-forwarded",
        "Engines/L73Dispatcher+Response.swift",
        "let start = back.pointee.splice.start\n        if segment.end.isAtOrBefore(start) {",
        "let start = {on} ? back.pointee.splice.start - 20_000 : back.pointee.splice.start\n        if segment.end.isAtOrBefore(start) {",
    ),
    Mutant(
        "fin-not-stripped",
        "Engines/L73Dispatcher+Response.swift",
        "if !front.pointee.keepAlive { front.pointee.sender.finQueued = true }",
        "if {on} || !front.pointee.keepAlive { front.pointee.sender.finQueued = true }",
    ),
    Mutant(
        "acknowledgements-of-a-client-lost",
        "Engines/L73Dispatcher+Acknowledge.swift",
        "if moved > 0, blocks.count == 0, back.pointee.gap.isNone {",
        "if {on}, moved > 0 { return false }\n            if moved > 0, blocks.count == 0, back.pointee.gap.isNone {",
    ),
    Mutant(
        "first-flight-not-clamped",
        "Engines/L73Dispatcher+Emit.swift",
        "            edge = SequenceNumber.earlier(edge, clamp)",
        "            if !{on} { edge = SequenceNumber.earlier(edge, clamp) }",
    ),
    Mutant(
        "retransmission-timer-not-armed",
        "Splicing/Sender+Timers.swift",
        "        retransmitAt = now + timeout\n        deadline = retransmitAt\n        isProbeNext = false\n        scheduleProbe(at: now)",
        "        retransmitAt = now + timeout\n        deadline = {on} ? .distantFuture : retransmitAt\n        isProbeNext = false\n"
        "        if !{on} { scheduleProbe(at: now) }",
    ),
    # Tunnels
    Mutant(
        "tunnel-delta-to-the-server-off-by-one",
        "Engines/L73Dispatcher+Tunnel.swift",
        "back.pointee.splice.clientDelta = back.pointee.sender.next.value &- front.pointee.receiveNext.value",
        "back.pointee.splice.clientDelta = back.pointee.sender.next.value &- front.pointee.receiveNext.value &+ ({on} ? 1 : 0)",
    ),
    Mutant(
        "tunnel-delta-to-the-client-off-by-one",
        "Engines/L73Dispatcher+Tunnel.swift",
        "back.pointee.splice.delta = front.pointee.sender.streamEnd.value &- back.pointee.receiveNext.value",
        "back.pointee.splice.delta = front.pointee.sender.streamEnd.value &- back.pointee.receiveNext.value &+ ({on} ? 1 : 0)",
    ),
]
