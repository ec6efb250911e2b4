/* Players of a video: each takes its bytes by ranges over a connection of its own, keeps some seconds of it in hand, and plays in real time.
 *
 *   cc -O2 -o players players.c
 *   players ADDRESS[,ADDRESS...] PORT PATH FILE [streams=200] [seconds=20] [mbit=4] [segment=1048576] [start=2] [ahead=8] [ramp=4]
 *           [seek=30] [seed=1]                                                                (times in seconds, segment in bytes)
 *
 * FILE is what PATH serves: every byte that comes is compared with it. With several addresses each player goes to one of them, in turn. The
 * players begin one after the other in the first `ramp` seconds, each somewhere in the file; what comes after its end is its beginning again.
 * A player asks for the next `segment` bytes when they fit into `ahead` seconds, and plays when it has `start` seconds. Now and then, every
 * `seek` seconds in the mean (0: never), it goes elsewhere in the file, and forgets what it has.
 *
 * A stall is when a player that plays has nothing left; it ends when there are `start` seconds again, or by a seek, or with the run. Waiting
 * after the start and after a seek is no stall, and counted by itself. An answer is right if it is 206, with the Content-Range that was
 * asked for, and its bytes are the file's; a second after any other the connection is opened anew, as it is at once after one that broke.
 *
 * Prints one line of JSON. `longest_gap_ms` and `processor_seconds` say whether the players themselves were the limit: the longest time in
 * which they looked at nothing, and what they used. Ends early by SIGTERM.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 16384, MOST_ADDRESSES = 16, MOST_WAITS = 1 << 20, HEAD = 4096, BUFFER = 1 << 18, TURN_MS = 5, AGAIN_MS = 50, REFUSED_MS = 1000 };
enum phase { CLOSED, CONNECTING, IDLE, ASKED };
enum playing { NOT_YET, STARTING, SEEKING, PLAYING, STALLED };          /* STARTING and SEEKING become PLAYING, that STALLED, and back */
struct player {
    int fd, head_length, has_stalled;
    enum phase phase;
    enum playing playing;
    double begins, open_at, since, seek_at;     /* since: when it began to wait or to play, or ran dry */
    int64_t place, got, used;                   /* where in the file its bytes begin; how many of them came; how many were played at `since` */
    int64_t first, length, left;                /* the range that was asked for; of the body, -1: the head is not complete */
    int wanted;                                 /* 0: its rest is read for nobody, because of a seek */
    char head[HEAD];
};
static struct player player[MOST];
static struct sockaddr_in address[MOST_ADDRESSES];
static int addresses, streams = 200, epoll;
static const char *path;
static const unsigned char *file;
static int64_t size, segment = 1 << 20;
static double seconds = 20, mbit = 4, start_ = 2, ahead = 8, ramp = 4, seek = 30, rate, end_;
static uint64_t state, seed = 1;
static int64_t answered, other_status, wrong_range, wrong_bytes, broken, opened, bytes, seeks, stalls, stalled_streams, starts;
static double stall_seconds, longest_stall, played, longest_gap;
static float *start_ms, *seek_ms;
static int64_t seek_waits;
static volatile sig_atomic_t stopped;

static void stop(int number) { (void)number; stopped = 1; }
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static double draw(void) {              /* above 0, at most 1; splitmix64 */
    uint64_t z = state += 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL; z = (z ^ z >> 27) * 0x94d049bb133111ebULL; z ^= z >> 31;
    return ((z >> 11) + 1) * 0x1p-53;
}

/* MARK: Playing */

static void stall_ends(struct player *p, double t) {
    stall_seconds += t - p->since;
    if (t - p->since > longest_stall) longest_stall = t - p->since;
}
static void plays(struct player *p, double t) { p->playing = PLAYING; p->since = t; }
/* What has become of a player by that time, with the bytes that it has. */
static void go_on(struct player *p, double t) {
    double in_hand = (p->got - p->used) / rate;
    if (p->playing == PLAYING) {
        double dry = p->since + in_hand;
        if (t < dry) return;
        played += in_hand; p->used = p->got;
        p->playing = STALLED; p->since = dry; stalls++;
        if (!p->has_stalled) { p->has_stalled = 1; stalled_streams++; }
        return;
    }
    if (p->playing == NOT_YET || in_hand < start_) return;
    if (p->playing == STALLED) stall_ends(p, t);
    if (p->playing == STARTING && starts < MOST) start_ms[starts++] = (t - p->since) * 1e3;
    if (p->playing == SEEKING && seek_waits < MOST_WAITS) seek_ms[seek_waits++] = (t - p->since) * 1e3;
    plays(p, t);
}
static void count_played(struct player *p, double t) { if (p->playing == PLAYING) played += t - p->since; }
static double in_hand(const struct player *p, double t) {
    return (p->got - p->used) / rate - (p->playing == PLAYING ? t - p->since : 0);
}
static void goes_elsewhere(struct player *p, double t) {
    p->place = draw() * (size - 1); p->got = p->used = 0; p->wanted = 0; p->since = t;
    p->seek_at = seek > 0 ? t - log(draw()) * seek : INFINITY;
}
static void seeks_now(struct player *p, double t) {
    count_played(p, t);
    if (p->playing == STALLED) stall_ends(p, t);
    goes_elsewhere(p, t);
    p->playing = SEEKING; seeks++;
}

/* MARK: Connections */

static void close_it(struct player *p, double t) { close(p->fd); p->fd = -1; p->phase = CLOSED; p->open_at = t + AGAIN_MS * 1e-3; }
static void open_it(int i, double t) {
    struct player *p = &player[i];
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = i };
    int one = 1;
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (p->fd < 0) { perror("players: socket"); exit(1); }
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    p->phase = CONNECTING; opened++;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, p->fd, &event)) { perror("players: epoll_ctl"); exit(1); }
    if (connect(p->fd, (void *)&address[i % addresses], sizeof *address) && errno != EINPROGRESS) { broken++; close_it(p, t); }
}
static void ask(struct player *p, double t) {
    char request[1024];
    p->first = (p->place + p->got) % size;
    p->length = size - p->first < segment ? size - p->first : segment;
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: players\r\nRange: bytes=%lld-%lld\r\n\r\n", path,
                          (long long)p->first, (long long)(p->first + p->length - 1));
    p->phase = ASKED; p->left = -1; p->head_length = 0; p->wanted = 1;
    if (send(p->fd, request, length, MSG_NOSIGNAL) != length) { broken++; close_it(p, t); }
}
/* Whether the head that has come is what was asked for. */
static int is_right(struct player *p) {
    char range[128];
    const char *field = strcasestr(p->head, "\r\ncontent-length:"), *given = strcasestr(p->head, "\r\ncontent-range:");
    if (p->head_length < 13 || atoi(p->head + 9) != 206) { other_status++; return 0; }
    snprintf(range, sizeof range, "bytes %lld-%lld/%lld\r\n", (long long)p->first, (long long)(p->first + p->length - 1), (long long)size);
    if (given) { given += 16; given += strspn(given, " "); }
    if (!field || atoll(field + 17) != p->length || !given || strncmp(given, range, strlen(range))) { wrong_range++; return 0; }
    p->left = p->length;
    return 1;
}
static void readable(struct player *p, double t) {
    static unsigned char buffer[BUFFER];
    while (p->fd >= 0) {
        ssize_t n = recv(p->fd, buffer, sizeof buffer, 0), at = 0;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) { if (p->phase == ASKED || n < 0) broken++; close_it(p, t); return; }
        if (p->phase != ASKED) { wrong_bytes++; close_it(p, t); return; }       /* nothing was asked for */
        bytes += n;
        while (p->left < 0 && at < n) {
            if (p->head_length >= HEAD - 1) { other_status++; close_it(p, t); return; }
            p->head[p->head_length++] = buffer[at++];
            p->head[p->head_length] = 0;
            if (p->head_length >= 4 && !memcmp(p->head + p->head_length - 4, "\r\n\r\n", 4) && !is_right(p)) {
                close_it(p, t); p->open_at = t + REFUSED_MS * 1e-3; return;
            }
        }
        if (at == n) continue;
        if (n - at > p->left || memcmp(buffer + at, file + p->first + p->length - p->left, n - at)) { wrong_bytes++; close_it(p, t); return; }
        p->left -= n - at;
        if (p->wanted) { go_on(p, t); p->got += n - at; go_on(p, t); }
        if (p->left == 0) { answered++; p->phase = IDLE; }
    }
}
static void look(int i, double t) {
    struct player *p = &player[i];
    if (p->playing == NOT_YET) { if (t < p->begins) return; p->playing = STARTING; goes_elsewhere(p, t); }
    go_on(p, t);
    if (t >= p->seek_at) seeks_now(p, t);
    if (p->phase == CLOSED && t >= p->open_at) open_it(i, t);
    if (p->phase == IDLE && in_hand(p, t) + segment / rate <= ahead) ask(p, t);
}

static int option(const char *word) {
    const char *value = strchr(word, '=');
    char *end;
    if (!value) return 0;
    size_t length = value++ - word;
    double number = strtod(value, &end);
    if (end == value || *end) return 0;
#define NAMED(name) (length == strlen(name) && !strncmp(word, name, length))
    if (NAMED("streams") && number >= 1 && number <= MOST) streams = number;
    else if (NAMED("seconds") && number > 0 && number <= 3600) seconds = number;
    else if (NAMED("mbit") && number > 0 && number <= 1000) mbit = number;
    else if (NAMED("segment") && number >= 1 && number <= 1 << 30) segment = number;
    else if (NAMED("start") && number > 0 && number <= 60) start_ = number;
    else if (NAMED("ahead") && number > 0 && number <= 600) ahead = number;
    else if (NAMED("ramp") && number >= 0 && number <= 600) ramp = number;
    else if (NAMED("seek") && number >= 0) seek = number;
    else if (NAMED("seed") && number >= 0) seed = number;
    else return 0;
    return 1;
}
static int by_size(const void *a, const void *b) { float x = *(const float *)a, y = *(const float *)b; return (x > y) - (x < y); }
static void waits(const char *name, float *at, int64_t count) {
    qsort(at, count, sizeof *at, by_size);
#define SHARE(part) (count ? at[(int64_t)((part) * (count - 1))] : 0)
    printf(", \"%s_ms_p50\": %.1f, \"%s_ms_p99\": %.1f, \"%s_ms_most\": %.1f", name, SHARE(0.5), name, SHARE(0.99), name, SHARE(1));
}
static void map(const char *name) {
    struct stat facts;
    int fd = open(name, O_RDONLY);
    if (fd < 0 || fstat(fd, &facts) || facts.st_size < 2) { fprintf(stderr, "players: cannot read %s, or it is too short\n", name); exit(2); }
    size = facts.st_size;
    file = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (file == MAP_FAILED) { perror("players: mmap"); exit(1); }
    close(fd);
}

int main(int count, char **word) {
    if (count < 5 || atoi(word[2]) < 1 || atoi(word[2]) > 65535) {
        fprintf(stderr, "usage: players ADDRESS[,ADDRESS...] PORT PATH FILE [streams=N] ... (see its source)\n"); return 2;
    }
    for (char *one = strtok(word[1], ","); one; one = strtok(NULL, ",")) {
        if (addresses == MOST_ADDRESSES || inet_pton(AF_INET, one, &address[addresses].sin_addr) != 1) {
            fprintf(stderr, "players: %s is no address, or one too many\n", one); return 2;
        }
        address[addresses].sin_family = AF_INET; address[addresses++].sin_port = htons(atoi(word[2]));
    }
    for (int n = 5; n < count; n++) if (!option(word[n])) { fprintf(stderr, "players: %s is no option, or not in its range\n", word[n]); return 2; }
    rate = mbit * 1e6 / 8; path = word[3]; state = seed;
    if (!addresses || strlen(path) > 700) { fprintf(stderr, "players: no address, or the path is too long\n"); return 2; }
    if (ahead < start_ + segment / rate) { fprintf(stderr, "players: ahead must be at least start and a segment, %g s\n", start_ + segment / rate); return 2; }
    map(word[4]);
    start_ms = malloc(sizeof *start_ms * MOST); seek_ms = malloc(sizeof *seek_ms * MOST_WAITS);
    epoll = epoll_create1(0);
    if (!start_ms || !seek_ms || epoll < 0) { perror("players"); return 1; }
    signal(SIGTERM, stop); signal(SIGPIPE, SIG_IGN);

    double begin = now(), looked = begin;
    end_ = begin + seconds;
    for (int i = 0; i < streams; i++) player[i] = (struct player){ .fd = -1, .begins = begin + ramp * i / streams };
    struct epoll_event events[512];
    for (double t = begin; t < end_ && !stopped; t = now()) {
        if (t - looked > longest_gap) longest_gap = t - looked;
        looked = t;
        for (int i = 0; i < streams; i++) look(i, t);
        for (int turn = 0; turn < 64; turn++) {                 /* a bound: the players have to be looked at as well */
            int n = epoll_wait(epoll, events, 512, turn ? 0 : TURN_MS);
            if (n <= 0) break;
            for (int e = 0; e < n; e++) {
                int i = events[e].data.u32;
                struct player *p = &player[i];
                if (p->fd < 0) continue;
                t = now();
                if (p->phase == CONNECTING && events[e].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
                    int error = 0; socklen_t length = sizeof error;
                    getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &length);
                    if (error) { broken++; close_it(p, t); } else p->phase = IDLE;
                }
                if (p->fd >= 0 && events[e].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) readable(p, t);
                look(i, t);
            }
            if (now() - looked > TURN_MS * 1e-3) break;
        }
    }
    double t = now(), waiting = 0;
    struct rusage used;
    for (int i = 0; i < streams; i++) {
        struct player *p = &player[i];
        go_on(p, t); count_played(p, t);
        if (p->playing == STALLED) stall_ends(p, t);
        if (p->playing == STARTING || p->playing == SEEKING) waiting += t - p->since;
    }
    getrusage(RUSAGE_SELF, &used);
    printf("{\"streams\": %d, \"seconds\": %.3f, \"answered\": %lld, \"bytes\": %lld, \"other_status\": %lld, \"wrong_range\": %lld, "
           "\"wrong_bytes\": %lld, \"broken\": %lld, \"opened\": %lld, \"started\": %lld, \"seeks\": %lld, \"stalls\": %lld, "
           "\"stalled_streams\": %lld, \"stall_seconds\": %.3f, \"longest_stall_s\": %.3f, \"played_seconds\": %.3f, \"waiting_seconds\": %.3f",
           streams, t - begin, (long long)answered, (long long)bytes, (long long)other_status, (long long)wrong_range,
           (long long)wrong_bytes, (long long)broken, (long long)opened, (long long)starts, (long long)seeks, (long long)stalls,
           (long long)stalled_streams, stall_seconds, longest_stall, played, waiting);
    waits("start", start_ms, starts); waits("seek", seek_ms, seek_waits);
    printf(", \"longest_gap_ms\": %.1f, \"processor_seconds\": %.3f}\n", longest_gap * 1e3,
           used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    return 0;
}
