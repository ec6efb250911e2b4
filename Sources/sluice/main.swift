import ArgumentParser
import Foundation
import Lab

do {
    try await SluiceCommand.parseAndRun()
} catch let error as LabError {
    FileHandle.standardError.write(Data("sluice: \(error)\n".utf8))
    exit(1)
} catch {
    let code = SluiceCommand.exitCode(for: error)
    let output = code.isSuccess ? FileHandle.standardOutput : FileHandle.standardError
    output.write(Data((SluiceCommand.fullMessage(for: error) + "\n").utf8))
    exit(code.isSuccess ? 0 : code == .validationFailure ? 2 : 1)
}
