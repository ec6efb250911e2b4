/// What is wrong with a head's lines, whichever way it travels.
enum SyntaxFault: UInt8 {
    case incomplete
    case headTooLong
    case startLineTooLong
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

    var isLength: Bool { self == .headTooLong || self == .startLineTooLong }
}

extension RequestFault {
    init(_ fault: SyntaxFault) {
        switch fault {
        case .incomplete: self = .incompleteHead
        case .headTooLong: self = .headTooLong
        case .startLineTooLong: self = .targetTooLong
        case .tooManyFields: self = .tooManyFields
        case .emptyLines: self = .emptyLines
        case .bareCR: self = .bareCR
        case .bareLF: self = .bareLF
        case .controlByte: self = .controlByte
        case .foldedLine: self = .foldedLine
        case .emptyName: self = .emptyName
        case .whitespaceInName: self = .whitespaceInName
        case .nameByte: self = .nameByte
        case .missingColon: self = .missingColon
        }
    }
}

extension ResponseFault {
    init(_ fault: SyntaxFault) {
        switch fault {
        case .incomplete: self = .incompleteHead
        case .headTooLong, .startLineTooLong: self = .headTooLong
        case .tooManyFields: self = .tooManyFields
        case .emptyLines: self = .emptyLines
        case .bareCR: self = .bareCR
        case .bareLF: self = .bareLF
        case .controlByte: self = .controlByte
        case .foldedLine: self = .foldedLine
        case .emptyName: self = .emptyName
        case .whitespaceInName: self = .whitespaceInName
        case .nameByte: self = .nameByte
        case .missingColon: self = .missingColon
        }
    }
}
