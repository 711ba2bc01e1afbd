// bench.h: what the benchmark's C programs share: errors, clocks, job text, one captured process.
// Owns: nothing that outlives a call.
// Never: retries; a benchmark that goes on after an error measures something else.
// On failure: prints the call and its errno, and exits 1.
// Include it first: it asks for the GNU interfaces (renameat2, syncfs, pipe2).
#ifndef BOBBIN_BENCH_H
#define BOBBIN_BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOB_SIZE = 400 };

static inline void die(const char *what) {
    perror(what);
    exit(1);
}

/// `result`, unless it is negative: then errno says why.
static inline int ok(int result, const char *what) {
    if (result < 0) die(what);
    return result;
}

static inline int64_t realtime_ns(void) {
    struct timespec t;
    ok(clock_gettime(CLOCK_REALTIME, &t), "clock_gettime");
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static inline int open_dir(const char *path) {
    return ok(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), path);
}

static inline long positive(const char *text) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || value <= 0) {
        fprintf(stderr, "not a positive number: %s\n", text);
        exit(2);
    }
    return value;
}

static inline void write_all(int fd, const void *bytes, size_t size, const char *what) {
    for (const char *at = bytes; size > 0;) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) die(what);
        at += n;
        size -= (size_t)n;
    }
}

/// A job of one step, padded with comment lines to JOB_SIZE bytes; returns its length.
static inline size_t job_text(char *out, size_t room, const char *name, const char *step) {
    int n = snprintf(out, room, "dsl_version: \"1.1\"\nname: %s\nsteps:\n  - %s\n", name, step);
    if (n < 0 || (size_t)n >= room || room <= JOB_SIZE) {
        fprintf(stderr, "job text too long\n");
        exit(1);
    }
    size_t length = (size_t)n;
    for (size_t column = 0; length < JOB_SIZE; column = (column + 1) % 64)
        out[length++] = column == 63 ? '\n' : '#';
    out[length - 1] = '\n';
    return length;
}

static inline void write_job(int dir, const char *name, const char *text, size_t size) {
    int fd = ok(openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), name);
    write_all(fd, text, size, name);
    ok(close(fd), name);
}

/// Runs argv to its end; its output goes to `out`, what does not fit is read and dropped.
/// Returns the wait status.
static inline int run_captured(char *const argv[], char *out, size_t room, size_t *length) {
    extern char **environ;
    int ends[2];
    ok(pipe2(ends, O_CLOEXEC), "pipe2");
    posix_spawn_file_actions_t actions;
    pid_t pid;
    errno = posix_spawn_file_actions_init(&actions);
    if (!errno) errno = posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    if (!errno) errno = posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    if (!errno) errno = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    if (errno) die(argv[0]);
    posix_spawn_file_actions_destroy(&actions);
    ok(close(ends[1]), "close");

    char excess[4096];
    for (*length = 0;;) {
        int full = *length == room;
        ssize_t n = read(ends[0], full ? excess : out + *length, full ? sizeof excess : room - *length);
        if (n < 0 && errno == EINTR) continue;
        if (ok((int)n, "read the step's output") == 0) break;
        if (!full) *length += (size_t)n;
    }
    ok(close(ends[0]), "close");

    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) die("waitpid");
    return status;
}

#endif
