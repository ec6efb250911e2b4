import Foundation
import Testing

/// The house rules that a program can check, over the repository's own files.
@Suite("Tidy")
struct TidyTests {
    struct File: Sendable {
        /// From the repository's root.
        var path: String
        var text: String
        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
    }

    static let root: URL = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Every source file below `folder`, in order of path.
    static func files(_ folder: String, endings: Set<String> = ["swift", "c", "h"]) -> [File] {
        let base = root.appendingPathComponent(folder)
        guard let walk = FileManager.default.enumerator(at: base, includingPropertiesForKeys: nil) else { return [] }
        var found: [File] = []
        for case let url as URL in walk where endings.contains(url.pathExtension) {
            guard let text = try? String(contentsOf: url, encoding: .utf8) else { continue }
            found.append(File(path: folder + url.path.dropFirst(base.path.count), text: text))
        }
        return found.sorted { $0.path < $1.path }
    }

    /// The text without comments and string literals.
    static func code(_ line: Substring) -> String {
        var result = ""
        var inString = false
        var previous: Character = " "
        for character in line {
            if character == "\"", previous != "\\" { inString.toggle() }
            if !inString {
                if character == "/", previous == "/" {
                    result.removeLast()
                    break
                }
                result.append(character)
            }
            previous = character
        }
        return result
    }

    static func words(_ text: String) -> [Substring] { text.split { !($0.isLetter || $0.isNumber || $0 == "_") } }

    @Test("the files are there")
    func found() {
        #expect(Self.files("Sources/DispatcherCore").count > 10)
        #expect(Self.files("Tests").contains { $0.path.hasSuffix("TidyTests.swift") })
    }

    static let layers = ["Wire", "HTTPFraming", "Loading", "Splicing", "Engines"]

    /// Names of types that the files of a layer declare.
    static func declared(_ files: [File]) -> Set<String> {
        var names: Set<String> = []
        for file in files {
            for line in file.lines {
                // Only types of the file's own level: nested ones are named through their parents.
                guard let first = line.first, !first.isWhitespace else { continue }
                let words = Self.words(code(line))
                for (index, word) in words.enumerated() where ["struct", "enum", "class", "actor", "protocol", "typealias"].contains(word) {
                    if index + 1 < words.count { names.insert(String(words[index + 1])) }
                }
            }
        }
        return names
    }

    @Test("the layers of DispatcherCore are held apart: no file names a type of a later folder")
    func layersHold() {
        let byLayer = Self.layers.map { Self.files("Sources/DispatcherCore/\($0)") }
        for (index, files) in byLayer.enumerated() {
            let earlier = Set(byLayer[...index].flatMap { Self.declared($0) })
            let later = Set(byLayer[(index + 1)...].flatMap { Self.declared($0) }).subtracting(earlier)
            for file in files {
                for (number, line) in file.lines.enumerated() {
                    for word in Self.words(Self.code(line)) where later.contains(String(word)) {
                        Issue.record("\(file.path):\(number + 1): \(Self.layers[index]) names \(word), a type of a later layer")
                    }
                }
            }
        }
        let outside = Self.files("Sources/DispatcherCore").filter { file in !Self.layers.contains { file.path.contains("/\($0)/") } }
        #expect(outside.isEmpty, "\(outside.map(\.path))")
    }

    /// The peers of the simulated network, and all that they are made of.
    static let peers = [
        "TestTCPEndpoint", "TestSegment", "TestHost", "SegmentFlags", "SegmentMerger", "SimulatedFrame", "SimulatedLink", "SimulatedClient",
        "SimulatedServer", "ReceivedRequest", "Exchange", "Simulation.swift", "SimulationRandom",
    ]

    @Test("the simulated peers share no code with what they judge: they name addresses and times of DispatcherCore, and nothing else of it")
    func peersStandAlone() {
        let core = Self.files("Sources/DispatcherCore")
        let shared: Set<String> = ["Endpoint", "HardwareAddress", "IPAddress", "Instant", "Interval"]
        let foreign = Self.declared(core).subtracting(shared)
        let files = Self.files("Tests/DispatcherCoreTests/Simulation").filter { file in
            let name = file.path.split(separator: "/").last ?? ""
            return Self.peers.contains { name.hasPrefix($0) } && !name.hasSuffix("Tests.swift")
        }
        #expect(files.count >= Self.peers.count)
        for file in files {
            for (number, line) in file.lines.enumerated() {
                let words = Self.words(Self.code(line))
                if words.first == "import" || words.contains("testable") {
                    #expect(words.count == 2 && ["DispatcherCore", "Glibc"].contains(words[1]), "\(file.path):\(number + 1): \(line)")
                    continue
                }
                for word in words where foreign.contains(String(word)) {
                    Issue.record("\(file.path):\(number + 1): a peer of the dispatcher names \(word), which is the dispatcher's own")
                }
            }
        }
    }

    @Test("DispatcherCore imports nothing but Glibc, Synchronization and the hint to the caches")
    func imports() {
        for file in Self.files("Sources/DispatcherCore") {
            for line in file.lines.map(Self.code) {
                let words = Self.words(line)
                guard let at = words.firstIndex(of: "import") else { continue }
                let name = words.count > at + 1 ? words[at + 1] : ""
                #expect(["Glibc", "Synchronization", "CPrefetch"].contains(name), "\(file.path) imports \(name)")
            }
        }
    }

    @Test("no file is over 700 lines")
    func length() {
        for file in Self.files("Sources") + Self.files("Tests") {
            #expect(file.lines.count <= 700, "\(file.path): \(file.lines.count) lines")
        }
    }

    @Test("no path of a machine stands in the sources")
    func paths() throws {
        let machine = try Regex("\"/(home|root|tmp|work|Users|build)/")
        for file in Self.files("Sources") {
            for (number, line) in file.lines.enumerated() where line.contains(machine) {
                Issue.record("\(file.path):\(number + 1): \(line)")
            }
        }
    }

    @Test("only the programs print")
    func prints() throws {
        let prints = try Regex("(^|[^A-Za-z0-9_.])(debugPrint|print|dump)\\(")
        for file in Self.files("Sources") where !file.path.hasPrefix("Sources/sluice") {
            for (number, line) in file.lines.enumerated() where Self.code(line).contains(prints) {
                Issue.record("\(file.path):\(number + 1): \(line)")
            }
        }
    }

    @Test("nothing is left to be done later")
    func leftovers() throws {
        let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X:"]
        for file in Self.files("Sources") + Self.files("Tests") {
            for (number, line) in file.lines.enumerated() where marks.contains(where: { line.contains($0) }) {
                Issue.record("\(file.path):\(number + 1): \(line)")
            }
        }
    }
}
