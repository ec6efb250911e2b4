#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Between fork and exec only what is safe after a signal: the parent may have threads.

static int confine(uid_t user, gid_t group) {
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2];
    memset(data, 0, sizeof data);
    data[0].effective = data[0].permitted = data[0].inheritable = 1u << CLINUX_CAP_NET_ADMIN;
    if (geteuid() == 0) {
        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups(0, NULL) != 0) return -1;
        if (setresgid(group, group, group) != 0 || setresuid(user, user, user) != 0) return -1;
    }
    if (syscall(SYS_capset, &header, data) != 0) return -1;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CLINUX_CAP_NET_ADMIN, 0, 0) != 0) return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

static void become_program(const char *program, const char *const *arguments, uid_t user, gid_t group, pid_t parent, const int *ends) {
    static char *const environment[] = { "LC_ALL=C", NULL };
    sigset_t none;
    sigemptyset(&none);
    setsid();
    // Where this process was started without them, a pipe has their numbers.
    int from = fcntl(ends[0], F_DUPFD_CLOEXEC, 3), to = fcntl(ends[1], F_DUPFD_CLOEXEC, 3), told = fcntl(ends[2], F_DUPFD_CLOEXEC, 3);
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    if (sigprocmask(SIG_SETMASK, &none, NULL) == 0 && confine(user, group) == 0 && getppid() == parent && from >= 0 && to >= 0
        && dup2(from, 0) == 0 && dup2(to, 1) == 1 && dup2(to, 2) == 2)
        execve(program, (char *const *)arguments, environment);
    int reason = errno;
    while (write(told, &reason, sizeof reason) < 0 && errno == EINTR) {}
    _exit(127);
}

static void close_both(const int *pair) {
    int reason = errno;
    close(pair[0]);
    close(pair[1]);
    errno = reason;
}

pid_t clinux_start_confined(
    const char *program, const char *const *arguments, uid_t user, gid_t group, int *input, int *output) {
    int in[2], out[2], told[2], reason = 0;
    if (pipe2(in, O_CLOEXEC) != 0) return -1;
    if (pipe2(out, O_CLOEXEC) != 0) {
        close_both(in);
        return -1;
    }
    if (pipe2(told, O_CLOEXEC) != 0) {
        close_both(in);
        close_both(out);
        return -1;
    }
    pid_t self = getpid(), child = fork();
    if (child == 0) {
        const int ends[3] = { in[0], out[1], told[1] };
        become_program(program, arguments, user, group, self, ends);
    }
    close_both((int[2]){ in[0], out[1] });
    close_both((int[2]){ told[1], -1 });
    if (child > 0) {
        // The pipe closes without a word when the program has taken over.
        ssize_t got;
        do got = read(told[0], &reason, sizeof reason);
        while (got < 0 && errno == EINTR);
        if (got == sizeof reason) {
            while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
            child = -1;
            errno = reason;
        }
    }
    close_both((int[2]){ told[0], -1 });
    if (child < 0) {
        close_both((int[2]){ in[1], out[0] });
        return -1;
    }
    *input = in[1];
    *output = out[0];
    return child;
}
