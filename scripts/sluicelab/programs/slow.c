/* Clients that take their time: heads that never end, or answers that are read at a trickle.
 *
 *   cc -O2 -o slow slow.c
 *   slow writers ADDRESS PORT CONNECTIONS SECONDS EVERY_MS SOURCE[,SOURCE...]
 *   slow readers ADDRESS PORT CONNECTIONS SECONDS EVERY_MS SOURCE[,SOURCE...] PATH BYTES       (BYTES are read each time)
 *
 * A connection that the other side ends is opened again. Prints `open N` when so many as were asked for stand (or after 20 s), and one
 * line of JSON at the end. One process may have 20,000 descriptors.
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
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 19000, SOURCES = 64, OPENS_A_TURN = 10, TURN_MS = 10, READ_MOST = 65536, SMALL_BUFFER = 4096 };
struct connection { int fd, stands; double next; };
static struct connection connection[MOST];
static struct sockaddr_in address, source[SOURCES];
static int connections, sources, readers, standing, most_standing, read_each;
static int64_t opened, ended_by_peer, refused, bytes_read, bytes_written;
static char request[1024];
static volatile sig_atomic_t stopped;

static void stop(int number) { (void)number; stopped = 1; }
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static void drop(struct connection *c) {
    if (c->stands) { standing--; ended_by_peer++; } else refused++;
    close(c->fd); c->fd = -1; c->stands = 0;
}
static void open_it(int i, int epoll) {
    struct connection *c = &connection[i];
    struct epoll_event event = { .events = EPOLLOUT | EPOLLET, .data.u32 = i };
    int one = 1, small = SMALL_BUFFER;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); c->stands = 0;
    if (c->fd < 0) { perror("slow: socket"); exit(1); }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (readers) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (bind(c->fd, (void *)&source[i % sources], sizeof source[0])) { perror("slow: bind"); exit(1); }
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
    opened++;
    if (connect(c->fd, (void *)&address, sizeof address) && errno != EINPROGRESS) { close(c->fd); c->fd = -1; refused++; }
}
int main(int count, char **word) {
    readers = count > 1 && !strcmp(word[1], "readers");
    if (count != (readers ? 10 : 8) || (!readers && strcmp(word[1], "writers"))) {
        fprintf(stderr, "usage: slow writers|readers ADDRESS PORT CONNECTIONS SECONDS EVERY_MS SOURCE[,SOURCE...] [PATH BYTES]\n"); return 2;
    }
    double seconds = atof(word[5]), every = atof(word[6]) / 1e3;
    address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(atoi(word[3])), .sin_addr.s_addr = inet_addr(word[2]) };
    connections = atoi(word[4]);
    for (char *one = strtok(word[7], ","); one && sources < SOURCES; one = strtok(NULL, ",")) source[sources++] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = inet_addr(one) };
    if (readers) { read_each = atoi(word[9]); snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: slow\r\nConnection: close\r\n\r\n", word[8]); }
    else strcpy(request, "GET / HTTP/1.1\r\nHost: slow\r\nX-Slow: ");
    if (connections < 1 || connections > MOST || seconds <= 0 || seconds > 3600 || every <= 0 || !sources || read_each < 0 || read_each > READ_MOST) { fprintf(stderr, "slow: 1 to %d connections, up to an hour\n", MOST); return 2; }
    signal(SIGPIPE, SIG_IGN); signal(SIGTERM, stop); signal(SIGINT, stop);
    int epoll = epoll_create1(0), told = 0;
    for (int i = 0; i < connections; i++) connection[i].fd = -1;
    double begin = now(), end = begin + seconds, t, turn = 0;
    struct epoll_event events[512];
    static char buffer[READ_MOST];
    while (!stopped && (t = now()) < end) {
        if (t >= turn) {
            int opens = 0;
            turn = t + TURN_MS / 1e3;
            for (int i = 0; i < connections; i++) {
                struct connection *c = &connection[i];
                if (c->fd < 0) { if (opens < OPENS_A_TURN) { opens++; open_it(i, epoll); } continue; }
                if (!c->stands || t < c->next) continue;
                c->next = t + every;
                ssize_t n = readers ? recv(c->fd, buffer, read_each, 0) : recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);
                if (n > 0) bytes_read += n;
                if (n == 0 || (n < 0 && errno != EAGAIN)) { drop(c); continue; }
                if (!readers) { if (send(c->fd, "x", 1, MSG_NOSIGNAL) == 1) bytes_written++; else if (errno != EAGAIN) drop(c); }
            }
        }
        if (standing > most_standing) most_standing = standing;
        if (!told && (standing == connections || t > begin + 20)) { told = 1; printf("open %d\n", standing); fflush(stdout); }
        int n = epoll_wait(epoll, events, 512, TURN_MS);
        for (int e = 0; e < n; e++) {
            struct connection *c = &connection[events[e].data.u32];
            if (c->fd < 0) continue;
            if (events[e].events & (EPOLLERR | EPOLLHUP)) { drop(c); continue; }
            if (!c->stands && events[e].events & EPOLLOUT) {
                c->stands = 1; standing++;
                if (send(c->fd, request, strlen(request), MSG_NOSIGNAL) < 0) { drop(c); continue; }
                c->next = now() + every * ((events[e].data.u32 % 97 + 1) / 97.0);   /* not all at once */
            }
        }
    }
    printf("{\"opened\": %lld, \"most_standing\": %d, \"standing\": %d, \"ended_by_peer\": %lld, \"refused\": %lld, \"bytes_read\": %lld, \"bytes_written\": %lld}\n",
           (long long)opened, most_standing, standing, (long long)ended_by_peer, (long long)refused, (long long)bytes_read, (long long)bytes_written);
    return 0;
}
