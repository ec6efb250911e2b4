#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int close_keeping_errno(int descriptor) {
    int reason = errno;
    close(descriptor);
    errno = reason;
    return -1;
}

int clinux_packet_socket(int index) {
    // Protocol 0: nothing is received.
    struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_ifindex = index };
    int one = 1, made = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (made < 0) return -1;
    if (bind(made, (struct sockaddr *)&at, sizeof at) != 0 || setsockopt(made, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) != 0)
        return close_keeping_errno(made);
    return made;
}

int clinux_may_force_receive_buffer(void) {
    int with = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), bytes = 1 << 20;
    if (with < 0) return 0;
    int may = setsockopt(with, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) == 0;
    close(with);
    return may;
}

int clinux_queue_long_frames(int socket, int bytes) {
    int one = 1, half = bytes / 2; // the kernel doubles it
    if (setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &half, sizeof half) != 0) return -1;
    return setsockopt(socket, SOL_PACKET, PACKET_COPY_THRESH, &one, sizeof one);
}

int clinux_slot_frame_offset(int socket) {
    unsigned reserve = 0;
    socklen_t size = sizeof reserve;
    if (getsockopt(socket, SOL_PACKET, PACKET_RESERVE, &reserve, &size) != 0) return -1;
    // As the kernel's tpacket_rcv has it for a link header of at most 16 bytes.
    return (int)(TPACKET_ALIGN(TPACKET2_HDRLEN + 16) + reserve) - ETH_HLEN;
}

int clinux_is_queued(const void *frame, unsigned length, int frame_offset) {
    // libpcap moves the beginning of a frame whose tag it puts back.
    for (int tag = 0; tag <= 4; tag += 4) {
        struct tpacket2_hdr slot;
        memcpy(&slot, (const char *)frame - frame_offset + tag, sizeof slot);
        if (slot.tp_mac != frame_offset || slot.tp_len + (unsigned)tag != length) continue;
        if (!(slot.tp_status & TP_STATUS_COPY)) return CLINUX_NOT_QUEUED;
        return tag ? CLINUX_QUEUED_UNTAGGED : CLINUX_QUEUED;
    }
    return CLINUX_QUEUED;
}

int clinux_find_ring(int socket, const void **start, unsigned long *length) {
    struct stat about;
    if (fstat(socket, &about) != 0) return -1;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps) return -1;
    char line[512];
    int result = -1;
    while (result != 0 && fgets(line, sizeof line, maps)) {
        unsigned long from, to, inode;
        int name = 0;
        if (sscanf(line, "%lx-%lx %*s %*x %*x:%*x %lu %n", &from, &to, &inode, &name) != 3 || name == 0) continue;
        if (inode != about.st_ino || strncmp(line + name, "socket:", 7) != 0) continue;
        *start = (const void *)from;
        *length = to - from;
        result = 0;
    }
    fclose(maps);
    return result;
}

const void *clinux_frame_in_slot(const void *slot, int frame_offset, unsigned *captured) {
    const struct tpacket2_hdr *header = slot;
    if (!(__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) || header->tp_mac != frame_offset) return NULL;
    *captured = header->tp_snaplen;
    return (const char *)slot + frame_offset;
}

int clinux_bypass_queue(int socket, int on) { return setsockopt(socket, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on); }

static int device_call(int with, const char *name, void *argument) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_data = argument;
    return ioctl(with, SIOCETHTOOL, &request);
}

static int read_features(int with, const char *name) {
    union {
        struct ethtool_sset_info info;
        char room[sizeof(struct ethtool_sset_info) + sizeof(unsigned)];
    } set;
    unsigned count;
    memset(&set, 0, sizeof set);
    set.info.cmd = ETHTOOL_GSSET_INFO;
    set.info.sset_mask = 1ULL << ETH_SS_FEATURES;
    if (device_call(with, name, &set) != 0) return -1;
    if (set.info.sset_mask == 0) return 0;
    memcpy(&count, set.room + sizeof(struct ethtool_sset_info), sizeof count);
    unsigned blocks = (count + 31) / 32;
    struct ethtool_gstrings *names = calloc(1, sizeof *names + (size_t)count * ETH_GSTRING_LEN);
    struct ethtool_gfeatures *features = calloc(1, sizeof *features + blocks * sizeof features->features[0]);
    int found = -1;
    if (names && features) {
        *names = (struct ethtool_gstrings){ .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = count };
        *features = (struct ethtool_gfeatures){ .cmd = ETHTOOL_GFEATURES, .size = blocks };
        if (device_call(with, name, names) == 0 && device_call(with, name, features) == 0) {
            int segments = 0;
            for (unsigned bit = 0; bit < count; bit++) {
                const char *text = (const char *)names->data + (size_t)bit * ETH_GSTRING_LEN;
                if (!(features->features[bit / 32].active >> bit % 32 & 1)) continue;
                if (!strncmp(text, "tx-tcp-segmentation", ETH_GSTRING_LEN)) segments |= 1;
                if (!strncmp(text, "tx-tcp6-segmentation", ETH_GSTRING_LEN)) segments |= 2;
            }
            found = segments == 3;
        }
    }
    free(names);
    free(features);
    return found;
}

int clinux_segments_tcp(const char *name) {
    int with = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (with < 0) return -1;
    int found = read_features(with, name), reason = errno;
    close(with);
    errno = reason;
    return found;
}
