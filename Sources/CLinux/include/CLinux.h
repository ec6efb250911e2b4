#ifndef CLINUX_H
#define CLINUX_H

// Linux calls that Swift cannot import: GNU extensions, variadic calls, ioctl and socket option numbers.
// Each returns what the call behind it returns; -1 leaves the reason in errno.

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/// struct mmsghdr, which glibc shows only with _GNU_SOURCE; CLinux.c asserts that both are the same.
struct clinux_mmsghdr {
    struct msghdr msg_hdr;
    unsigned int msg_len;
};

/// What the kernel says about a network interface.
struct clinux_interface {
    int index;
    /// The largest IP packet, bytes.
    int mtu;
    /// IFF_ flags.
    unsigned int flags;
    /// ARPHRD_ number; 1 is Ethernet, 772 loopback.
    int hardware_type;
    uint8_t hardware[6];
};

int clinux_sendmmsg(int socket, struct clinux_mmsghdr *messages, unsigned int count, int flags);
/// ppoll(2); a negative timeout waits for ever. The timeout is in nanoseconds.
int clinux_ppoll(struct pollfd *descriptors, unsigned long count, int64_t timeout);

/// A raw socket of a family (AF_INET, AF_INET6) with the header included, closed on exec, that leaves through one interface; NULL = by
/// the routes.
int clinux_raw_socket(int family, const char *interface);
/// Keeps a packet socket from seeing what this host sends (PACKET_IGNORE_OUTGOING, Linux 4.20).
int clinux_ignore_outgoing(int socket);
/// Whether this process may set a receive buffer beyond the system's maximum (SO_RCVBUFFORCE; needs CAP_NET_ADMIN): 1 or 0.
int clinux_may_force_receive_buffer(void);
/// Has the kernel queue on a packet socket the whole of every frame that is longer than its slot of the ring (PACKET_COPY_THRESH), as long
/// as no more bytes wait there.
int clinux_queue_long_frames(int socket, int bytes);
/// Bytes from the beginning of a slot of an Ethernet capture's ring (TPACKET_V2) to the frame in it; -1 with errno.
int clinux_slot_frame_offset(int socket);
#define CLINUX_NOT_QUEUED 0
#define CLINUX_QUEUED 1
/// Queued, without the VLAN tag that the frame has in its slot.
#define CLINUX_QUEUED_UNTAGGED 2
/// Whether the whole of a frame in a slot was queued; `length` is the frame's. What lies before it must be a slot of that form, otherwise
/// the answer is CLINUX_QUEUED, to be found out by who fetches it.
int clinux_is_queued(const void *frame, unsigned length, int frame_offset);
/// Where the ring of a packet socket is mapped in this process (/proc/self/maps); -1 when it cannot be told.
int clinux_find_ring(int socket, const void **start, unsigned long *length);
/// The frame in a slot of a ring (TPACKET_V2), if the kernel has handed it over and it begins where frames do; NULL otherwise. `captured` are
/// its bytes there.
const void *clinux_frame_in_slot(const void *slot, int frame_offset, unsigned *captured);
/// How many processors this process may use (sched_getaffinity); -1 with errno.
int clinux_usable_processors(void);
/// An instruction of a classic BPF program, as the kernel lays it out.
struct clinux_instruction {
    unsigned short code;
    unsigned char jump_true;
    unsigned char jump_false;
    unsigned int value;
};
/// Makes a packet socket one of a group that shares out the frames of its interface: the program's result, modulo their number, is the place
/// of the one that gets a frame, in the order in which they have joined (PACKET_FANOUT_CBPF). Frames that the host sends are left out.
/// Returns the group's number, to be given for the others that join; negative group: a new one. -1 with errno.
int clinux_join_fanout(int socket, int group, const struct clinux_instruction *program, int count);
/// Has a packet socket's device take in an Ethernet group, six bytes (PACKET_ADD_MEMBERSHIP).
int clinux_join_hardware_group(int socket, int index, const void *hardware);
/// A socket that holds memberships of IPv6 groups until it is closed; closed on exec.
int clinux_group_socket(void);
/// Makes the kernel a member of an IPv6 group, sixteen bytes, on an interface (IPV6_JOIN_GROUP); once more does no harm.
int clinux_join_group(int socket, int index, const void *group);
/// Sets the send buffer beyond the system's maximum (SO_SNDBUFFORCE; needs CAP_NET_ADMIN).
int clinux_force_send_buffer(int socket, int bytes);
int clinux_interface_query(const char *name, struct clinux_interface *result);

/// A packet socket that sends whole frames through one interface, closed on exec, each frame behind the 10 bytes of a virtio header
/// (PACKET_VNET_HDR). It receives nothing.
int clinux_packet_socket(int index);
/// Whether what a packet socket sends goes to the driver without a queueing discipline (PACKET_QDISC_BYPASS).
int clinux_bypass_queue(int socket, int on);
/// Whether the device segments TCP by itself, for IPv4 and for IPv6 (ETHTOOL_GFEATURES; needs no permission): 1 or 0.
int clinux_segments_tcp(const char *name);
/// The most bytes of a frame that the device segments, for IPv4 (IFLA_GSO_MAX_SIZE, IFLA_GSO_IPV4_MAX_SIZE; needs no permission):
/// a frame must have fewer. 0 when the kernel does not say.
int clinux_segmentation_limit(int index);

/// A unicast route of the main table.
struct clinux_route {
    /// Addresses as on the wire; four bytes of them for IPv4.
    uint8_t destination[16];
    uint8_t gateway[16];
    /// The address that the kernel would send from.
    uint8_t source[16];
    uint32_t metric;
    /// Bits.
    uint8_t prefix_length;
    uint8_t has_gateway;
    uint8_t has_source;
};

/// A socket that says when links or routes change, not blocking, closed on exec; needs no permission.
int clinux_route_socket(void);
/// Takes every notice that waits; whether there was one.
int clinux_routes_changed(int socket);
/// Reads the main table's routes of that family (AF_INET, AF_INET6) that leave by that interface.
/// Yields how many there are; those that fit are in `routes`. errno EINTR: they changed meanwhile, so ask again.
int clinux_routes(int family, int index, struct clinux_route *routes, int capacity);

/// A counter that wakes a poll, not blocking, closed on exec.
int clinux_eventfd(void);
/// A descriptor that yields the signals of `set`, not blocking, closed on exec.
int clinux_signalfd(const sigset_t *set);
/// Takes one signal from a signalfd; 0 when none waits.
int clinux_next_signal(int descriptor);

/// Bit of CAP_NET_ADMIN and CAP_NET_RAW in what `clinux_capabilities` yields.
#define CLINUX_CAP_NET_ADMIN 12
#define CLINUX_CAP_NET_RAW 13
/// The effective capabilities of the calling thread, one bit each.
int clinux_capabilities(uint64_t *effective);
/// Gives up every capability of the calling thread and the right to gain any by exec.
int clinux_drop_capabilities(void);
/// Becomes a user: groups, group, user, in this order, in every thread (glibc's set*id reach all of them).
int clinux_become(uid_t user, gid_t group);

/// Starts a program with its standard input and output (errors too) as pipes of ours, the other ends closed on exec, in a session of its
/// own, so that a terminal's signals do not reach it. It keeps CAP_NET_ADMIN alone, and when this process is root becomes that user; it is
/// killed when the calling thread ends, as far as the kernel lets that thread's user. `arguments` ends with NULL.
/// Yields the process, whose end must be waited for.
pid_t clinux_start_confined(
    const char *program, const char *const *arguments, uid_t user, gid_t group, int *input, int *output);

/// Names the calling thread; at most 15 bytes.
void clinux_name_thread(const char *name);

/// Fills memory from the kernel's random source.
int clinux_random(void *bytes, size_t count);

#endif
