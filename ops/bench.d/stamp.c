// stamp.c: the step of the latency jobs: writes the time of its start (CLOCK_REALTIME, ns) to the file argv[1].
// Owns: that file, which must not exist yet.
// Never: links dynamically; a loader would add half a millisecond that is not the runner's.
// On failure: exits 1, and the job fails visibly.
// The clock is read before anything else: main's first statement.
#include "bench.h"

int main(int argc, char **argv) {
    int64_t start = realtime_ns();
    if (argc != 2) return 2;
    char text[32];
    int size = snprintf(text, sizeof text, "%lld\n", (long long)start);
    write_job(AT_FDCWD, argv[1], text, (size_t)size);
    return 0;
}
