import FuzzSupport

/// The targets that need nothing but the core.
let coreFuzzTargets = [FrameFuzz.target, OptionFuzz.target, RequestFuzz.target, ResponseFuzz.target]
