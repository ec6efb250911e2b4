/// Why a frame was dropped. Every frame that comes in is consumed, forwarded, or dropped for exactly one of these.
public enum DropReason: UInt8, CaseIterable, Sendable {
    // Wire
    case truncatedFrame, unsupportedEtherType, vlanTag, badIPHeader, ipFragment, unsupportedProtocol, badTCPHeader, badTCPChecksum
    case hopByHopHeader, routingHeader, destinationOptions, extensionHeader, noNextHeader, linkLocalSource
    case badTCPFlags, badSource, ownFrame, notOurAddress, wrongSide, leftToKernel, badICMP
    // ICMP errors: about no connection of ours; about a number that is not in flight; heeded by no more than being counted; everything else
    // that there is to absorb
    case icmpNotOurs, icmpNotInFlight, icmpSoft, icmpAbsorbed
    // Front end
    case serviceUnknown, refusedQueueFull, refusedNoServer, refusedTableFull, refusedStopping, refusedClientLimit, cookieInvalid,
        cookieEarlySegment
    case timeWait
    // Connections
    case noConnection, noAcknowledgement, outOfWindow, resetOutOfWindow, resetInexact, synInConnection, acknowledgesUnsent,
        oldAcknowledgement
    case afterFin, receiveMemory, whileUpgrading, afterLastRequest, gapNotKept
    // Connections that are only forwarded: of a client that waits for its server
    case whileQueued
    // Splices
    case oldEpoch, beyondResponse, whileIdle
    // Limits
    case rateLimited, egressFull

    /// The value of the metric's label `reason`.
    public var label: String { Self.kebab(String(describing: self)) }

    /// "badTCPFlags" becomes "bad-tcp-flags".
    static func kebab(_ name: String) -> String {
        var text = ""
        let characters = Array(name)
        for (index, character) in characters.enumerated() {
            let startsWord =
                character.isUppercase && index > 0
                && (!characters[index - 1].isUppercase || (index + 1 < characters.count && characters[index + 1].isLowercase))
            if startsWord { text.append("-") }
            text.append(character)
        }
        return text.lowercased()
    }
}
