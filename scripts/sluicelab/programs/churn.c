/* Clients that come and go: at a rate, each for one visit of a kind that is drawn.
 *
 *   cc -O2 -o churn churn.c
 *   churn ADDRESS PORT SECONDS RATE SEED TUNNEL-PATH
 *
 * Kinds: one request with `Connection: close`; up to twenty requests on a kept connection, with pauses; a POST with a body; a WebSocket on
 * TUNNEL-PATH, over which up to five words go there and back (the server answers each blank line); a head that stops in the middle; an
 * answer of 1 MiB that is left in the middle; a request whose client is gone at once. Half of those that have not been closed by the server leave
 * with FIN, the others with RST. Every answer must be 200 (101) and as long as it says. After SECONDS nobody comes any more, and who is there
 * ends its visit. Prints one line of JSON; ends early, and in the same way, by SIGTERM. What fails is told on standard error, the first times.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
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

enum { MOST = 16384, HEAD = 4096, BODY = 8000, TOLD = 10, PATIENCE = 30, TURN_MS = 5 };
enum kind { CLOSES, KEEPS, POSTS, TUNNEL, HALF_HEAD, HALF_ANSWER, AT_ONCE, KINDS };
static const char *const names[KINDS] = { "closes", "keeps", "posts", "tunnels", "half_heads", "half_answers", "gone_at_once" };
static const int weights[KINDS] = { 5, 5, 2, 3, 2, 2, 2 };              /* of 21 visits */
enum phase { FREE, CONNECTING, ASKED, RESTS, ENDING };                  /* ENDING: the server is to close */
struct visit {
    int fd, next, asks_left, head_length;
    enum kind kind;
    enum phase phase;
    double until, act_at;               /* when its patience ends; when it does the next thing, while it rests */
    int64_t body_left, read_most, got;  /* body_left: -1: the head is not complete */
    char head[HEAD];
};
static struct visit visit[MOST];
static int first_free = -1, standing, most_standing, epoll, told;
static struct sockaddr_in address;
static const char *tunnel_path;
static uint64_t state;
static int64_t visits[KINDS], answers, words, failed, not_begun, bytes;
static char body[BODY];
static volatile sig_atomic_t stopped;

static void stop(int number) { (void)number; stopped = 1; }
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static double draw(void) {              /* at least 0, below 1; splitmix64 */
    uint64_t z = state += 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL; z = (z ^ z >> 27) * 0x94d049bb133111ebULL; z ^= z >> 31;
    return (z >> 11) * 0x1p-53;
}
static int below(int most) { return draw() * most; }
static void leave(struct visit *v, int abort) {
    struct linger now_ = { 1, 0 };
    if (abort) setsockopt(v->fd, SOL_SOCKET, SO_LINGER, &now_, sizeof now_);
    close(v->fd); v->fd = -1; v->phase = FREE; standing--;
    v->next = first_free; first_free = v - visit;
}
static void goes(struct visit *v) { leave(v, below(2)); }
static void fails(struct visit *v, const char *why) {
    failed++;
    if (told++ < TOLD) fprintf(stderr, "churn: %s: %s (phase %d, %lld bytes)\n", names[v->kind], why, v->phase, (long long)v->got);
    leave(v, 1);
}
static void rests(struct visit *v, double most) { v->phase = RESTS; v->act_at = now() + draw() * most; }
static int sends(struct visit *v, const char *text, int length) {
    if (send(v->fd, text, length, MSG_NOSIGNAL) == length) return 1;
    fails(v, "what is sent is not taken");
    return 0;
}
static void ask(struct visit *v) {
    static const char *const paths[] = { "/", "/", "/", "/64KiB" };
    char request[BODY + 512];
    int length;
    v->phase = ASKED; v->head_length = 0; v->body_left = -1; v->asks_left--; v->until = now() + PATIENCE;
    switch (v->kind) {
    case POSTS:
        length = snprintf(request, sizeof request, "POST / HTTP/1.1\r\nHost: churn\r\nContent-Length: %d\r\n\r\n", 1 + below(BODY - 1));
        int posted = atoi(strstr(request, "Length: ") + 8);
        memcpy(request + length, body, posted); length += posted;
        break;
    case TUNNEL:
        length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: churn\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Y2h1cm4gY2h1cm4gY2h1cg==\r\n\r\n", tunnel_path);
        break;
    default:
        length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: churn\r\n%s\r\n", v->kind == HALF_ANSWER ? "/1MiB" : paths[below(4)],
                          v->kind == CLOSES ? "Connection: close\r\n" : "");
    }
    if (v->kind == HALF_HEAD) length = 1 + below(length - 4);
    if (!sends(v, request, length)) return;
    if (v->kind == HALF_HEAD) rests(v, 0.3);
    if (v->kind == AT_ONCE) goes(v);
}
static void act(struct visit *v) {
    if (v->kind == HALF_HEAD || v->asks_left <= 0) goes(v);
    else if (v->kind == TUNNEL) {
        v->phase = ASKED; v->head_length = 0; v->body_left = -1; v->asks_left--; v->until = now() + PATIENCE;
        sends(v, "a word\r\n\r\n", 10);
    } else ask(v);
}
static void judge(struct visit *v) {
    char *field = strcasestr(v->head, "\r\ncontent-length:");
    int status = v->head_length > 12 ? atoi(v->head + 9) : 0, upgrades = v->kind == TUNNEL && status == 101;
    if (!upgrades && (status != 200 || !field)) { fails(v, v->head); return; }
    v->body_left = upgrades ? 0 : atoll(field + 17);
    if (v->kind == TUNNEL && !upgrades) words++;
}
static void answered(struct visit *v) {
    answers++;
    if (v->kind == CLOSES) { v->phase = ENDING; return; }
    if (v->kind == HALF_ANSWER) { goes(v); return; }
    rests(v, v->kind == TUNNEL ? 4 : 0.3);
}
static void readable(struct visit *v) {
    static char buffer[65536];
    while (v->fd >= 0) {
        ssize_t n = recv(v->fd, buffer, sizeof buffer, 0), at = 0;
        if (n < 0 && errno == EAGAIN) return;
        if (n == 0 && v->phase == ENDING) { leave(v, 0); return; }
        if (n <= 0) { fails(v, n ? strerror(errno) : "the connection was closed"); return; }
        if (v->phase != ASKED) { fails(v, "bytes that nobody asked for"); return; }
        bytes += n; v->got += n;
        while (v->body_left < 0 && at < n) {
            if (v->head_length >= HEAD - 1) { fails(v, "a head without an end"); return; }
            v->head[v->head_length++] = buffer[at++];
            v->head[v->head_length] = 0;
            if (v->head_length >= 4 && !memcmp(v->head + v->head_length - 4, "\r\n\r\n", 4)) { judge(v); if (v->fd < 0) return; }
        }
        if (v->body_left < 0) continue;
        if (n - at > v->body_left) { fails(v, "more than was asked for"); return; }
        v->body_left -= n - at;
        if (v->kind == HALF_ANSWER && v->got >= v->read_most) { goes(v); return; }
        if (v->body_left == 0) answered(v);
    }
}
static void comes(void) {
    int i = first_free, drawn = 0, kind = 0, one = 1;
    if (i < 0) { not_begun++; return; }
    struct visit *v = &visit[i];
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = i };
    for (int n = 0; n < KINDS; n++) drawn += weights[n];
    drawn = below(drawn);
    while (drawn >= weights[kind]) drawn -= weights[kind++];
    first_free = v->next; visits[kind]++;
    *v = (struct visit){ .kind = kind, .phase = CONNECTING, .until = now() + PATIENCE, .read_most = 1 + below(200000) };
    v->asks_left = kind == KEEPS ? 1 + below(20) : kind == TUNNEL ? 2 + below(5) : 1;
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (v->fd < 0) { perror("churn: socket"); exit(1); }
    if (++standing > most_standing) most_standing = standing;
    setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, v->fd, &event)) { perror("churn: epoll_ctl"); exit(1); }
    if (connect(v->fd, (void *)&address, sizeof address) && errno != EINPROGRESS) fails(v, strerror(errno));
}

int main(int count, char **word) {
    if (count != 7 || inet_pton(AF_INET, word[1], &address.sin_addr) != 1) {
        fprintf(stderr, "usage: churn ADDRESS PORT SECONDS RATE SEED TUNNEL-PATH\n"); return 2;
    }
    double seconds = atof(word[3]), rate = atof(word[4]);
    address.sin_family = AF_INET; address.sin_port = htons(atoi(word[2]));
    state = atoll(word[5]); tunnel_path = word[6];
    if (seconds <= 0 || seconds > 86400 || rate <= 0 || rate > 5000) { fprintf(stderr, "churn: up to a day, and 5,000 a second\n"); return 2; }
    memset(body, 'x', sizeof body);
    for (int i = MOST - 1; i >= 0; i--) { visit[i].fd = -1; visit[i].next = first_free; first_free = i; }
    epoll = epoll_create1(0);
    if (epoll < 0) { perror("churn"); return 1; }
    signal(SIGTERM, stop); signal(SIGPIPE, SIG_IGN);

    double begin = now(), end = begin + seconds;
    int64_t come = 0;
    struct epoll_event events[512];
    for (;;) {
        double t = now();
        if (stopped && t < end) end = t;
        if (t >= end && (!standing || t > end + 2 * PATIENCE)) break;
        for (; t < end && come < (t - begin) * rate; come++) comes();
        for (int i = 0; i < most_standing && standing; i++) {                /* no place above was ever taken */
            struct visit *v = &visit[i];
            if (v->phase == FREE) continue;
            if (v->phase == RESTS && (t >= v->act_at || t >= end)) { if (t >= end) v->asks_left = 0; act(v); }
            else if (v->phase != RESTS && t >= v->until) fails(v, "no answer within the patience");
        }
        int n = epoll_wait(epoll, events, 512, TURN_MS);
        for (int e = 0; e < n; e++) {
            struct visit *v = &visit[events[e].data.u32];
            if (v->fd < 0) continue;
            if (v->phase == CONNECTING && events[e].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
                int error = 0; socklen_t length = sizeof error;
                getsockopt(v->fd, SOL_SOCKET, SO_ERROR, &error, &length);
                if (error) fails(v, strerror(error)); else ask(v);
            }
            if (v->fd >= 0 && events[e].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) readable(v);
        }
    }
    printf("{\"visits\": %lld, \"not_begun\": %lld, \"answers\": %lld, \"words\": %lld, \"failed\": %lld, \"bytes\": %lld, \"most_standing\": %d, "
           "\"left\": %d, \"seconds\": %.1f, \"kinds\": {", (long long)come, (long long)not_begun, (long long)answers, (long long)words,
           (long long)failed, (long long)bytes, most_standing, standing, now() - begin);
    for (int n = 0; n < KINDS; n++) printf("%s\"%s\": %lld", n ? ", " : "", names[n], (long long)visits[n]);
    printf("}}\n");
    return 0;
}
