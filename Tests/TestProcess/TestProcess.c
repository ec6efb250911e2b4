#include "TestProcess.h"

#include <signal.h>
#include <stddef.h>

// Before any test: a peer that is gone is an error of the call that writes to it, and not the end of all tests.
__attribute__((constructor)) static void ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }

int test_process_ignores_sigpipe(void) {
    struct sigaction action;
    return sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}
