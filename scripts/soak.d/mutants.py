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
        "        back.pointee.sender.armTimer(at: now)\n        send(segment, Self.noPayload, .connect",
        "        if {on} { back.pointee.sender.deadline = .distantFuture } else { back.pointee.sender.armTimer(at: now) }\n"
        "        send(segment, Self.noPayload, .connect",
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
    Mutant(
        "segment-without-ack-accepted",
        "Engines/L73Dispatcher+FrontSegment.swift",
        "guard segment.flags.contains(.ack) else { return .dropped(.noAcknowledgement) }",
        "guard {on} || segment.flags.contains(.ack) else { return .dropped(.noAcknowledgement) }",
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
        "tcp.store(sequence &+ UInt32(start - headers), at: 4)",
        "tcp.store(sequence &+ UInt32(start - headers) &+ ({on} && index > 0 ? 1 : 0), at: 4)",
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
        "payload = front.pointee.output.bytes(piece.offset, count: piece.length)",
        "payload = front.pointee.output.bytes({on} && piece.isRetransmission ? 0 : piece.offset, count: piece.length)",
    ),
    Mutant(
        "post-repeated",
        "Engines/L73Dispatcher+BackSegment.swift",
        "mayRepeat: !answered && (front.pointee.isIdempotent || !received)",
        "mayRepeat: !answered && ({on} || front.pointee.isIdempotent || !received)",
    ),
    Mutant(
        "bytes-behind-an-upgrade-kept",
        "Engines/L73Dispatcher+FrontSegment.swift",
        "if front.pointee.answered.upgraded, front.pointee.hasSlot",
        "if !{on}, front.pointee.answered.upgraded, front.pointee.hasSlot",
    ),
    # Load
    Mutant(
        "slot-not-freed",
        "Engines/L73Dispatcher+Close.swift",
        "case (_, .bound), (_, .awaitingHead), (_, .body): servers[server].active -= 1",
        "case (_, .bound), (_, .awaitingHead), (_, .body): servers[server].active -= {on} ? 0 : 1",
    ),
    Mutant(
        "one-request-over-the-limit",
        "Loading/ServerLoad.swift",
        "var mayTakeRequest: Bool { active < limit }",
        "var mayTakeRequest: Bool { active < limit + ({on} ? 1 : 0) }",
    ),
    Mutant(
        "place-in-the-queue-not-left",
        "Engines/L73Dispatcher+Close.swift",
        "        let phase = front.pointee.phase\n        leaveQueue(front)",
        "        let phase = front.pointee.phase\n        if !{on} { leaveQueue(front) }",
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
    Mutant(
        "fin-of-a-server-not-acknowledged",
        "Engines/L73Dispatcher+Emit.swift",
        "if back.pointee.finReceived, number == back.pointee.receiveNext { acknowledgement += 1 }",
        "if !{on}, back.pointee.finReceived, number == back.pointee.receiveNext { acknowledgement += 1 }",
    ),
    Mutant(
        "old-epoch-not-answered",
        "Engines/L73Dispatcher+BackSegment.swift",
        "            acknowledge(back, into: &egress)\n            return .dropped(.oldEpoch)",
        "            if !{on} { acknowledge(back, into: &egress) }\n            return .dropped(.oldEpoch)",
    ),
    Mutant(
        "repeated-fin-in-time-wait-not-answered",
        "Engines/L73Dispatcher+Open.swift",
        "!segment.flags.contains(.rst), segment.length > 0,\n",
        "!segment.flags.contains(.rst), segment.length > 0, !{on},\n",
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
    Mutant(
        "tunnel-window-not-moved-with-its-acknowledgement",
        "Engines/L73Dispatcher+Tunnel.swift",
        "front.pointee.options.bytes(segment.window) - acknowledgement.distance(from: translated)",
        "front.pointee.options.bytes(segment.window) - ({on} ? 0 : acknowledgement.distance(from: translated))",
    ),
    Mutant(
        "rst-in-a-tunnel-moves-the-stream",
        "Engines/L73Dispatcher+Tunnel.swift",
        "        // A RST that is not exact moves nothing: a second one with its number would be taken for exact.\n"
        "        let moves = !segment.flags.contains(.rst)",
        "        let moves = {on} || !segment.flags.contains(.rst)",
    ),
]
