/// Why a request is refused: each distinct reason, with the status that answers it and a label to count it by.
public enum RequestFault: UInt8, CaseIterable, Error {
    // Lines
    case incompleteHead
    case headTooLong
    case targetTooLong
    case tooManyFields
    case emptyLines
    case bareCR
    case bareLF
    case controlByte
    case foldedLine
    case emptyName
    case whitespaceInName
    case nameByte
    case missingColon
    // Request line
    case requestLineSyntax
    case methodTooLong
    case connectMethod
    case h2Preface
    case versionSyntax
    case versionUnsupported
    case targetEmpty
    case targetByte
    case targetFragment
    case targetForm
    case targetScheme
    // Host
    case missingHost
    case duplicateHost
    case hostSyntax
    // Length of the body
    case duplicateLength
    case lengthSyntax
    case lengthAndChunked
    case duplicateCoding
    case codingSyntax
    case codingUnknown
    case codingInOldVersion
    case bodyInOldVersion
    case bodyInTrace
    case bodyInUpgrade
    case bodyTooLong
    // Chunks
    case chunkSize
    case chunkExtension
    case chunkEnd
    case chunkTrailer
    case chunkLineTooLong
    case trailerTooLong
    // Other fields
    case connectionSyntax
    case expectation
    case maxForwards
    case maxForwardsReached

    /// The status of the dispatcher's answer. After any of these the connection closes: where the next request begins is not certain.
    public var status: Int {
        switch self {
        case .headTooLong, .tooManyFields, .trailerTooLong: return 431
        case .targetTooLong: return 414
        case .bodyTooLong, .bodyInOldVersion: return 413
        case .expectation: return 417
        case .methodTooLong, .connectMethod, .codingUnknown, .maxForwardsReached: return 501
        case .versionUnsupported: return 505
        default: return 400
        }
    }

    /// The reason as a metric's label.
    public var label: StaticString {
        switch self {
        case .incompleteHead: return "incomplete-head"
        case .headTooLong: return "head-too-long"
        case .targetTooLong: return "target-too-long"
        case .tooManyFields: return "too-many-fields"
        case .emptyLines: return "empty-lines"
        case .bareCR: return "bare-cr"
        case .bareLF: return "bare-lf"
        case .controlByte: return "control-byte"
        case .foldedLine: return "folded-line"
        case .emptyName: return "empty-name"
        case .whitespaceInName: return "whitespace-in-name"
        case .nameByte: return "name-byte"
        case .missingColon: return "missing-colon"
        case .requestLineSyntax: return "request-line-syntax"
        case .methodTooLong: return "method-too-long"
        case .connectMethod: return "connect-method"
        case .h2Preface: return "h2-preface"
        case .versionSyntax: return "version-syntax"
        case .versionUnsupported: return "version-unsupported"
        case .targetEmpty: return "target-empty"
        case .targetByte: return "target-byte"
        case .targetFragment: return "target-fragment"
        case .targetForm: return "target-form"
        case .targetScheme: return "target-scheme"
        case .missingHost: return "missing-host"
        case .duplicateHost: return "duplicate-host"
        case .hostSyntax: return "host-syntax"
        case .duplicateLength: return "duplicate-length"
        case .lengthSyntax: return "length-syntax"
        case .lengthAndChunked: return "length-and-chunked"
        case .duplicateCoding: return "duplicate-coding"
        case .codingSyntax: return "coding-syntax"
        case .codingUnknown: return "coding-unknown"
        case .codingInOldVersion: return "coding-in-old-version"
        case .bodyInOldVersion: return "body-in-old-version"
        case .bodyInTrace: return "body-in-trace"
        case .bodyInUpgrade: return "body-in-upgrade"
        case .bodyTooLong: return "body-too-long"
        case .chunkSize: return "chunk-size"
        case .chunkExtension: return "chunk-extension"
        case .chunkEnd: return "chunk-end"
        case .chunkTrailer: return "chunk-trailer"
        case .chunkLineTooLong: return "chunk-line-too-long"
        case .trailerTooLong: return "trailer-too-long"
        case .connectionSyntax: return "connection-syntax"
        case .expectation: return "expectation"
        case .maxForwards: return "max-forwards"
        case .maxForwardsReached: return "max-forwards-reached"
        }
    }
}
