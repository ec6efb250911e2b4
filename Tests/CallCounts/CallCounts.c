// Stands before glibc's allocator and Swift's runtime: a program's own definition of a function comes before that of a shared library, for
// the library as well. Each passes the call on. What libswiftCore calls inside itself by other ways is not seen; callgrind sees that too.
#define _GNU_SOURCE
#include "CallCounts.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static bool counts;
static struct call_counts found;

static void note_allocation(size_t size)
{
    if (counts) {
        found.allocations++;
        found.bytes += size;
    }
}

// MARK: The allocator

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

void *malloc(size_t size)
{
    note_allocation(size);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    note_allocation(count * size);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    note_allocation(size);
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size)
{
    note_allocation(size);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size)
{
    void *memory = memalign(alignment, size);
    if (memory == NULL) return ENOMEM;
    *result = memory;
    return 0;
}

void free(void *memory)
{
    if (counts && memory != NULL) found.frees++;
    __libc_free(memory);
}

// MARK: Swift's runtime

static void *next(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL) {
        fprintf(stderr, "the runtime has no %s\n", name);
        _exit(1);
    }
    return function;
}

#define PASS_ON(RESULT, NAME, FIELD, PARAMETERS, ...)                                                                                        \
    RESULT NAME PARAMETERS                                                                                                                   \
    {                                                                                                                                        \
        static RESULT(*real) PARAMETERS;                                                                                                     \
        if (real == NULL) *(void **)&real = next(#NAME);                                                                                     \
        if (counts) found.FIELD++;                                                                                                           \
        return real(__VA_ARGS__);                                                                                                            \
    }

PASS_ON(void *, swift_allocObject, objects, (const void *type, size_t size, size_t mask), type, size, mask)
PASS_ON(void *, swift_retain, retains, (void *object), object)
PASS_ON(void *, swift_retain_n, retains, (void *object, uint32_t n), object, n)
PASS_ON(void, swift_release, releases, (void *object), object)
PASS_ON(void, swift_release_n, releases, (void *object, uint32_t n), object, n)
PASS_ON(void *, swift_bridgeObjectRetain, retains, (void *object), object)
PASS_ON(void *, swift_bridgeObjectRetain_n, retains, (void *object, int n), object, n)
PASS_ON(void, swift_bridgeObjectRelease, releases, (void *object), object)
PASS_ON(void, swift_bridgeObjectRelease_n, releases, (void *object, int n), object, n)
PASS_ON(void, swift_beginAccess, accesses, (void *at, void *buffer, uintptr_t flags, void *pc), at, buffer, flags, pc)

// MARK: What is measured

__attribute__((noinline)) struct call_counts sluice_measured(void (*body)(void *), void *context)
{
    found = (struct call_counts){0};
    counts = true;
    body(context);
    counts = false;
    return found;
}

int64_t sluice_thread_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t sluice_wall_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

struct runner {
    pthread_t thread;
    pthread_barrier_t *start;
    void (*body)(void *);
    void *context;
    int64_t began, ended, busy;
};

static void *run_one(void *of)
{
    struct runner *runner = of;
    pthread_barrier_wait(runner->start);
    int64_t before = sluice_thread_nanoseconds();
    runner->began = sluice_wall_nanoseconds();
    runner->body(runner->context);
    runner->ended = sluice_wall_nanoseconds();
    runner->busy = sluice_thread_nanoseconds() - before;
    return NULL;
}

int64_t sluice_at_once(void (*body)(void *), void *const *contexts, int count, int64_t *busy)
{
    struct runner runners[64];
    pthread_barrier_t start;
    if (count < 1 || count > 64 || pthread_barrier_init(&start, NULL, (unsigned)count) != 0) return -1;
    for (int i = 0; i < count; i++) {
        runners[i] = (struct runner){ .start = &start, .body = body, .context = contexts[i] };
        // Those that have started wait for it: there is no way on.
        if (pthread_create(&runners[i].thread, NULL, run_one, &runners[i]) != 0) return -1;
    }
    int64_t began = INT64_MAX, ended = 0;
    for (int i = 0; i < count; i++) {
        pthread_join(runners[i].thread, NULL);
        if (runners[i].began < began) began = runners[i].began;
        if (runners[i].ended > ended) ended = runners[i].ended;
        busy[i] = runners[i].busy;
    }
    pthread_barrier_destroy(&start);
    return ended - began;
}

int64_t sluice_resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size = 0, resident = 0;
    if (file == NULL) return -1;
    int read = fscanf(file, "%ld %ld", &size, &resident);
    fclose(file);
    return read == 2 ? resident * (int64_t)sysconf(_SC_PAGESIZE) : -1;
}
