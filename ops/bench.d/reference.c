// reference.c: drains a spool with the least that a durable spool must do for a job, in plain C: the yardstick for Bobbin.
// Owns: SPOOL/claimed, SPOOL/done/<day>, SPOOL/journal and SPOOL/index.sqlite, which it makes new.
// Never: recovers, retries or checks a job's meaning; whatever Bobbin does beyond this is paid from the ratio.
// On failure: says which call failed, exits 1; the round is then void.
// Two threads take groups of 64 jobs; each group shares its syncs and its SQLite transaction.
//
// usage: reference SPOOL        drains SPOOL/default/p5 and exits
#include "bench.h"
#include <dirent.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <yaml.h>

enum {
    THREADS = 2,
    GROUP = 64,
    MAX_JOB = 1 << 20,
    MAX_ARGS = 15,
    RESULT_SIZE = 600,
    RECORD_SIZE = 192,
};

typedef struct {
    char claimed[320];       // <run-id>~<drop's name>: in claimed/, then in done/<day>/
    char result[320];        // <run-id>~<stem>.result.yaml
    char temporary[324];     // the result before its rename
    char *argv[MAX_ARGS + 1];
    int argc;                // 0: a no-op job
    int status;
    size_t output_length;
} Job;

static int queue_dir, claimed_dir, done_dir;

static char **names;
static size_t name_count;
static atomic_size_t next_name;

static int journal;
static off_t journal_end, journal_size;
static pthread_mutex_t journal_lock = PTHREAD_MUTEX_INITIALIZER;

static sqlite3 *database;
static sqlite3_stmt *insert_run, *insert_step;
static pthread_mutex_t database_lock = PTHREAD_MUTEX_INITIALIZER;

static void lock(pthread_mutex_t *mutex) {
    if ((errno = pthread_mutex_lock(mutex))) die("pthread_mutex_lock");
}

static void unlock(pthread_mutex_t *mutex) {
    if ((errno = pthread_mutex_unlock(mutex))) die("pthread_mutex_unlock");
}

// MARK: the queue

static int by_name(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void scan_queue(void) {
    DIR *directory = fdopendir(ok(openat(queue_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open queue"));
    if (!directory) die("fdopendir");
    size_t room = 0;
    struct dirent *entry;
    for (errno = 0; (entry = readdir(directory)); errno = 0) {
        if (entry->d_name[0] == '.') continue;
        if (name_count == room) {
            room = room ? 2 * room : 1024;
            if (!(names = realloc(names, room * sizeof *names))) die("realloc");
        }
        if (!(names[name_count++] = strdup(entry->d_name))) die("strdup");
    }
    if (errno) die("readdir");
    closedir(directory);
    if (name_count) qsort(names, name_count, sizeof *names, by_name);
}

static void name_job(Job *job, size_t index) {
    const char *name = names[index];
    const char *dot = strrchr(name, '.');
    int stem = dot ? (int)(dot - name) : (int)strlen(name);
    snprintf(job->claimed, sizeof job->claimed, "%026zu~%s", index, name);
    snprintf(job->result, sizeof job->result, "%026zu~%.*s.result.yaml", index, stem, name);
    snprintf(job->temporary, sizeof job->temporary, ".%s", job->result);
}

/// The claimed file's bytes, whatever the submitter left there: a regular file with one link, or nothing.
static char *read_claimed(const Job *job, size_t *size) {
    int fd = ok(openat(claimed_dir, job->claimed, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), job->claimed);
    struct stat info;
    ok(fstat(fd, &info), job->claimed);
    if (!S_ISREG(info.st_mode) || info.st_nlink != 1 || info.st_size > MAX_JOB) {
        fprintf(stderr, "not a job file: %s\n", job->claimed);
        exit(1);
    }
    char *bytes = malloc((size_t)info.st_size + 1);
    if (!bytes) die("malloc");
    *size = 0;
    while (*size < (size_t)info.st_size) {
        int n = ok((int)read(fd, bytes + *size, (size_t)info.st_size - *size), job->claimed);
        if (n == 0) break;
        *size += (size_t)n;
    }
    ok(close(fd), job->claimed);
    return bytes;
}

/// Goes through all events; the sequence after the key `run` is the command.
static void parse(Job *job, const char *bytes, size_t size) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) die("yaml_parser_initialize");
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, size);
    enum { outside, after_run, inside } place = outside;
    for (int ended = 0; !ended;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            fprintf(stderr, "%s: %s\n", job->claimed, parser.problem);
            exit(1);
        }
        const char *value = event.type == YAML_SCALAR_EVENT ? (const char *)event.data.scalar.value : NULL;
        if (place == inside && value && job->argc < MAX_ARGS) {
            if (!(job->argv[job->argc++] = strdup(value))) die("strdup");
        } else if (place == after_run && event.type == YAML_SEQUENCE_START_EVENT) {
            place = inside;
        } else {
            place = value && strcmp(value, "run") == 0 ? after_run : outside;
        }
        ended = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
}

static void claim(Job *job, size_t index) {
    memset(job, 0, sizeof *job);
    name_job(job, index);
    ok(renameat2(queue_dir, names[index], claimed_dir, job->claimed, RENAME_NOREPLACE), names[index]);
    size_t size;
    char *bytes = read_claimed(job, &size);
    parse(job, bytes, size);
    free(bytes);
}

// MARK: the journal

/// Zeros are written, not only reserved: an fdatasync then has no block map to write.
static void open_journal(int spool, off_t size) {
    journal = ok(openat(spool, "journal", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644), "journal");
    journal_size = size;
    char zeros[65536] = {0};
    for (off_t at = 0; at < size; at += (off_t)sizeof zeros) write_all(journal, zeros, sizeof zeros, "journal");
    ok(fsync(journal), "fsync journal");
    ok(fsync(spool), "fsync spool");
}

static void put_record(char *record, const char *what, const Job *job) {
    char text[RECORD_SIZE - 24];
    snprintf(text, sizeof text, "%s %s %d", what, job->claimed, job->status);
    uint64_t sum = 14695981039346656037u;  // FNV-1a: a torn record must be recognisable
    for (const char *at = text; *at; at++) sum = (sum ^ (unsigned char)*at) * 1099511628211u;
    int n = snprintf(record, RECORD_SIZE, "%016llx %s", (unsigned long long)sum, text);
    memset(record + n, ' ', (size_t)(RECORD_SIZE - 1 - n));
    record[RECORD_SIZE - 1] = '\n';
}

/// One write and one fdatasync for the whole group.
static void append_group(const char *what, const Job *jobs, size_t count) {
    char records[GROUP * RECORD_SIZE];
    for (size_t i = 0; i < count; i++) put_record(records + i * RECORD_SIZE, what, &jobs[i]);
    size_t size = count * RECORD_SIZE;
    lock(&journal_lock);
    if (journal_end + (off_t)size > journal_size) {
        fprintf(stderr, "journal full\n");
        exit(1);
    }
    ssize_t written = pwrite(journal, records, size, journal_end);
    if (written != (ssize_t)size) die("append to the journal");
    journal_end += (off_t)size;
    ok(fdatasync(journal), "fdatasync journal");
    unlock(&journal_lock);
}

// MARK: the index

static void sql(const char *text) {
    if (sqlite3_exec(database, text, NULL, NULL, NULL) == SQLITE_OK) return;
    fprintf(stderr, "%s: %s\n", text, sqlite3_errmsg(database));
    exit(1);
}

static void sql_ok(int code, int expected) {
    if (code == expected) return;
    fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(database));
    exit(1);
}

static void open_index(const char *spool) {
    char path[4096];
    snprintf(path, sizeof path, "%s/index.sqlite", spool);
    sql_ok(sqlite3_open(path, &database), SQLITE_OK);
    sql("PRAGMA journal_mode=WAL");
    sql("PRAGMA synchronous=NORMAL");
    sql("CREATE TABLE run(id TEXT PRIMARY KEY, state TEXT, ended INTEGER) WITHOUT ROWID");
    sql("CREATE TABLE step(run TEXT, number INTEGER, status INTEGER, PRIMARY KEY(run, number)) WITHOUT ROWID");
    sql_ok(sqlite3_prepare_v2(database, "INSERT INTO run VALUES(?, ?, ?)", -1, &insert_run, NULL), SQLITE_OK);
    sql_ok(sqlite3_prepare_v2(database, "INSERT INTO step VALUES(?, ?, ?)", -1, &insert_step, NULL), SQLITE_OK);
}

static void insert_job(const Job *job) {
    sql_ok(sqlite3_bind_text(insert_run, 1, job->claimed, 26, SQLITE_STATIC), SQLITE_OK);
    sql_ok(sqlite3_bind_text(insert_run, 2, job->status ? "failed" : "succeeded", -1, SQLITE_STATIC), SQLITE_OK);
    sql_ok(sqlite3_bind_int64(insert_run, 3, realtime_ns()), SQLITE_OK);
    sql_ok(sqlite3_step(insert_run), SQLITE_DONE);
    sql_ok(sqlite3_reset(insert_run), SQLITE_OK);
    sql_ok(sqlite3_bind_text(insert_step, 1, job->claimed, 26, SQLITE_STATIC), SQLITE_OK);
    sql_ok(sqlite3_bind_int(insert_step, 2, 1), SQLITE_OK);
    sql_ok(sqlite3_bind_int(insert_step, 3, job->status), SQLITE_OK);
    sql_ok(sqlite3_step(insert_step), SQLITE_DONE);
    sql_ok(sqlite3_reset(insert_step), SQLITE_OK);
}

static void index_group(const Job *jobs, size_t count) {
    lock(&database_lock);
    sql("BEGIN IMMEDIATE");
    for (size_t i = 0; i < count; i++) insert_job(&jobs[i]);
    sql("COMMIT");
    unlock(&database_lock);
}

// MARK: a group

static void perform(Job *job) {
    if (job->argc == 0) return;
    char output[4096];
    job->status = run_captured(job->argv, output, sizeof output, &job->output_length);
    for (int i = 0; i < job->argc; i++) free(job->argv[i]);
}

static void write_result(const Job *job) {
    char text[RESULT_SIZE];
    int n = snprintf(text, sizeof text, "run: %.26s\nstate: %s\nended: %lld\nstatus: %d\noutput_bytes: %zu\n",
                     job->claimed, job->status ? "failed" : "succeeded", (long long)realtime_ns(), job->status,
                     job->output_length);
    memset(text + n, '#', sizeof text - (size_t)n);
    text[sizeof text - 1] = '\n';
    write_job(done_dir, job->temporary, text, sizeof text);
}

/// The durable order: journal, temporary results, sync, rename, sync, index, retire.
static void drain_group(Job *jobs, size_t count) {
    // A process may have effects outside, so its start is on disk before it runs.
    for (size_t i = 0; i < count; i++)
        if (jobs[i].argc > 0) {
            append_group("START", jobs, count);
            break;
        }
    for (size_t i = 0; i < count; i++) perform(&jobs[i]);
    append_group("DONE", jobs, count);
    for (size_t i = 0; i < count; i++) write_result(&jobs[i]);
    ok(syncfs(done_dir), "syncfs");
    for (size_t i = 0; i < count; i++)
        ok(renameat(done_dir, jobs[i].temporary, done_dir, jobs[i].result), jobs[i].result);
    ok(fsync(done_dir), "fsync done");
    index_group(jobs, count);
    for (size_t i = 0; i < count; i++)
        ok(renameat2(claimed_dir, jobs[i].claimed, done_dir, jobs[i].claimed, RENAME_NOREPLACE), jobs[i].claimed);
}

static void *worker(void *unused) {
    (void)unused;
    Job *jobs = calloc(GROUP, sizeof *jobs);
    if (!jobs) die("calloc");
    for (;;) {
        size_t count = 0, index;
        while (count < GROUP && (index = atomic_fetch_add(&next_name, 1)) < name_count) claim(&jobs[count++], index);
        if (count == 0) break;
        drain_group(jobs, count);
    }
    free(jobs);
    return NULL;
}

static int make_dir(int parent, const char *name) {
    if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST) die(name);
    return ok(openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), name);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: reference SPOOL\n");
        return 2;
    }
    int spool = open_dir(argv[1]);
    queue_dir = ok(openat(spool, "default/p5", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "default/p5");
    claimed_dir = make_dir(spool, "claimed");
    char day[16];
    time_t now = time(NULL);
    struct tm utc;
    strftime(day, sizeof day, "%Y-%m-%d", gmtime_r(&now, &utc));
    done_dir = make_dir(make_dir(spool, "done"), day);
    scan_queue();
    open_journal(spool, (off_t)(name_count + GROUP) * 2 * RECORD_SIZE);
    open_index(argv[1]);

    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if ((errno = pthread_create(&threads[i], NULL, worker, NULL))) die("pthread_create");
    for (int i = 0; i < THREADS; i++)
        if ((errno = pthread_join(threads[i], NULL))) die("pthread_join");
    ok(fsync(done_dir), "fsync done");
    sql_ok(sqlite3_finalize(insert_run), SQLITE_OK);
    sql_ok(sqlite3_finalize(insert_step), SQLITE_OK);
    sql_ok(sqlite3_close(database), SQLITE_OK);
    return 0;
}
