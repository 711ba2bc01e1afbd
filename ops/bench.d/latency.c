// latency.c: drops one job at a time on an idle runner and measures, from just before the rename-in,
// to the start of the step's process (stamp.c) and to the result's rename into done/<day>/.
// Owns: the staging directory's files: the jobs before their rename, and the stamps.
// Never: polls; inotify tells when a result is visible, so no timer hides in the figures.
// On failure: says which drop has no result after 10 s (also a UTC midnight in between), exits 1.
//
// usage: latency STAGING DROP_DIR DAY_DIR STAMP_PROGRAM COUNT GAP_MS
// prints: start p50, start p99, result p50, result p99, in microseconds
#include "bench.h"
#include <limits.h>
#include <poll.h>
#include <sys/inotify.h>

static int by_value(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static int64_t percentile(const int64_t *sorted, long count, int percent) {
    return sorted[(count * percent + 99) / 100 - 1];
}

static int ends_with(const char *name, const char *end) {
    size_t n = strlen(name), e = strlen(end);
    return n >= e && strcmp(name + n - e, end) == 0;
}

/// Blocks until a name with this end was renamed into the watched directory; returns when that was seen.
static int64_t await_result(int events, const char *end) {
    _Alignas(struct inotify_event) char buffer[16384];
    for (;;) {
        struct pollfd ready = {.fd = events, .events = POLLIN};
        int n = ok(poll(&ready, 1, 10000), "poll");
        if (n == 0) {
            fprintf(stderr, "no result *%s within 10 s\n", end);
            exit(1);
        }
        ssize_t size = read(events, buffer, sizeof buffer);
        int64_t now = realtime_ns();
        ok((int)size, "read inotify");
        for (char *at = buffer; at < buffer + size;) {
            struct inotify_event *event = (struct inotify_event *)at;
            if (event->len > 0 && ends_with(event->name, end)) return now;
            at += sizeof *event + event->len;
        }
    }
}

static int64_t read_stamp(int staging, const char *name) {
    char text[32];
    int fd = ok(openat(staging, name, O_RDONLY | O_CLOEXEC), name);
    int size = ok((int)read(fd, text, sizeof text - 1), name);
    ok(close(fd), name);
    text[size] = 0;
    return strtoll(text, NULL, 10);
}

int main(int argc, char **argv) {
    if (argc != 7) {
        fprintf(stderr, "usage: latency STAGING DROP_DIR DAY_DIR STAMP_PROGRAM COUNT GAP_MS\n");
        return 2;
    }
    int staging = open_dir(argv[1]), drop = open_dir(argv[2]);
    long count = positive(argv[5]);
    long gap = positive(argv[6]);
    int64_t *start = calloc((size_t)count, sizeof *start), *result = calloc((size_t)count, sizeof *result);
    if (!start || !result) die("calloc");

    // Every job is written beforehand: what is timed is the rename, not the writing.
    for (long i = 0; i < count; i++) {
        char name[64], step[2 * PATH_MAX + 64], text[2 * PATH_MAX + 256];
        snprintf(step, sizeof step, "run: [\"%s\", \"%s/%08ld.stamp\"]", argv[4], argv[1], i);
        snprintf(name, sizeof name, "20260102T%08ld.yaml", i);
        write_job(staging, name, text, job_text(text, sizeof text, "latency", step));
    }
    ok(syncfs(staging), "syncfs");
    int events = ok(inotify_init1(IN_CLOEXEC), "inotify_init1");
    ok(inotify_add_watch(events, argv[3], IN_MOVED_TO | IN_ONLYDIR), argv[3]);

    for (long i = 0; i < count; i++) {
        char name[64], end[64], stamp[64];
        snprintf(name, sizeof name, "20260102T%08ld.yaml", i);
        snprintf(end, sizeof end, "~20260102T%08ld.result.yaml", i);
        snprintf(stamp, sizeof stamp, "%08ld.stamp", i);
        nanosleep(&(struct timespec){.tv_sec = gap / 1000, .tv_nsec = gap % 1000 * 1000000}, NULL);
        int64_t dropped = realtime_ns();
        ok(renameat(staging, name, drop, name), name);
        result[i] = await_result(events, end) - dropped;
        start[i] = read_stamp(staging, stamp) - dropped;
    }
    qsort(start, (size_t)count, sizeof *start, by_value);
    qsort(result, (size_t)count, sizeof *result, by_value);
    printf("%lld %lld %lld %lld\n",
           (long long)percentile(start, count, 50) / 1000, (long long)percentile(start, count, 99) / 1000,
           (long long)percentile(result, count, 50) / 1000, (long long)percentile(result, count, 99) / 1000);
    return 0;
}
