import ArgumentParser
import Foundation
import PushService

do {
    let command = try WorkerCommand.parse()
    try await command.run()
} catch let error as WorkerError {
    FileHandle.standardError.write(Data("sluice-worker: \(error)\n".utf8))
    exit(error.isPermission ? 3 : 1)
} catch {
    let code = WorkerCommand.exitCode(for: error)
    let output = code.isSuccess ? FileHandle.standardOutput : FileHandle.standardError
    output.write(Data((WorkerCommand.fullMessage(for: error) + "\n").utf8))
    exit(code.isSuccess ? 0 : code == .validationFailure ? 2 : 1)
}
