// DispatcherCore
