/* An HTTP server that thrashes by a known law: the more requests it has at work, the longer each takes, and past a peak it does less in all.
 *
 *   cc -O2 -o thrasher thrasher.c -lm
 *   thrasher ADDRESS PORT [gain=60] [sigma=0.02] [kappa=0.003] [workers=256] [cost=exponential|constant] [bytes=200] [seed=1]
 *
 * With N requests at work it does X(N) = gain N / (1 + sigma (N-1) + kappa N (N-1)) units of work a second in all (N. Gunther's universal
 * scalability law: sigma is contention, kappa what keeping each other informed costs), shared equally. A request is one unit on average:
 * exponentially distributed, or constant. Work is a number that grows with the clock, so no processor is used up, and the law holds on a
 * busy machine: only the sending of an answer may be late.
 *
 *   GET /cost/C              a request of C units (any other path: 1); 200
 *   GET /state               what it did, as JSON: counters since the start, the time integral of N, and the work done, from which N and X follow
 *   GET /status              200 with X-Load: requests at work, and those that wait
 *   POST /control?KEY=VALUE[&...]    capacity=F (the law's gain, times F), stall=MS (no work is done for so long), fail=P (of the
 *                            requests, 0 to 1, are answered 503 at once); 200, or 400 when there is no such key or value
 *
 * /state, /status and /control are answered at once, whatever is at work. Every accepted request is at work at once, as in a server with a
 * process for each connection: up to `workers` of them, as such a server's limit is; the rest wait, as in its listening socket. A client that
 * leaves while its request is at work frees nothing: its request is worked off, and the answer is thrown away, as a server does that learns
 * of it when it writes. Requests may be kept alive; a body (Content-Length) is read and ignored.
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

enum { MOST = 16384, HEAD = 2048, ANSWER = 70000, LONGEST_PATH = 512 };
enum phase { FREE, READING, WAITING, AT_WORK, GONE };   /* GONE: at work for a client that left */
struct connection {
    int fd, closes, length, next;       /* next: in the line of those that wait, or of those that are free */
    enum phase phase;
    uint32_t generation;                /* of the slot: an event of the one before is none of this one's */
    long body_left;
    double cost, finish;                /* units of work; the share of work at which it is done */
    char head[HEAD + 1];
};
static struct connection connection[MOST];
static int heap[MOST], at_work, first_waiting = -1, last_waiting = -1, waiting, first_free = -1, listener, epoll, open_connections;
static double gain = 60, sigma = 0.02, kappa = 0.003, capacity = 1, failing, share, last, stalled_until, integral, work;
static int workers = 256, constant, answer_bytes = 200, listening = 1;
static uint64_t state = 1;
static long long completed, refused, abandoned, bad, accepted, most_at_work;
static volatile sig_atomic_t stopped;

static void stop(int number) { (void)number; stopped = 1; }
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static double draw(void) {              /* above 0, at most 1; splitmix64 */
    uint64_t z = state += 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL; z = (z ^ z >> 27) * 0x94d049bb133111ebULL; z ^= z >> 31;
    return ((z >> 11) + 1) * 0x1p-53;
}
static double rate(int n) { return n ? capacity * gain * n / (1 + sigma * (n - 1) + kappa * n * (n - 1.0)) : 0; }

/* The heap has the request that is done first at its top. */
static int before(int a, int b) { return connection[heap[a]].finish < connection[heap[b]].finish; }
static void swap(int a, int b) { int c = heap[a]; heap[a] = heap[b]; heap[b] = c; }
static void push(int i) {
    int at = at_work++;
    heap[at] = i;
    for (; at && before(at, (at - 1) / 2); at = (at - 1) / 2) swap(at, (at - 1) / 2);
}
static int pop(void) {
    int top = heap[0], at = 0;
    heap[0] = heap[--at_work];
    for (;;) {
        int child = 2 * at + 1;
        if (child >= at_work) return top;
        if (child + 1 < at_work && before(child + 1, child)) child++;
        if (!before(child, at)) return top;
        swap(at, child); at = child;
    }
}
static void begin(int i) {
    connection[i].phase = AT_WORK;
    connection[i].finish = share + connection[i].cost;
    push(i);
    if (at_work > most_at_work) most_at_work = at_work;
}
static void release(int i) { connection[i].phase = FREE; connection[i].next = first_free; first_free = i; }
static void close_it(int i) {
    struct connection *c = &connection[i];
    close(c->fd); c->fd = -1; c->generation++; open_connections--;
    if (c->phase == READING) { release(i); return; }
    c->phase = GONE; abandoned++;       /* one that waits leaves the line when its turn comes */
}
static void parse(int i);
static void readable(int i);
static void answer(int i, int status, const char *fields, const char *body, int length) {
    static char text[ANSWER + 1024];
    struct connection *c = &connection[i];
    const char *word = status == 200 ? "OK" : status == 503 ? "Service Unavailable" : status == 404 ? "Not Found" : "Bad Request";
    int n = snprintf(text, 1024, "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%s%s\r\n", status, word, length, fields,
                     c->closes ? "Connection: close\r\n" : "");
    memcpy(text + n, body, length); n += length;
    c->phase = READING;
    /* An answer fits into an empty send buffer; a client that does not take it is none of ours. */
    if (send(c->fd, text, n, MSG_NOSIGNAL) != n || c->closes) { close_it(i); return; }
    parse(i);                           /* what came meanwhile, and what is still in the socket */
    if (c->fd >= 0 && c->phase == READING) readable(i);
}
static void work_done(int i) {
    static char body[ANSWER];
    struct connection *c = &connection[i];
    if (c->phase == GONE) { release(i); return; }
    memset(body, 'x', answer_bytes);
    answer(i, 200, "", body, answer_bytes);
}
/* Those that wait take the places that are free. */
static void fill(void) {
    while (at_work < workers && first_waiting >= 0) {
        int i = first_waiting;
        first_waiting = connection[i].next; waiting--;
        if (first_waiting < 0) last_waiting = -1;
        if (connection[i].phase == GONE) release(i); else begin(i);
    }
}
/* Does the work between the last time and this one, exactly: the law's rate changes with each request that is done. */
static void advance(double t) {
    for (;;) {
        if (last < stalled_until) {
            double until = t < stalled_until ? t : stalled_until;
            integral += (until - last) * at_work; last = until;
            if (last >= t) return;
        }
        if (!at_work) { last = t; return; }
        double each = rate(at_work) / at_work, need = (connection[heap[0]].finish - share) / each;
        if (last + need > t) {
            integral += (t - last) * at_work; share += (t - last) * each; work += (t - last) * each * at_work; last = t;
            return;
        }
        if (need > 0) { integral += need * at_work; work += need * each * at_work; last += need; }
        int i = heap[0];
        share = connection[i].finish;
        pop(); completed++;
        fill();
        work_done(i);
    }
}
static int control(const char *query) {
    char text[LONGEST_PATH], *rest = text, *one;
    if (strlen(query) >= sizeof text) return 0;
    strcpy(text, query);
    while ((one = strsep(&rest, "&"))) {
        char *value = strchr(one, '='), *end;
        if (!value) return 0;
        *value++ = 0;
        double number = strtod(value, &end);
        if (end == value || *end) return 0;
        if (!strcmp(one, "capacity") && number > 0 && number <= 1000) capacity = number;
        else if (!strcmp(one, "stall") && number >= 0 && number <= 60000) stalled_until = last + number / 1e3;
        else if (!strcmp(one, "fail") && number >= 0 && number <= 1) failing = number;
        else return 0;
    }
    return 1;
}
static void asked(int i, const char *method, char *path) {
    struct connection *c = &connection[i];
    char text[1024], field[64];
    if (!strcmp(method, "POST") && !strncmp(path, "/control?", 9)) {
        if (control(path + 9)) answer(i, 200, "", "ok\n", 3); else answer(i, 400, "", "capacity=F, stall=MS or fail=P\n", 31);
        return;
    }
    if (!strcmp(path, "/status")) {
        snprintf(field, sizeof field, "X-Load: %d\r\n", at_work + waiting);
        answer(i, 200, field, "ok\n", 3);
        return;
    }
    if (!strcmp(path, "/state")) {
        int n = snprintf(text, sizeof text,
                         "{\"time\": %.6f, \"at_work\": %d, \"waiting\": %d, \"work_rate\": %.3f, \"capacity\": %g, \"fail\": %g, \"completed\": %lld, "
                         "\"refused\": %lld, \"abandoned\": %lld, \"bad_requests\": %lld, \"accepted\": %lld, \"connections\": %d, "
                         "\"most_at_work\": %lld, \"integral\": %.6f, \"work\": %.6f}\n",
                         last, at_work, waiting, last < stalled_until ? 0 : rate(at_work), capacity, failing, completed, refused, abandoned, bad,
                         accepted, open_connections, most_at_work, integral, work);
        answer(i, 200, "", text, n);
        return;
    }
    double times = 1;
    if (!strncmp(path, "/cost/", 6)) {
        char *end;
        times = strtod(path + 6, &end);
        if (end == path + 6 || *end || !(times > 0 && times <= 10000)) { bad++; answer(i, 400, "", "/cost/C: C above 0, at most 10000\n", 34); return; }
    }
    if (failing > 0 && draw() <= failing) { refused++; answer(i, 503, "", "failing\n", 8); return; }
    c->cost = times * (constant ? 1 : -log(draw()));
    if (at_work < workers) { begin(i); return; }
    c->phase = WAITING; c->next = -1; waiting++;
    if (last_waiting >= 0) connection[last_waiting].next = i; else first_waiting = i;
    last_waiting = i;
}
static void parse(int i) {
    struct connection *c = &connection[i];
    while (c->phase == READING) {
        if (c->body_left > 0) {
            int n = c->length < c->body_left ? c->length : (int)c->body_left;
            memmove(c->head, c->head + n, c->length - n); c->length -= n; c->body_left -= n;
            if (c->body_left) return;
        }
        char *end = memmem(c->head, c->length, "\r\n\r\n", 4), method[8], path[LONGEST_PATH], *field;
        int major, minor, used = 0;
        if (!end) {
            if (c->length < HEAD) return;
        } else {
            end[2] = 0;
            if (sscanf(c->head, "%7[A-Z] %511s HTTP/%d.%d\r%n", method, path, &major, &minor, &used) == 4 && used && major == 1) {
                c->closes = minor == 0 || strcasestr(c->head, "\r\nconnection: close\r\n") != NULL;
                field = strcasestr(c->head, "\r\ncontent-length:");
                c->body_left = field ? strtol(field + 17, NULL, 10) : 0;
                if (c->body_left >= 0 && !strcasestr(c->head, "\r\ntransfer-encoding:")) {
                    int n = end + 4 - c->head;
                    memmove(c->head, end + 4, c->length - n); c->length -= n;
                    asked(i, method, path);
                    return;
                }
            }
        }
        bad++; c->closes = 1; c->length = 0; c->body_left = 0;
        answer(i, 400, "", "GET or POST, HTTP/1.x, no transfer coding\n", 42);
        return;
    }
}
static void readable(int i) {
    struct connection *c = &connection[i];
    while (c->fd >= 0) {
        char spare[512];
        int room = HEAD - c->length;
        ssize_t n = room ? recv(c->fd, c->head + c->length, room, 0) : recv(c->fd, spare, sizeof spare, MSG_PEEK);
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0 || (n == 0 && c->phase == READING)) { close_it(i); return; }
        if (n == 0) { c->closes = 1; return; }  /* half-closed: it gets its answer, and no more */
        if (!room) return;              /* at work, and the client says more than is read ahead: it must wait */
        c->length += n;
        parse(i);
    }
}
static void watch_listener(int on) {
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = MOST };
    if (on != listening) epoll_ctl(epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listener, &event);
    listening = on;
}
static void accept_all(void) {
    for (int n = 0; n < 256; n++) {
        if (first_free < 0) { watch_listener(0); return; }
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), one = 1;
        if (fd < 0) return;
        int i = first_free;
        struct connection *c = &connection[i];
        struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = (uint64_t)c->generation << 32 | i };
        first_free = c->next;
        c->fd = fd; c->phase = READING; c->length = 0; c->body_left = 0; c->closes = 0;
        accepted++; open_connections++;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) { perror("thrasher: epoll_ctl"); exit(1); }
    }
}
static int option(const char *word) {
    const char *value = strchr(word, '=');
    char *end;
    if (!value) return 0;
    size_t length = value++ - word;
    double number = strtod(value, &end);
    int is_number = end != value && !*end;
#define NAMED(name) (length == strlen(name) && !strncmp(word, name, length))
    if (NAMED("cost")) { constant = !strcmp(value, "constant"); return constant || !strcmp(value, "exponential"); }
    if (!is_number) return 0;
    if (NAMED("gain") && number > 0) gain = number;
    else if (NAMED("sigma") && number >= 0 && number <= 1) sigma = number;
    else if (NAMED("kappa") && number >= 0 && number <= 1) kappa = number;
    else if (NAMED("workers") && number >= 1 && number <= MOST) workers = number;
    else if (NAMED("bytes") && number >= 0 && number <= ANSWER) answer_bytes = number;
    else if (NAMED("seed") && number >= 0) state = number;
    else return 0;
    return 1;
}
int main(int count, char **word) {
    struct sockaddr_in address = { .sin_family = AF_INET };
    int one = 1;
    if (count < 3 || inet_pton(AF_INET, word[1], &address.sin_addr) != 1 || atoi(word[2]) < 1 || atoi(word[2]) > 65535) {
        fprintf(stderr, "usage: thrasher ADDRESS PORT [gain=G] [sigma=S] [kappa=K] [workers=N] [cost=exponential|constant] [bytes=N] [seed=N]\n"); return 2;
    }
    for (int n = 3; n < count; n++) if (!option(word[n])) { fprintf(stderr, "thrasher: %s is no option, or not in its range\n", word[n]); return 2; }
    address.sin_port = htons(atoi(word[2]));
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (listener < 0 || bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) { perror(word[1]); return 1; }
    signal(SIGTERM, stop); signal(SIGINT, stop); signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(0); listening = 0; watch_listener(1);
    for (int i = MOST - 1; i >= 0; i--) release(i);
    struct epoll_event events[512];
    last = now();
    while (!stopped) {
        double wait = 1;
        if (at_work) {
            wait = (connection[heap[0]].finish - share) / (rate(at_work) / at_work);
            if (last < stalled_until) wait += stalled_until - last;
            wait -= now() - last;
            wait = wait < 0 ? 0 : wait > 1 ? 1 : wait;
        }
        struct timespec timeout = { (time_t)wait, (long)((wait - (time_t)wait) * 1e9) };
        int n = epoll_pwait2(epoll, events, 512, &timeout, NULL);
        advance(now());
        for (int e = 0; e < n; e++) {
            int i = (int)(uint32_t)events[e].data.u64;
            if (i == MOST) { accept_all(); continue; }
            struct connection *c = &connection[i];
            if (c->fd < 0 || c->generation != events[e].data.u64 >> 32) continue;
            if (events[e].events & (EPOLLERR | EPOLLHUP)) { close_it(i); continue; }
            readable(i);
        }
        if (first_free >= 0) watch_listener(1);
    }
    return 0;
}
