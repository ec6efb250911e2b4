/* The least that a user-space forwarder can do: the floor under the dispatcher's figures.
 *
 * Frames come in through libpcap, addresses and ports are rewritten, frames go out through a packet
 * socket with a virtio header (64 KiB segments cross in one piece) or, with -r, through a raw IP socket.
 * It has no TCP, no HTTP, no pool and no queue: client port modulo the number of servers picks the server.
 *
 *   cc -O2 -o forwarder forwarder.c -lpcap
 *   forwarder [-r|-c] CLIENT_IF SERVER_IF SERVICE_IP SOURCE_IP SERVER_PORT SERVER_IP...      (IPv4, service port = any)
 *
 * -c: no server at all; SYN, request and FIN are answered here, without state: the ceiling for new connections.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENT, SERVER, BATCH = 256, FRAME = 66000, SERVERS = 16, VNET = sizeof(struct virtio_net_hdr), IGNORE_OUTGOING_ = 23 };
struct side {
    pcap_t *capture;
    int fd, queued;
    uint32_t address;                       /* the address we answer ARP for on this side */
    uint8_t mac[6];
    struct mmsghdr message[BATCH];
    struct iovec part[BATCH];
    struct sockaddr_in to[BATCH];
    uint8_t frame[BATCH][FRAME];
} side[2];
static uint32_t server[SERVERS];
static uint8_t server_mac[SERVERS][6], client_mac[65536][6];
static uint16_t server_port, service_port[65536];
static uint32_t client[65536];              /* by client port: enough for a benchmark, wrong for anything else */
static int servers, raw, canned;

static uint32_t fold(uint64_t sum) { while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16); return sum; }
static uint32_t sum16(const void *at, size_t n) {
    const uint8_t *p = at; uint64_t s = 0; uint32_t w; uint16_t h;
    for (; n >= 4; p += 4, n -= 4) { memcpy(&w, p, 4); s += w; }
    if (n >= 2) { memcpy(&h, p, 2); s += h; p += 2; n -= 2; }
    if (n) s += *p;
    return fold(fold(s & 0xffffffff) + fold(s >> 32));
}
static void flush(struct side *s) {
    for (int sent = 0; sent < s->queued;) {
        int n = sendmmsg(s->fd, s->message + sent, s->queued - sent, 0);
        if (n > 0) sent += n; else if (errno != EAGAIN && errno != ENOBUFS) sent++;
    }
    s->queued = 0;
}
static void emit(struct side *s, const struct iphdr *in, uint32_t from, uint32_t to, const uint8_t *mac, int port, int is_source) {
    int i = s->queued++, length = ntohs(in->tot_len), offset = raw ? 0 : VNET + 14;
    uint8_t *b = s->frame[i];
    memcpy(b + offset, in, length);
    struct iphdr *ip = (void *)(b + offset);
    struct tcphdr *tcp = (void *)(b + offset + ip->ihl * 4);
    int ip_length = ip->ihl * 4, tcp_length = length - ip_length;
    ip->saddr = from; ip->daddr = to; ip->check = 0; ip->check = ~sum16(ip, ip_length);
    if (is_source) tcp->source = port; else tcp->dest = port;
    uint32_t pseudo = fold((uint64_t)sum16(&ip->saddr, 8) + htons(IPPROTO_TCP) + htons(tcp_length));
    memset(&s->message[i].msg_hdr, 0, sizeof s->message[i].msg_hdr);
    if (raw) {
        tcp->check = 0; tcp->check = ~fold(sum16(tcp, tcp_length) + pseudo);
        s->to[i] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = to };
        s->message[i].msg_hdr.msg_name = &s->to[i]; s->message[i].msg_hdr.msg_namelen = sizeof s->to[i];
    } else {
        struct virtio_net_hdr *v = (void *)b; memset(b, 0, VNET);
        memcpy(b + VNET, mac, 6); memcpy(b + VNET + 6, s->mac, 6); b[VNET + 12] = 8; b[VNET + 13] = 0;
        tcp->check = pseudo;
        v->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM; v->csum_start = 14 + ip_length; v->csum_offset = 16;
        if (length > 1500) {
            v->gso_type = VIRTIO_NET_HDR_GSO_TCPV4; v->hdr_len = 14 + ip_length + tcp->doff * 4;
            v->gso_size = 1500 - ip_length - tcp->doff * 4;
        }
    }
    s->part[i] = (struct iovec){ b, offset + length };
    s->message[i].msg_hdr.msg_iov = &s->part[i]; s->message[i].msg_hdr.msg_iovlen = 1;
    if (s->queued == BATCH) flush(s);
}
static void arp(struct side *s, int op, uint32_t to, const uint8_t *mac) {
    uint8_t b[42]; struct ether_arp *a = (void *)(b + 14);
    memcpy(b, mac, 6); memcpy(b + 6, s->mac, 6); b[12] = 8; b[13] = 6;
    *a = (struct ether_arp){ .ea_hdr = { htons(1), htons(0x800), 6, 4, htons(op) } };
    memcpy(a->arp_sha, s->mac, 6); memcpy(a->arp_spa, &s->address, 4); memcpy(a->arp_tpa, &to, 4);
    if (op == ARPOP_REPLY) memcpy(a->arp_tha, mac, 6);
    pcap_inject(s->capture, b, sizeof b);
}
static void answer(const uint8_t *frame, const struct iphdr *in, const struct tcphdr *ask) {
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\nhello world\n", kept[] = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello world\n";
    uint8_t out[40 + sizeof reply]; struct iphdr *ip = (void *)out; struct tcphdr *tcp = (void *)(out + 20);
    int data = ntohs(in->tot_len) - in->ihl * 4 - ask->doff * 4, n = 0;
    if (ask->rst || (!ask->syn && !ask->fin && !data)) return;
    memset(out, 0, 40); ip->version = 4; ip->ihl = 5; ip->ttl = 64; ip->protocol = IPPROTO_TCP;
    tcp->source = ask->dest; tcp->doff = 5; tcp->ack = 1; tcp->window = 65535;
    tcp->seq = ask->syn ? 0 : ask->ack_seq; tcp->ack_seq = htonl(ntohl(ask->seq) + data + ask->syn + ask->fin); tcp->syn = ask->syn;
    if (data) {
        int close = memmem((const uint8_t *)ask + ask->doff * 4, data, "lose", 4) != NULL;
        n = close ? sizeof reply - 1 : sizeof kept - 1; memcpy(out + 40, close ? reply : kept, n); tcp->psh = 1; tcp->fin = close;
    }
    tcp->dest = ask->source; ip->tot_len = htons(40 + n);
    emit(&side[CLIENT], ip, side[CLIENT].address, in->saddr, frame + 6, ask->dest, 1);
}
static void received(u_char *which, const struct pcap_pkthdr *h, const u_char *f) {
    int on = which == (u_char *)&side[SERVER] ? SERVER : CLIENT;
    if (h->caplen < 42) return;
    if (f[12] == 8 && f[13] == 6) {
        const struct ether_arp *a = (void *)(f + 14); uint32_t from; memcpy(&from, a->arp_spa, 4);
        for (int i = 0; i < servers; i++) if (from == server[i]) memcpy(server_mac[i], a->arp_sha, 6);
        if (ntohs(a->ea_hdr.ar_op) == ARPOP_REQUEST && !memcmp(a->arp_tpa, &side[on].address, 4)) arp(&side[on], ARPOP_REPLY, from, a->arp_sha);
        return;
    }
    const struct iphdr *ip = (void *)(f + 14); const struct tcphdr *tcp = (void *)(f + 14 + ip->ihl * 4);
    if (canned) { if (on == CLIENT) answer(f, ip, tcp); return; }
    if (on == CLIENT) {
        int p = ntohs(tcp->source), i = p % servers;
        client[p] = ip->saddr; service_port[p] = tcp->dest; memcpy(client_mac[p], f + 6, 6);
        emit(&side[SERVER], ip, side[SERVER].address, server[i], server_mac[i], server_port, 0);
    } else {
        int p = ntohs(tcp->dest);
        if (client[p]) emit(&side[CLIENT], ip, side[CLIENT].address, client[p], client_mac[p], service_port[p], 1);
    }
}
static void open_side(struct side *s, const char *device) {
    char error[PCAP_ERRBUF_SIZE], filter[200], text[INET_ADDRSTRLEN]; struct bpf_program program; struct ifreq request = { 0 }; int one = 1, big = 8 << 20;
    inet_ntop(AF_INET, &s->address, text, sizeof text);
    snprintf(filter, sizeof filter, "arp or (tcp and dst host %s)", text);
    s->capture = pcap_create(device, error);
    pcap_set_snaplen(s->capture, 65450); pcap_set_immediate_mode(s->capture, 1); pcap_set_promisc(s->capture, 1); pcap_set_buffer_size(s->capture, 256 << 20);
    if (pcap_activate(s->capture) < 0 || pcap_compile(s->capture, &program, filter, 1, PCAP_NETMASK_UNKNOWN) || pcap_setfilter(s->capture, &program)) { pcap_perror(s->capture, device); exit(1); }
    pcap_setnonblock(s->capture, 1, error);
    setsockopt(pcap_fileno(s->capture), SOL_PACKET, IGNORE_OUTGOING_, &one, sizeof one);
    s->fd = raw ? socket(AF_INET, SOCK_RAW, IPPROTO_RAW) : socket(AF_PACKET, SOCK_RAW, 0);
    if (!raw) {
        struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(device) };
        if (bind(s->fd, (void *)&at, sizeof at) || setsockopt(s->fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one)) { perror(device); exit(1); }
        setsockopt(s->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
    }
    setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
    strncpy(request.ifr_name, device, IFNAMSIZ - 1); ioctl(s->fd, SIOCGIFHWADDR, &request); memcpy(s->mac, request.ifr_hwaddr.sa_data, 6);
}
static volatile sig_atomic_t stopped;
static void stop(int number) { (void)number; stopped = 1; }
int main(int count, char **word) {
    if (count > 1 && (!strcmp(word[1], "-r") || !strcmp(word[1], "-c"))) { raw = word[1][1] == 'r'; canned = !raw; word++; count--; }
    if (count < 7 || count > 6 + SERVERS) { fprintf(stderr, "usage: forwarder [-r|-c] CLIENT_IF SERVER_IF SERVICE_IP SOURCE_IP SERVER_PORT SERVER_IP...\n"); return 2; }
    side[CLIENT].address = inet_addr(word[3]); side[SERVER].address = inet_addr(word[4]); server_port = htons(atoi(word[5]));
    for (servers = 0; servers < count - 6; servers++) server[servers] = inet_addr(word[6 + servers]);
    struct pollfd ready[2];
    signal(SIGTERM, stop); signal(SIGINT, stop);
    for (int i = 0; i < 2; i++) { open_side(&side[i], word[1 + i]); ready[i] = (struct pollfd){ pcap_get_selectable_fd(side[i].capture), POLLIN, 0 }; }
    for (int i = 0; i < servers; i++) arp(&side[SERVER], ARPOP_REQUEST, server[i], (uint8_t *)"\xff\xff\xff\xff\xff\xff");
    while (!stopped) {
        int n = pcap_dispatch(side[CLIENT].capture, BATCH, received, (u_char *)&side[CLIENT]) + pcap_dispatch(side[SERVER].capture, BATCH, received, (u_char *)&side[SERVER]);
        flush(&side[SERVER]); flush(&side[CLIENT]);
        if (n <= 0) poll(ready, 2, 100);
    }
    for (int i = 0; i < 2; i++) { struct pcap_stat seen; pcap_stats(side[i].capture, &seen); fprintf(stderr, "%s: received %u, lost %u\n", word[1 + i], seen.ps_recv, seen.ps_drop); }
    return 0;
}
