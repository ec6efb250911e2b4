/* A CGI program with a working set: it takes a file that no other one has now, touches random pages of it, and answers.
 *
 *   cc -O2 -o pages pages.c
 *
 * PAGES_FOLDER names the folder of the files (0, 1, 2, ...), PAGES_TOUCHED how many pages are touched (default 10,000). So many at a time need
 * that many files in the page cache; where a cgroup has less memory than they take, each drives the others' pages out, and all wait for
 * the disk's reading or the kernel's reclaiming. A file is free when nobody holds a lock on it: the lock ends with its process.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FILES = 1024 };

static int failed(const char *why) { printf("Status: 500 Internal Server Error\r\nContent-Type: text/plain\r\n\r\npages: %s\n", why); return 0; }

int main(void) {
    const char *folder = getenv("PAGES_FOLDER"), *count = getenv("PAGES_TOUCHED");
    long touched = count ? atol(count) : 10000, page = sysconf(_SC_PAGESIZE);
    char path[4096], body[64];
    struct stat about;
    if (!folder) return failed("PAGES_FOLDER is not set");
    for (int n = 0; n < MOST_FILES; n++) {
        snprintf(path, sizeof path, "%s/%d", folder, n);
        int fd = open(path, O_RDONLY);
        if (fd < 0) return failed("no file is free");
        if (flock(fd, LOCK_EX | LOCK_NB)) { close(fd); continue; }
        if (fstat(fd, &about) || about.st_size < page) return failed("the file is too short");
        const volatile uint8_t *bytes = mmap(NULL, about.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (bytes == MAP_FAILED) return failed("mmap failed");
        madvise((void *)bytes, about.st_size, MADV_RANDOM);         /* or the kernel would read whole stretches for each page */
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        uint64_t state = (uint64_t)t.tv_nsec << 20 ^ getpid(), pages = about.st_size / page, sum = 0;
        for (long k = 0; k < touched; k++) {
            state ^= state << 13; state ^= state >> 7; state ^= state << 17;
            sum += bytes[state % pages * page];
        }
        int length = snprintf(body, sizeof body, "%ld pages, %llu\n", touched, (unsigned long long)sum);
        printf("Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", length, body);
        return 0;
    }
    return failed("all files are taken");
}
