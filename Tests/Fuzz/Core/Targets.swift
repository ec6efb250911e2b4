let fuzzTargets = coreFuzzTargets
