// drop.c: makes a backlog: COUNT jobs of one kind, each renamed whole into the drop directory.
// Owns: the staging directory's files until their rename.
// Never: writes inside the drop directory, so no reader ever sees half a job.
// On failure: says what, exits 1; the backlog is then incomplete and must not be measured.
// Ends with a sync, so that the drain that is timed next does not pay for these files.
//
// usage: drop STAGING DROP_DIR COUNT noop|process
#include "bench.h"

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: drop STAGING DROP_DIR COUNT noop|process\n");
        return 2;
    }
    int staging = open_dir(argv[1]), drop = open_dir(argv[2]);
    long count = positive(argv[3]);
    int process = strcmp(argv[4], "process") == 0;

    char text[JOB_SIZE + 1];
    size_t size = job_text(text, sizeof text, argv[4], process ? "run: [/bin/true]" : "log: done");
    for (long i = 1; i <= count; i++) {
        char name[64];
        snprintf(name, sizeof name, "20260101T%08ld.yaml", i);
        write_job(staging, name, text, size);
        ok(renameat(staging, name, drop, name), name);
    }
    ok(syncfs(drop), "syncfs");
    return 0;
}
