#ifndef CPREFETCH_H
#define CPREFETCH_H

/// Has the cache line at an address fetched, without waiting for it. The address may be any.
static inline void sluice_prefetch(const void *address) { __builtin_prefetch(address); }

#endif
