import ArgumentParser
import Foundation
import PushService

/// Ends the process without the libraries' own clean-up: a thread of a pool may still be inside of one.
func end(_ code: Int32) -> Never {
    fflush(nil)
    _exit(code)
}

do {
    let given = Array(CommandLine.arguments.dropFirst())
    let file = try ConfigurationFile.named(in: given)
    let command: WorkerCommand
    do {
        command = try WorkerCommand.parse((file?.arguments(besides: given) ?? []) + given)
    } catch  where WorkerCommand.exitCode(for: error).isSuccess {
        throw error
    } catch {
        throw file?.located(error, besides: given) ?? error
    }
    try await command.run()
    end(0)
} catch let error as WorkerError {
    FileHandle.standardError.write(Data("sluice-worker: \(error)\n".utf8))
    end(error.isPermission ? 3 : 1)
} catch let error as ConfigurationFileError {
    FileHandle.standardError.write(Data("sluice-worker: \(error)\n".utf8))
    end(error.isUnreadable ? 1 : 2)
} catch {
    let code = WorkerCommand.exitCode(for: error)
    let output = code.isSuccess ? FileHandle.standardOutput : FileHandle.standardError
    output.write(Data((WorkerCommand.fullMessage(for: error) + "\n").utf8))
    end(code.isSuccess ? 0 : code == .validationFailure ? 2 : 1)
}
