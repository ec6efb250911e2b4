// swift-tools-version: 6.3
import Foundation
import PackageDescription

/// Every target is compiled in Swift 6 language mode; CI adds `-warnings-as-errors` for our own targets.
let ours: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]
/// The packet path: spans with lifetimes.
let core: [SwiftSetting] = ours + [.enableExperimentalFeature("Lifetimes")]

let package = Package(
    name: "sluice",
    products: [
        .executable(name: "sluice-dispatcher", targets: ["sluice-dispatcher"]),
        .executable(name: "sluice-worker", targets: ["sluice-worker"]),
        .executable(name: "sluice", targets: ["sluice"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.30.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // MARK: System libraries and kernel calls
        .systemLibrary(name: "CPcap", pkgConfig: "libpcap", providers: [.apt(["libpcap-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(name: "CLinux"),
        .target(name: "CPrefetch"),

        // MARK: The dispatcher
        .target(name: "DispatcherCore", dependencies: ["CPrefetch"], swiftSettings: core),
        .target(name: "PacketIO", dependencies: ["DispatcherCore", "CPcap", "CLinux"], swiftSettings: core),
        .target(
            name: "DispatcherService",
            dependencies: [
                "DispatcherCore", "PacketIO", "CLinux", .product(name: "Yams", package: "Yams"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: core),
        .executableTarget(
            name: "sluice-dispatcher",
            dependencies: [
                "DispatcherCore", "PacketIO", "DispatcherService",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: ours),

        // MARK: The workers
        .target(name: "PushProtocol", dependencies: ["COpenSSL"], swiftSettings: ours),
        .target(name: "PushStore", dependencies: ["PushProtocol", .product(name: "GRDB", package: "GRDB.swift")], swiftSettings: ours),
        .target(
            name: "PushService",
            dependencies: [
                "PushProtocol", "PushStore", "CLinux", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"), .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"), .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: ours),
        .executableTarget(
            name: "sluice-worker",
            dependencies: [
                "PushProtocol", "PushStore", "PushService", .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"), .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: ours),

        // MARK: The tool
        .target(
            name: "Lab",
            dependencies: [
                "PushProtocol", .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"), .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: ours),
        .target(name: "RadioModel", swiftSettings: ours),
        .executableTarget(
            name: "sluice",
            dependencies: [
                "PushProtocol", "PushStore", "Lab", "RadioModel", "DispatcherCore", "PacketIO",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: ours),

        // MARK: Tests. Each names all of our targets beneath it: SwiftPM rebuilds a target only when one that it names has changed, and
        // optimized code has the layouts of values from further below compiled in.
        .target(name: "FuzzSupport", path: "Tests/FuzzSupport", swiftSettings: ours),
        .testTarget(
            name: "DispatcherCoreTests", dependencies: ["DispatcherCore", "FuzzSupport"], exclude: ["Resources"], swiftSettings: core),
        .testTarget(name: "PacketIOTests", dependencies: ["DispatcherCore", "PacketIO"], swiftSettings: core),
        .testTarget(
            name: "DispatcherServiceTests", dependencies: ["DispatcherCore", "PacketIO", "DispatcherService", "FuzzSupport"],
            swiftSettings: core),
        .testTarget(name: "PushProtocolTests", dependencies: ["PushProtocol"], swiftSettings: ours),
        .testTarget(name: "PushStoreTests", dependencies: ["PushProtocol", "PushStore"], swiftSettings: ours),
        .testTarget(
            name: "PushServiceTests",
            dependencies: [
                "PushProtocol", "PushStore", "PushService", "Lab", .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
            ],
            swiftSettings: ours),
        .testTarget(name: "LabTests", dependencies: ["Lab"], swiftSettings: ours),
        // What the engine costs without input and output: `scripts/bench engine` and Tests/Lab/test_engine_budget.py run it.
        .target(name: "CallCounts", path: "Tests/CallCounts"),
        .executableTarget(
            name: "EngineBench", dependencies: ["DispatcherCore", "CallCounts"], path: "Tests/EngineBench", swiftSettings: ours),
        .testTarget(name: "RadioModelTests", dependencies: ["RadioModel"], swiftSettings: ours),
        .target(name: "TestProcess", path: "Tests/TestProcess"),
        .testTarget(name: "TidyTests", dependencies: ["TestProcess"], swiftSettings: ours),
    ]
)

// MARK: Fuzzing

/// `scripts/fuzz` sets SLUICE_FUZZ to `core` or `service`: then the tests give way to a program that runs libFuzzer on what they share
/// with it.
let fuzzed = ProcessInfo.processInfo.environment["SLUICE_FUZZ"]
if let fuzzed {
    package.targets.removeAll { $0.type == .test }
    package.targets.append(
        fuzzed == "core"
            ? .executableTarget(
                name: "sluice-fuzz", dependencies: ["DispatcherCore", "FuzzSupport"], path: "Tests",
                exclude: ["DispatcherCoreTests/Simulation/DirectNetworkTests.swift"],
                sources: [
                    "Fuzz/Main.swift", "Fuzz/Core", "DispatcherCoreTests/Fuzz", "DispatcherCoreTests/Simulation",
                    "DispatcherCoreTests/Scenarios/ScenarioSupport.swift", "DispatcherCoreTests/HTTPFraming/Canonical.swift",
                    "DispatcherCoreTests/HTTPFraming/FramingConnection.swift", "DispatcherCoreTests/HTTPFraming/FramingSupport.swift",
                ], swiftSettings: core)
            : .executableTarget(
                name: "sluice-fuzz", dependencies: ["DispatcherService", "DispatcherCore", "FuzzSupport"], path: "Tests",
                sources: ["Fuzz/Main.swift", "Fuzz/Service", "DispatcherServiceTests/Fuzz"], swiftSettings: core))
}
