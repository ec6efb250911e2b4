/* HTTP load with an open loop: requests are due at fixed times, whatever becomes of those before them, and the time of each counts from
 * when it was due. A server that stalls so makes every request late that fell into the stall (no coordinated omission).
 *
 *   cc -O2 -o load load.c
 *   load ADDRESS[,ADDRESS...] PORT PATH CONNECTIONS SECONDS RATE keep|new WITHIN_MS
 *
 * With several addresses each connection goes to one of them, in turn.
 * RATE 0: a closed loop, each connection asks again at once. keep: connections are kept; new: each request has a connection of its own,
 * opened when it is due. Answers must have a Content-Length. Prints one line of JSON. A request that is not answered 3.5 s after the last one was due counts as unanswered.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_ADDRESSES = 16, MOST_CONNECTIONS = 16384, MOST_REQUESTS = 20 << 20, HEAD = 4096, PATIENCE_MS = 3500, WAIT_AFTER_ERROR_MS = 20 };
enum state { CLOSED, CONNECTING, IDLE, ASKED };
struct connection {
    int fd, status, closes, pending;    /* pending: a request waits for the connection to stand */
    enum state state;
    double due, retry_at;               /* when the request on it was due; when a broken one may be opened again */
    int64_t body_left;                  /* -1: the head is not complete */
    int head_length, next_idle;
    char head[HEAD];
};
static struct connection connection[MOST_CONNECTIONS];
static uint32_t *taken_us;              /* of each answered request */
static int connections, fresh, idle = -1;
static struct sockaddr_storage address[MOST_ADDRESSES];
static socklen_t address_length[MOST_ADDRESSES];
static int addresses;
static char request[2048];
static int request_length;
static int64_t due_count, asked, answered, other_status, errors, connect_errors, opened, bytes;

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static void is_idle(int i) { connection[i].state = IDLE; connection[i].next_idle = idle; idle = i; }

static void close_it(int i) { close(connection[i].fd); connection[i].fd = -1; connection[i].state = CLOSED; }

/* A connection broke: the request on it has failed. */
static void failed(int i) {
    struct connection *c = &connection[i];
    if (c->state == CONNECTING) connect_errors++;
    if (c->state == ASKED || (c->state == CONNECTING && c->pending)) errors++;
    c->pending = 0;
    close_it(i);
    c->retry_at = now() + WAIT_AFTER_ERROR_MS * 1e-3;
    if (fresh) is_idle(i);
}
static void ask(int i) {
    struct connection *c = &connection[i];
    c->state = ASKED; c->pending = 0; c->head_length = 0; c->body_left = -1;
    if (send(c->fd, request, request_length, MSG_NOSIGNAL) != request_length) failed(i);
}
static void open_it(int i, int epoll) {
    struct connection *c = &connection[i];
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = i };
    int one = 1;
    int to = i % addresses;
    c->fd = socket(address[to].ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) { perror("socket"); exit(1); }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->state = CONNECTING; opened++;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event)) { perror("epoll_ctl"); exit(1); }
    if (connect(c->fd, (void *)&address[to], address_length[to]) && errno != EINPROGRESS) failed(i);
}
/* The head is complete: its status and what follows it. */
static void judge(struct connection *c) {
    char *field = strcasestr(c->head, "\r\ncontent-length:");
    c->status = c->head_length > 12 ? atoi(c->head + 9) : 0;
    c->body_left = field ? atoll(field + 17) : 0;
    c->closes = strcasestr(c->head, "\r\nconnection: close") != NULL;
}
static void finished(int i) {
    struct connection *c = &connection[i];
    double took = now() - c->due;
    if (c->status == 200 && answered < MOST_REQUESTS) taken_us[answered++] = took > 4000 ? UINT32_MAX : (uint32_t)(took * 1e6);
    else other_status++;
    if (fresh || c->closes) close_it(i);
    if (fresh || !c->closes) is_idle(i);
}
static void readable(int i) {
    struct connection *c = &connection[i];
    char buffer[65536];
    while (c->state == ASKED) {
        ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) { failed(i); return; }
        bytes += n;
        ssize_t at = 0;
        while (c->body_left < 0 && at < n) {
            if (c->head_length >= HEAD - 1) { failed(i); return; }
            c->head[c->head_length++] = buffer[at++];
            c->head[c->head_length] = 0;
            if (c->head_length >= 4 && !memcmp(c->head + c->head_length - 4, "\r\n\r\n", 4)) judge(c);
        }
        if (c->body_left >= 0) {
            if (n - at > c->body_left) { failed(i); return; }  /* more than was asked for */
            c->body_left -= n - at;
            if (c->body_left == 0) finished(i);
        }
    }
    if (c->state == IDLE && c->fd >= 0 && (recv(c->fd, buffer, 1, MSG_PEEK) >= 0 || errno != EAGAIN)) {
        close_it(i);                    /* closed while idle, which is no error: opened again when a request takes it */
        c->state = IDLE;
    }
}
static int by_size(const void *a, const void *b) { uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b; return (x > y) - (x < y); }
static double percentile(double share) { return answered ? taken_us[(int64_t)(share * (answered - 1))] / 1e3 : 0; }

static int is_address(int to, const char *text, int port) {
    struct sockaddr_in *v4 = (void *)&address[to];
    struct sockaddr_in6 *v6 = (void *)&address[to];
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) { v4->sin_family = AF_INET; v4->sin_port = htons(port); address_length[to] = sizeof *v4; return 1; }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) { v6->sin6_family = AF_INET6; v6->sin6_port = htons(port); address_length[to] = sizeof *v6; return 1; }
    return 0;
}

int main(int count, char **word) {
    if (count != 9) { fprintf(stderr, "usage: load ADDRESS PORT PATH CONNECTIONS SECONDS RATE keep|new WITHIN_MS\n"); return 2; }
    double seconds = atof(word[5]), rate = atof(word[6]), within = atof(word[8]);
    connections = atoi(word[4]); fresh = !strcmp(word[7], "new");
    for (char *one = strtok(word[1], ","); one; one = strtok(NULL, ",")) {
        if (addresses == MOST_ADDRESSES || !is_address(addresses, one, atoi(word[2]))) { fprintf(stderr, "load: %s is no address, or one too many\n", one); return 2; }
        addresses++;
    }
    if (!addresses) { fprintf(stderr, "load: no address\n"); return 2; }
    if (connections < 1 || connections > MOST_CONNECTIONS || seconds <= 0 || seconds > 3600 || rate < 0 || rate * seconds > MOST_REQUESTS) {
        fprintf(stderr, "load: 1 to %d connections, up to an hour and %d requests\n", MOST_CONNECTIONS, MOST_REQUESTS); return 2;
    }
    request_length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: load\r\n%s\r\n", word[3], fresh ? "Connection: close\r\n" : "");
    if (request_length >= (int)sizeof request) { fprintf(stderr, "load: the path is too long\n"); return 2; }
    taken_us = malloc(sizeof *taken_us * (size_t)MOST_REQUESTS);
    int epoll = epoll_create1(0);
    if (!taken_us || epoll < 0) { perror("load"); return 1; }
    for (int i = 0; i < connections; i++) { connection[i].fd = -1; if (fresh) is_idle(i); else open_it(i, epoll); }

    /* The connections of an open loop stand before the first request is due. */
    double begin = now() + (fresh || rate == 0 ? 0 : 0.3), end = begin + seconds, swept = begin;
    int64_t all = rate > 0 ? (int64_t)(rate * seconds) : MOST_REQUESTS;
    struct epoll_event events[512];
    for (;;) {
        double t = now();
        if (t > end + PATIENCE_MS * 1e-3) break;
        if (rate > 0) { due_count = t < begin ? 0 : (int64_t)((t - begin) * rate) + 1; if (due_count > all) due_count = all; }
        else due_count = t < end ? MOST_REQUESTS : asked;
        while (asked < due_count && idle >= 0) {
            int i = idle;
            idle = connection[i].next_idle;
            connection[i].due = rate > 0 ? begin + asked / rate : now();
            asked++;
            if (connection[i].fd < 0) { connection[i].pending = 1; open_it(i, epoll); } else ask(i);
            if (rate == 0 && now() > end) break;
        }
        if (t > end && asked >= due_count && answered + other_status + errors >= asked) break;
        if (!fresh && t - swept > 0.02) {
            swept = t;
            for (int i = 0; i < connections; i++) if (connection[i].state == CLOSED && t >= connection[i].retry_at && t < end) open_it(i, epoll);
        }
        double wait = rate > 0 && t < end && asked >= due_count && asked < all ? begin + asked / rate - t : 0.01;
        if (wait < 0) wait = 0; else if (wait > 0.01) wait = 0.01;
        struct timespec timeout = { 0, (long)(wait * 1e9) };
        int n = epoll_pwait2(epoll, events, 512, &timeout, NULL);
        for (int e = 0; e < n; e++) {
            int i = events[e].data.u32;
            struct connection *c = &connection[i];
            if (c->fd < 0) continue;
            if (c->state == CONNECTING && events[e].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
                int error = 0; socklen_t length = sizeof error;
                getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
                if (error) failed(i); else if (c->pending) ask(i); else is_idle(i);
            }
            if (c->fd >= 0 && events[e].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) readable(i);
        }
    }
    double took = (now() < end ? now() : end) - begin;
    int64_t due = rate > 0 ? all : asked, in_time = 0;
    qsort(taken_us, answered, sizeof *taken_us, by_size);
    while (in_time < answered && taken_us[in_time] <= within * 1e3) in_time++;
    printf("{\"due\": %lld, \"answered\": %lld, \"other_status\": %lld, \"errors\": %lld, \"connect_errors\": %lld, \"unanswered\": %lld, "
           "\"opened\": %lld, \"bytes\": %lld, \"seconds\": %.3f, \"per_second\": %.1f, \"within_ms\": %g, \"within\": %lld, \"p50_ms\": %.3f, "
           "\"p90_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f, \"most_ms\": %.3f}\n",
           (long long)due, (long long)answered, (long long)other_status, (long long)errors, (long long)connect_errors,
           (long long)(due - answered - other_status - errors), (long long)opened, (long long)bytes, took, answered / took, within,
           (long long)in_time, percentile(0.5), percentile(0.9), percentile(0.99), percentile(0.999), percentile(1));
    return 0;
}
