#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif
#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000
#endif

_Static_assert(sizeof(struct clinux_mmsghdr) == sizeof(struct mmsghdr), "clinux_mmsghdr mirrors mmsghdr");
_Static_assert(offsetof(struct clinux_mmsghdr, msg_len) == offsetof(struct mmsghdr, msg_len), "clinux_mmsghdr mirrors mmsghdr");
_Static_assert(sizeof(struct clinux_instruction) == sizeof(struct sock_filter), "clinux_instruction mirrors sock_filter");
_Static_assert(CLINUX_CAP_NET_ADMIN == CAP_NET_ADMIN && CLINUX_CAP_NET_RAW == CAP_NET_RAW, "capability numbers");

int clinux_sendmmsg(int socket, struct clinux_mmsghdr *messages, unsigned int count, int flags) {
    return sendmmsg(socket, (struct mmsghdr *)messages, count, flags);
}

int clinux_ppoll(struct pollfd *descriptors, unsigned long count, int64_t timeout) {
    struct timespec wait = { .tv_sec = timeout / 1000000000, .tv_nsec = timeout % 1000000000 };
    return ppoll(descriptors, count, timeout < 0 ? NULL : &wait, NULL);
}

static int close_keeping_errno(int descriptor) {
    int reason = errno;
    close(descriptor);
    errno = reason;
    return -1;
}

int clinux_raw_socket(int family, const char *interface) {
    int one = 1, made = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (made < 0) return -1;
    // For IPv6 the protocol alone says it; the option came with Linux 4.5.
    if ((family == AF_INET && setsockopt(made, IPPROTO_IP, IP_HDRINCL, &one, sizeof one) != 0)
        || (interface && setsockopt(made, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface) + 1) != 0))
        return close_keeping_errno(made);
    return made;
}

int clinux_ignore_outgoing(int socket) {
    int one = 1;
    return setsockopt(socket, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
}

int clinux_usable_processors(void) {
    cpu_set_t usable;
    CPU_ZERO(&usable);
    return sched_getaffinity(0, sizeof usable, &usable) == 0 ? CPU_COUNT(&usable) : -1;
}

int clinux_join_fanout(int socket, int group, const struct clinux_instruction *program, int count) {
    int joins = group < 0;
    int flags = PACKET_FANOUT_FLAG_IGNORE_OUTGOING | (joins ? PACKET_FANOUT_FLAG_UNIQUEID : 0);
    int choice = (joins ? 0 : group) | (PACKET_FANOUT_CBPF | flags) << 16;
    if (setsockopt(socket, SOL_PACKET, PACKET_FANOUT, &choice, sizeof choice) != 0) return -1;
    if (!joins) return group;
    struct sock_fprog filter = { .len = (unsigned short)count, .filter = (struct sock_filter *)program };
    if (setsockopt(socket, SOL_PACKET, PACKET_FANOUT_DATA, &filter, sizeof filter) != 0) return -1;
    int made = 0;
    socklen_t length = sizeof made;
    if (getsockopt(socket, SOL_PACKET, PACKET_FANOUT, &made, &length) != 0) return -1;
    return made & 0xffff;
}

int clinux_join_hardware_group(int socket, int index, const void *hardware) {
    struct packet_mreq request = { .mr_ifindex = index, .mr_type = PACKET_MR_MULTICAST, .mr_alen = 6 };
    memcpy(request.mr_address, hardware, 6);
    return setsockopt(socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request);
}

int clinux_group_socket(void) { return socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0); }

int clinux_join_group(int socket, int index, const void *group) {
    struct ipv6_mreq request = { .ipv6mr_interface = (unsigned)index };
    memcpy(&request.ipv6mr_multiaddr, group, 16);
    int done = setsockopt(socket, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof request);
    return done != 0 && errno == EADDRINUSE ? 0 : done;
}

int clinux_force_send_buffer(int socket, int bytes) {
    return setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
}

int clinux_interface_query(const char *name, struct clinux_interface *result) {
    struct ifreq request;
    if (strlen(name) >= IFNAMSIZ) {
        errno = ENODEV;
        return -1;
    }
    int with = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (with < 0) return -1;
    memset(&request, 0, sizeof request);
    strcpy(request.ifr_name, name);
    if (ioctl(with, SIOCGIFINDEX, &request) != 0) return close_keeping_errno(with);
    result->index = request.ifr_ifindex;
    if (ioctl(with, SIOCGIFMTU, &request) != 0) return close_keeping_errno(with);
    result->mtu = request.ifr_mtu;
    if (ioctl(with, SIOCGIFFLAGS, &request) != 0) return close_keeping_errno(with);
    result->flags = (unsigned short)request.ifr_flags;
    if (ioctl(with, SIOCGIFHWADDR, &request) != 0) return close_keeping_errno(with);
    result->hardware_type = request.ifr_hwaddr.sa_family;
    memcpy(result->hardware, request.ifr_hwaddr.sa_data, sizeof result->hardware);
    close(with);
    return 0;
}

int clinux_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int clinux_signalfd(const sigset_t *set) { return signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK); }

int clinux_next_signal(int descriptor) {
    struct signalfd_siginfo seen;
    return read(descriptor, &seen, sizeof seen) == sizeof seen ? (int)seen.ssi_signo : 0;
}

int clinux_capabilities(uint64_t *effective) {
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2];
    memset(data, 0, sizeof data);
    if (syscall(SYS_capget, &header, data) != 0) return -1;
    *effective = (uint64_t)data[1].effective << 32 | data[0].effective;
    return 0;
}

int clinux_drop_capabilities(void) {
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2];
    memset(data, 0, sizeof data);
    // An old kernel without ambient capabilities has none to clear.
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
    return (int)syscall(SYS_capset, &header, data);
}

int clinux_become(uid_t user, gid_t group) {
    if (setgroups(0, NULL) != 0) return -1;
    if (setresgid(group, group, group) != 0) return -1;
    return setresuid(user, user, user);
}

void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

int clinux_random(void *bytes, size_t count) {
    size_t done = 0;
    while (done < count) {
        ssize_t got = getrandom((char *)bytes + done, count - done, 0);
        if (got < 0 && errno != EINTR) return -1;
        if (got > 0) done += (size_t)got;
    }
    return 0;
}
