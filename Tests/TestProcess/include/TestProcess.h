#pragma once

/// Whether the process that runs the tests ignores SIGPIPE, as both programs do from their start: 1 or 0.
int test_process_ignores_sigpipe(void);
