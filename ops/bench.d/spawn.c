// spawn.c: the ceiling of every runner of processes: COUNT times posix_spawn of /bin/true, pipe, waitpid, in 2 threads.
// Owns: its children.
// Never: touches a file.
// On failure: says what, exits 1.
// The caller times it from start to exit, like everything else it is compared with.
//
// usage: spawn COUNT
#include "bench.h"
#include <pthread.h>
#include <stdatomic.h>

static atomic_long left;

static void *spawner(void *unused) {
    (void)unused;
    char *argv[] = {"/bin/true", NULL};
    char output[4096];
    size_t length;
    while (atomic_fetch_sub(&left, 1) > 0)
        if (run_captured(argv, output, sizeof output, &length) != 0) {
            fprintf(stderr, "/bin/true failed\n");
            exit(1);
        }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: spawn COUNT\n");
        return 2;
    }
    left = positive(argv[1]);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        if ((errno = pthread_create(&threads[i], NULL, spawner, NULL))) die("pthread_create");
    for (int i = 0; i < 2; i++)
        if ((errno = pthread_join(threads[i], NULL))) die("pthread_join");
    return 0;
}
