/* HTTP requests that come when they come, whatever becomes of those before them: an open loop, with what became of each.
 *
 *   cc -O2 -o openloop openloop.c -lm
 *   openloop ADDRESS PORT [rate=R] [seconds=10] [warm-up=0] [connections=N] [reuse=no|yes] [arrivals=poisson|even] [paths=/cost/1*9,/cost/10*1]
 *            [within=1000] [patience=2000] [slice=250] [seed=1]                                        (times in ms, but seconds and warm-up)
 *
 * Requests are due at R a second, as a Poisson process or evenly, and the time of each counts from when it was due: a server that stalls makes
 * every request late that fell into the stall (no coordinated omission). The same seed gives the same times and paths. rate=0: a closed loop,
 * `connections` users who ask again as soon as they have their answer.
 *
 * reuse=no: each request has a connection of its own; more than `connections` (default 8000) at once are not opened and count as unsent.
 * reuse=yes: `connections` (default 64) that are kept; a request waits here while none is free. After `patience` a client leaves: the
 * connection is reset, and the request counts as timed out. Answers have a Content-Length, or end with the connection. Requests of the first `warm-up` seconds are sent, and not counted.
 *
 * A request ends as one of: good (200 within `within` of when it was due), late (200, later), unavailable (503), other_status, refused (no
 * connection), reset, closed (the connection ended before the answer did), timed_out, unsent. Prints one line of JSON: these counts and
 * the percentiles of the times of good and late ones in ms; in slices of `slice` ms from the start, the warm-up included: how many were due, how
 * many of these were good, and how many answers (200) came. `begin` is the start on the machine's monotonic clock. Ends early by SIGTERM.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
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
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 16384, MOST_DUE = 1 << 18, MOST_TIMES = 8 << 20, MOST_SLICES = 20000, HEAD = 4096, PATHS = 8, REQUEST = 700 };
enum phase { CLOSED, CONNECTING, ASKED, IDLE, ENDING };     /* ENDING: answered; the server closes, so that its ports rest and not ours */
enum outcome { GOOD, LATE, UNAVAILABLE, OTHER_STATUS, REFUSED, RESET, CUT, TIMED_OUT, UNSENT, OUTCOMES };
static const char *const names[OUTCOMES] = { "good", "late", "unavailable", "other_status", "refused", "reset", "closed", "timed_out", "unsent" };
struct request { double due; int path; };
struct connection {
    int fd, status, closes, next, head_length;
    enum phase phase;
    uint32_t generation;                /* counts its requests and its sockets */
    struct request request;
    int64_t body_left;                  /* -1: the head is not complete; -2: until the connection ends */
    char head[HEAD];
};
struct patience { double until; int connection; uint32_t generation; };
static struct connection connection[MOST];
static int first_free = -1, standing, epoll;
static struct request waiting[MOST_DUE];                    /* due, without a connection; a ring */
static uint32_t waiting_head, waiting_tail;
static struct patience patient[MOST_DUE];                   /* in order of time; a ring */
static uint32_t patient_head, patient_tail;
static char request[PATHS][REQUEST];
static int request_length[PATHS], paths, connections, reuse, even;
static double path_share[PATHS], rate_ = -1, seconds = 10, warm_up, within = 1000, patience = 2000, slice_ms = 250, begin_, end_;
static uint64_t gap_state, path_state, seed = 1;
static struct sockaddr_in address;
static int64_t outcome[OUTCOMES], counted, opened, bytes, slice_due[MOST_SLICES], slice_good[MOST_SLICES], slice_answered[MOST_SLICES];
static uint32_t *taken_us;
static int64_t times;
static volatile sig_atomic_t stopped;

static void stop(int number) { (void)number; stopped = 1; }
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static double draw(uint64_t *state) {   /* above 0, at most 1; splitmix64 */
    uint64_t z = *state += 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL; z = (z ^ z >> 27) * 0x94d049bb133111ebULL; z ^= z >> 31;
    return ((z >> 11) + 1) * 0x1p-53;
}
static int slice(double t) { int n = (t - begin_) * 1e3 / slice_ms; return n < 0 ? 0 : n >= MOST_SLICES ? MOST_SLICES - 1 : n; }
static int counts(const struct request *r) { return r->due >= begin_ + warm_up && r->due < end_; }

static void ended(const struct request *r, enum outcome how, double t) {
    if (how == GOOD || how == LATE) slice_answered[slice(t)]++;
    if (how == GOOD) slice_good[slice(r->due)]++;
    if (!counts(r)) return;
    outcome[how]++;
    if ((how == GOOD || how == LATE) && times < MOST_TIMES) taken_us[times++] = (t - r->due) * 1e6;
}
static struct request next_request(double due) {
    struct request r = { due, 0 };
    if (paths > 1) { double share = draw(&path_state); while (r.path < paths - 1 && share > path_share[r.path]) r.path++; }
    slice_due[slice(due)]++;
    if (counts(&r)) counted++;
    return r;
}
static void release(int i) { connection[i].phase = CLOSED; connection[i].next = first_free; first_free = i; }
static void close_it(int i, int abort) {
    struct connection *c = &connection[i];
    struct linger now_ = { 1, 0 };
    if (abort) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now_, sizeof now_);
    close(c->fd); c->fd = -1; c->generation++; standing--;
    release(i);
}
static void failed(int i, enum outcome how) {
    struct connection *c = &connection[i];
    if (c->phase == CONNECTING || c->phase == ASKED) ended(&c->request, how, now());
    close_it(i, 0);
}
static void send_it(int i) {
    struct connection *c = &connection[i];
    c->phase = ASKED; c->head_length = 0; c->body_left = -1; c->status = 0; c->closes = !reuse;
    if (send(c->fd, request[c->request.path], request_length[c->request.path], MSG_NOSIGNAL) != request_length[c->request.path]) failed(i, RESET);
}
static void watch_patience(int i) {
    patient[patient_tail++ % MOST_DUE] = (struct patience){ connection[i].request.due + patience / 1e3, i, connection[i].generation };
    if (patient_tail - patient_head == MOST_DUE) { fprintf(stderr, "openloop: too many requests within the patience\n"); exit(1); }
}
/* On a connection that is free, an open one first if there is one. */
static void start(const struct request *r) {
    int i = first_free, one = 1;
    struct connection *c = &connection[i];
    first_free = c->next;
    c->request = *r; c->generation++;
    watch_patience(i);
    if (c->fd >= 0) { send_it(i); return; }
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = i };
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) { perror("openloop: socket"); exit(1); }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->phase = CONNECTING; opened++; standing++;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event)) { perror("openloop: epoll_ctl"); exit(1); }
    if (connect(c->fd, (void *)&address, sizeof address) && errno != EINPROGRESS) failed(i, errno == EADDRNOTAVAIL ? UNSENT : REFUSED);
}
static void judge(struct connection *c) {
    char *field = strcasestr(c->head, "\r\ncontent-length:");
    c->status = c->head_length > 12 ? atoi(c->head + 9) : 0;
    c->body_left = field ? atoll(field + 17) : -2;
    if (strcasestr(c->head, "\r\nconnection: close")) c->closes = 1;
    if (strcasestr(c->head, "\r\ntransfer-encoding:")) { fprintf(stderr, "openloop: an answer is in chunks, which is not read here:\n%s", c->head); exit(1); }
}
static void answered(int i) {
    struct connection *c = &connection[i];
    double t = now();
    ended(&c->request, c->status == 503 ? UNAVAILABLE : c->status != 200 ? OTHER_STATUS : t - c->request.due <= within / 1e3 ? GOOD : LATE, t);
    c->generation++;
    if (c->closes) { c->phase = ENDING; watch_patience(i); return; }
    c->phase = IDLE; c->next = first_free; first_free = i;
}
static void readable(int i) {
    struct connection *c = &connection[i];
    static char buffer[65536];
    while (c->fd >= 0) {
        ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            if (c->phase == ASKED && n == 0 && c->body_left == -2) { c->closes = 1; answered(i); close_it(i, 0); return; }
            if (c->phase == IDLE) {     /* closed while idle, which is no error: it stays in the line, and is opened again when its turn comes */
                close(c->fd); c->fd = -1; standing--; c->phase = CLOSED; return;
            }
            failed(i, n == 0 ? CUT : RESET);
            return;
        }
        bytes += n;
        ssize_t at = 0;
        if (c->phase != ASKED) { if (c->phase == ENDING) continue; fprintf(stderr, "openloop: an answer that nobody asked for\n"); exit(1); }
        while (c->body_left == -1 && at < n) {
            if (c->head_length >= HEAD - 1) { failed(i, OTHER_STATUS); return; }
            c->head[c->head_length++] = buffer[at++];
            c->head[c->head_length] = 0;
            if (c->head_length >= 4 && !memcmp(c->head + c->head_length - 4, "\r\n\r\n", 4)) judge(c);
        }
        if (c->body_left >= 0) {
            if (n - at > c->body_left) { failed(i, OTHER_STATUS); return; }     /* more than was asked for */
            c->body_left -= n - at;
            if (c->body_left == 0) answered(i);
        }
    }
}
/* Who has no patience any more leaves. */
static void leave(double t) {
    for (; patient_head != patient_tail; patient_head++) {
        struct patience *p = &patient[patient_head % MOST_DUE];
        struct connection *c = &connection[p->connection];
        if (c->generation != p->generation) continue;
        if (p->until > t) break;
        if (c->phase == CONNECTING || c->phase == ASKED) ended(&c->request, TIMED_OUT, t);
        if (c->phase != CLOSED && c->phase != IDLE) close_it(p->connection, 1);
    }
    while (waiting_head != waiting_tail && waiting[waiting_head % MOST_DUE].due + patience / 1e3 <= t) ended(&waiting[waiting_head++ % MOST_DUE], TIMED_OUT, t);
}
static int option(const char *word) {
    const char *value = strchr(word, '=');
    char *end, text[4 * REQUEST], *rest = text, *one;
    if (!value) return 0;
    size_t length = value++ - word;
    double number = strtod(value, &end);
#define NAMED(name) (length == strlen(name) && !strncmp(word, name, length))
    if (NAMED("reuse")) { reuse = !strcmp(value, "yes"); return reuse || !strcmp(value, "no"); }
    if (NAMED("arrivals")) { even = !strcmp(value, "even"); return even || !strcmp(value, "poisson"); }
    if (NAMED("paths")) {
        double sum = 0;
        if (strlen(value) >= sizeof text) return 0;
        strcpy(text, value);
        for (paths = 0; (one = strsep(&rest, ",")); paths++) {
            char *times_ = strrchr(one, '*');
            if (paths == PATHS || *one != '/') return 0;
            if (times_) *times_++ = 0;
            path_share[paths] = sum += times_ ? atof(times_) : 1;
            if (snprintf(request[paths], REQUEST, "%s", one) >= REQUEST - 100 || !(sum > 0)) return 0;
        }
        for (int n = 0; n < paths; n++) path_share[n] /= sum;
        return paths > 0;
    }
    if (end == value || *end) return 0;
    if (NAMED("rate") && number >= 0 && number <= 1e5) rate_ = number;
    else if (NAMED("seconds") && number > 0 && number <= 3600) seconds = number;
    else if (NAMED("warm-up") && number >= 0 && number <= 600) warm_up = number;
    else if (NAMED("connections") && number >= 1 && number <= MOST) connections = number;
    else if (NAMED("within") && number > 0) within = number;
    else if (NAMED("patience") && number > 0 && number <= 600e3) patience = number;
    else if (NAMED("slice") && number >= 1) slice_ms = number;
    else if (NAMED("seed") && number >= 0) seed = number;
    else return 0;
    return 1;
}
static int by_size(const void *a, const void *b) { uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b; return (x > y) - (x < y); }
static double percentile(double share) { return times ? taken_us[(int64_t)(share * (times - 1) + 0.5)] / 1e3 : 0; }
static void list(const char *name, const int64_t *at, int count) {
    printf(", \"%s\": [", name);
    for (int n = 0; n < count; n++) printf("%s%lld", n ? ", " : "", (long long)at[n]);
    printf("]");
}
static double gap(void) { return (even ? 1 : -log(draw(&gap_state))) / rate_; }

int main(int count, char **word) {
    if (count < 3 || inet_pton(AF_INET, word[1], &address.sin_addr) != 1 || atoi(word[2]) < 1 || atoi(word[2]) > 65535) {
        fprintf(stderr, "usage: openloop ADDRESS PORT [rate=R] [seconds=S] ... (see its source)\n"); return 2;
    }
    for (int n = 3; n < count; n++) if (!option(word[n])) { fprintf(stderr, "openloop: %s is no option, or not in its range\n", word[n]); return 2; }
    address.sin_family = AF_INET; address.sin_port = htons(atoi(word[2]));
    if (rate_ < 0) { fprintf(stderr, "openloop: rate=R must be given\n"); return 2; }
    if (!connections) connections = reuse ? 64 : 8000;
    if (!paths) { paths = 1; strcpy(request[0], "/"); path_share[0] = 1; }
    for (int n = 0; n < paths; n++) {
        char path[REQUEST];
        strcpy(path, request[n]);
        request_length[n] = snprintf(request[n], REQUEST, "GET %.600s HTTP/1.1\r\nHost: load\r\n%s\r\n", path, reuse ? "" : "Connection: close\r\n");
    }
    gap_state = seed * 2; path_state = seed * 2 + 1;
    taken_us = malloc(sizeof *taken_us * (size_t)MOST_TIMES);
    epoll = epoll_create1(0);
    if (!taken_us || epoll < 0) { perror("openloop"); return 1; }
    for (int i = connections - 1; i >= 0; i--) { connection[i].fd = -1; release(i); }
    signal(SIGTERM, stop); signal(SIGINT, stop);
    begin_ = now(); end_ = begin_ + warm_up + seconds;
    double due = begin_ + (rate_ > 0 ? gap() : 0), t;
    struct epoll_event events[512];
    for (;;) {
        t = now();
        if (stopped && t < end_) end_ = t;
        leave(t);
        if (rate_ > 0) {
            while (due <= t && due < end_) {
                struct request r = next_request(due);
                due += gap();
                if (first_free >= 0 && waiting_head == waiting_tail) start(&r);
                else if (!reuse) ended(&r, UNSENT, t);
                else {
                    waiting[waiting_tail++ % MOST_DUE] = r;
                    if (waiting_tail - waiting_head == MOST_DUE) { fprintf(stderr, "openloop: too many requests wait\n"); return 1; }
                }
            }
            while (first_free >= 0 && waiting_head != waiting_tail) start(&waiting[waiting_head++ % MOST_DUE]);
        } else {
            for (int n = 0; n < connections && t < end_ && first_free >= 0; n++) { struct request r = next_request(now()); start(&r); }
        }
        if (t >= end_ && ((waiting_head == waiting_tail && patient_head == patient_tail) || t >= end_ + patience / 1e3 + 0.5)) break;
        if (t >= end_) {                /* nothing is awaited any more but connections that are idle or end */
            int busy = waiting_head != waiting_tail;
            for (int i = 0; i < connections && !busy; i++) busy = connection[i].phase == CONNECTING || connection[i].phase == ASKED;
            if (!busy) break;
        }
        double wait = t >= end_ ? 0.01 : rate_ > 0 && due < end_ ? due - now() : 0.01;
        if (patient_head != patient_tail && patient[patient_head % MOST_DUE].until - t < wait) wait = patient[patient_head % MOST_DUE].until - t;
        wait = wait < 0 ? 0 : wait > 0.02 ? 0.02 : wait;
        struct timespec timeout = { 0, (long)(wait * 1e9) };
        int n = epoll_pwait2(epoll, events, 512, &timeout, NULL);
        for (int e = 0; e < n; e++) {
            int i = events[e].data.u32;
            struct connection *c = &connection[i];
            if (c->fd < 0) continue;
            if (c->phase == CONNECTING && events[e].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
                int error = 0; socklen_t length = sizeof error;
                getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
                if (error) { failed(i, REFUSED); continue; }
                send_it(i);
            }
            if (c->fd >= 0 && c->phase != CONNECTING && events[e].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) readable(i);
        }
    }
    double took = end_ - begin_ - warm_up;
    qsort(taken_us, times, sizeof *taken_us, by_size);
    printf("{\"begin\": %.6f, \"seconds\": %.3f, \"warm_up\": %g, \"rate\": %g, \"seed\": %llu, \"due\": %lld", begin_, took > 0 ? took : 0, warm_up, rate_,
           (unsigned long long)seed, (long long)counted);
    for (int n = 0; n < OUTCOMES; n++) printf(", \"%s\": %lld", names[n], (long long)outcome[n]);
    printf(", \"opened\": %lld, \"bytes\": %lld, \"within_ms\": %g, \"patience_ms\": %g, \"p50_ms\": %.3f, \"p90_ms\": %.3f, \"p99_ms\": %.3f, "
           "\"p999_ms\": %.3f, \"most_ms\": %.3f, \"slice_ms\": %g, \"slices\": {",
           (long long)opened, (long long)bytes, within, patience, percentile(0.5), percentile(0.9), percentile(0.99), percentile(0.999), percentile(1), slice_ms);
    int slices = slice(end_) + 1;
    printf("\"count\": %d", slices);
    list("due", slice_due, slices); list("good", slice_good, slices); list("answered", slice_answered, slices);
    printf("}}\n");
    return 0;
}
