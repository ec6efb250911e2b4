#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif

// Linux 6.3; older headers do not have it.
enum { MESSAGES = 32768, IFLA_GSO_IPV4_MAX_SIZE_ = 63 };

static int close_keeping_errno(int descriptor) {
    int reason = errno;
    close(descriptor);
    errno = reason;
    return -1;
}

int clinux_route_socket(void) {
    struct sockaddr_nl at = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE };
    int made = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (made < 0) return -1;
    return bind(made, (struct sockaddr *)&at, sizeof at) == 0 ? made : close_keeping_errno(made);
}

int clinux_routes_changed(int socket) {
    char bytes[8192];
    int changed = 0;
    for (;;) {
        // What is in it does not matter: everything is read again. ENOBUFS says that notices were lost.
        ssize_t got = recv(socket, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC);
        if (got > 0 || (got < 0 && errno == ENOBUFS)) changed = 1;
        else if (got == 0 || errno != EINTR) return changed;
    }
}

static int read_limit(struct nlmsghdr *message) {
    struct rtattr *at = IFLA_RTA(NLMSG_DATA(message));
    unsigned limit = 0, found;
    for (int left = (int)IFLA_PAYLOAD(message); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
        if ((at->rta_type != IFLA_GSO_MAX_SIZE && at->rta_type != IFLA_GSO_IPV4_MAX_SIZE_) || RTA_PAYLOAD(at) < sizeof found) continue;
        memcpy(&found, RTA_DATA(at), sizeof found);
        if (limit == 0 || found < limit) limit = found;
    }
    return limit > INT32_MAX ? 0 : (int)limit;
}

int clinux_segmentation_limit(int index) {
    struct {
        struct nlmsghdr head;
        struct ifinfomsg link;
    } request = {
        .head = { .nlmsg_len = sizeof request, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST },
        .link = { .ifi_family = AF_UNSPEC, .ifi_index = index },
    };
    int with = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), limit = 0;
    struct nlmsghdr *answer = malloc(MESSAGES);
    if (with >= 0 && answer && send(with, &request, sizeof request, 0) == sizeof request) {
        ssize_t got = recv(with, answer, MESSAGES, 0);
        if (got > 0 && NLMSG_OK(answer, (size_t)got) && answer->nlmsg_type == RTM_NEWLINK) limit = read_limit(answer);
    }
    free(answer);
    if (with >= 0) close(with);
    return limit;
}

static size_t address_length(int family) { return family == AF_INET ? 4 : 16; }

// The next hop of one attribute list. RTA_VIA is a gateway of the other family, which this table cannot say.
static int next_hop(struct rtattr *at, int left, int family, struct clinux_route *route) {
    for (; RTA_OK(at, left); at = RTA_NEXT(at, left)) {
        if (at->rta_type == RTA_VIA) return 0;
        if (at->rta_type == RTA_GATEWAY && RTA_PAYLOAD(at) >= address_length(family)) {
            memcpy(route->gateway, RTA_DATA(at), address_length(family));
            route->has_gateway = 1;
        }
    }
    return 1;
}

static int several_next_hops(struct rtattr *list, int family, int index, struct clinux_route *route) {
    struct rtnexthop *hop = RTA_DATA(list);
    for (int left = (int)RTA_PAYLOAD(list); RTNH_OK(hop, left); left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
        if (hop->rtnh_ifindex != index || hop->rtnh_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) continue;
        return next_hop(RTNH_DATA(hop), hop->rtnh_len - (int)sizeof *hop, family, route);
    }
    return 0;
}

// 1: the message is a route through that device.
static int read_route(struct nlmsghdr *message, int index, struct clinux_route *route) {
    struct rtmsg *head = NLMSG_DATA(message);
    struct rtattr *at = RTM_RTA(head);
    int left = (int)RTM_PAYLOAD(message), device = 0, reachable = 0;
    unsigned table = head->rtm_table;
    memset(route, 0, sizeof *route);
    route->prefix_length = head->rtm_dst_len;
    if (head->rtm_type != RTN_UNICAST || head->rtm_flags & (RTM_F_CLONED | RTNH_F_DEAD | RTNH_F_LINKDOWN)) return 0;
    if (next_hop(at, left, head->rtm_family, route)) reachable = 1;
    for (; RTA_OK(at, left); at = RTA_NEXT(at, left)) {
        size_t length = RTA_PAYLOAD(at) < address_length(head->rtm_family) ? 0 : address_length(head->rtm_family);
        switch (at->rta_type) {
        case RTA_TABLE: memcpy(&table, RTA_DATA(at), sizeof table); break;
        case RTA_OIF: memcpy(&device, RTA_DATA(at), sizeof device); break;
        case RTA_PRIORITY: memcpy(&route->metric, RTA_DATA(at), sizeof route->metric); break;
        case RTA_DST: memcpy(route->destination, RTA_DATA(at), length); break;
        case RTA_PREFSRC: memcpy(route->source, RTA_DATA(at), length); route->has_source = length > 0; break;
        case RTA_MULTIPATH:
            device = index;
            reachable = several_next_hops(at, head->rtm_family, index, route);
            break;
        }
    }
    return reachable && table == RT_TABLE_MAIN && device == index;
}

static int ask(int socket, int family, int index) {
    struct {
        struct nlmsghdr head;
        struct rtmsg route;
        struct rtattr device;
        int index;
    } request = {
        .head = { .nlmsg_len = sizeof request, .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = 1 },
        .route = { .rtm_family = (unsigned char)family, .rtm_table = RT_TABLE_MAIN },
        .device = { .rta_len = RTA_LENGTH(sizeof(int)), .rta_type = RTA_OIF },
        .index = index,
    };
    int one = 1;
    // With it the kernel leaves out other devices' routes by itself (Linux 4.20); without it they are left out here.
    setsockopt(socket, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof one);
    return send(socket, &request, sizeof request, 0) == sizeof request ? 0 : -1;
}

static int read_answer(int socket, char *bytes, int index, struct clinux_route *routes, int capacity) {
    int found = 0, interrupted = 0;
    for (;;) {
        ssize_t got = recv(socket, bytes, MESSAGES, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return -1;
        int left = (int)got;
        for (struct nlmsghdr *message = (void *)bytes; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
            struct clinux_route route;
            if (message->nlmsg_flags & NLM_F_DUMP_INTR) interrupted = 1;
            if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
                int code = 0;
                if (NLMSG_PAYLOAD(message, 0) >= (int)sizeof code) memcpy(&code, NLMSG_DATA(message), sizeof code);
                // A table without any route may not exist.
                if (code == 0 || code == -ENOENT) code = interrupted ? -EINTR : 0;
                errno = -code;
                return code == 0 ? found : -1;
            }
            if (message->nlmsg_type != RTM_NEWROUTE || !read_route(message, index, &route)) continue;
            if (found < capacity) routes[found] = route;
            found++;
        }
    }
}

int clinux_routes(int family, int index, struct clinux_route *routes, int capacity) {
    int with = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), found = -1;
    char *bytes = malloc(MESSAGES);
    if (with >= 0 && bytes && ask(with, family, index) == 0) found = read_answer(with, bytes, index, routes, capacity);
    int reason = errno;
    free(bytes);
    if (with >= 0) close(with);
    errno = reason;
    return found;
}
