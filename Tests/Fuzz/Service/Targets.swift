let fuzzTargets = [ConfigurationFuzz.target]
