import Glibc

/// Names of the errors that sending meets.
enum ErrorName {
    private static let names: [Int32: String] = [
        EPERM: "EPERM", EAGAIN: "EAGAIN", EACCES: "EACCES", EINVAL: "EINVAL", EMSGSIZE: "EMSGSIZE", EAFNOSUPPORT: "EAFNOSUPPORT",
        ENETDOWN: "ENETDOWN", ENETUNREACH: "ENETUNREACH", ENOBUFS: "ENOBUFS", EHOSTDOWN: "EHOSTDOWN", EHOSTUNREACH: "EHOSTUNREACH",
        ENODEV: "ENODEV", ENXIO: "ENXIO", ENOMEM: "ENOMEM",
    ]

    static func text(_ code: Int32) -> String { names[code] ?? "errno-\(code)" }
}
