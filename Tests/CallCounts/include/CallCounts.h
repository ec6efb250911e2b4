#pragma once
#include <stdint.h>

/// What code has asked of the allocator and of Swift's runtime.
struct call_counts {
    uint64_t allocations;   // malloc, calloc, realloc, aligned allocations
    uint64_t bytes;         // what they asked for
    uint64_t frees;
    uint64_t objects;       // swift_allocObject; each is an allocation as well
    uint64_t retains;       // of every kind, those of bridge objects included
    uint64_t releases;
    uint64_t accesses;      // swift_beginAccess: exclusivity that is checked while it runs
};

/// Calls `body(context)` and counts what it asks for. Not nested, and for one thread.
///
/// The function's name is what `callgrind --toggle-collect` is given: what runs inside is counted, and nothing else.
struct call_counts sluice_measured(void (*body)(void *), void *context);

/// Nanoseconds of processor time of this thread: what other programs take meanwhile is not in it.
int64_t sluice_thread_nanoseconds(void);

/// Nanoseconds since some moment.
int64_t sluice_wall_nanoseconds(void);

/// Calls `body` with each context, each in a thread of its own, all at once; `count` is at most 64. Returns the nanoseconds from when all
/// began until the last came back, -1 when a thread could not be started. In `busy` is the processor time of each.
int64_t sluice_at_once(void (*body)(void *), void *const *contexts, int count, int64_t *busy);

/// Bytes of this process that are resident.
int64_t sluice_resident_bytes(void);
