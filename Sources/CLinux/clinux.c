// What this is: the wrappers of clinux.h.
// Owns: the errno convention (negative return), the child's side of a spawn.
// Never: calls anything in the child that is not async-signal-safe.
// On failure: -errno.
#define _GNU_SOURCE
#include "clinux.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <sys/timex.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int outcome(long result) { return result < 0 ? -errno : (int)result; }

int bb_openat(int directory, const char *name, int flags, unsigned mode) {
    return outcome(openat(directory, name, flags | O_CLOEXEC, mode));
}

int bb_openat_beneath(int directory, const char *path, int flags, unsigned mode) {
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .mode = (flags & O_CREAT) ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    return outcome(syscall(SYS_openat2, directory, path, &how, sizeof how));
}

int bb_renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    return outcome(syscall(SYS_renameat2, from_directory, from, to_directory, to, flags));
}

int bb_syncfs(int fd) { return outcome(syncfs(fd)); }
int bb_pidfd_open(int pid) { return outcome(syscall(SYS_pidfd_open, pid, 0)); }
int bb_pidfd_send_signal(int pidfd, int signal) {
    return outcome(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}
int bb_is_subreaper(void) {
    int is = 0;
    return prctl(PR_GET_CHILD_SUBREAPER, &is, 0, 0, 0) == 0 && is;
}
int bb_set_subreaper(void) { return outcome(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)); }

size_t bb_first_nonzero(const void *bytes, size_t from, size_t count) {
    const unsigned char *place = bytes;
    while (from + 8 <= count) {
        uint64_t word;
        memcpy(&word, place + from, 8);
        if (word) break;
        from += 8;
    }
    while (from < count && !place[from]) from++;
    return from;
}

int bb_clock_is_kept(void) {
    struct timex state = {.modes = 0};
    int answer = adjtimex(&state);
    if (answer < 0) return outcome(answer);
    return answer != TIME_ERROR && !(state.status & STA_UNSYNC);
}
void bb_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
int bb_is_main_thread(void) { return syscall(SYS_gettid) == getpid(); }
int bb_pipe(int ends[2]) { return outcome(pipe2(ends, O_CLOEXEC)); }
int bb_wall_timer(void) { return outcome(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC)); }
int bb_set_wall_timer(int fd, int64_t seconds, int64_t nanoseconds) {
    struct itimerspec when = {.it_value = {.tv_sec = seconds, .tv_nsec = nanoseconds}};
    return outcome(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL));
}
int bb_read_timer(int fd) {
    uint64_t count = 0;
    int answer = outcome(read(fd, &count, sizeof count));
    return answer == -EAGAIN ? 0 : answer < 0 ? answer : 1;
}

int bb_eventfd(void) { return outcome(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

int bb_nameless_file(char *template) {
    int fd = outcome(mkostemp(template, O_CLOEXEC));
    if (fd >= 0) unlink(template);
    return fd;
}

int bb_memory_file(const char *label) {
    int low = outcome(memfd_create(label, MFD_CLOEXEC));
    if (low < 0) return low;
    int fd = outcome(fcntl(low, F_DUPFD_CLOEXEC, BB_INHERITED_ABOVE));
    close(low);
    // Its owner is whoever this thread reaches files as, who is to open it once more by its name in /proc/self/fd.
    if (fd >= 0) fchmod(fd, 0600);
    return fd;
}
int bb_hide_memory(void) { return outcome(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)); }

int bb_signalfd(const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
    int blocked = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (blocked) return -blocked;
    return outcome(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

int bb_getrandom(void *buffer, size_t length) { return outcome(getrandom(buffer, length, 0)); }

int bb_has_acl(int fd) {
    long got = fgetxattr(fd, "system.posix_acl_access", NULL, 0);
    if (got >= 0) return 1;
    return errno == ENODATA || errno == EOPNOTSUPP ? 0 : -errno;
}

int bb_share_with(int fd, unsigned uid) {
    // acl(5) in the form of the kernel's extended attribute, version 2.
    struct entry { uint16_t tag, permissions; uint32_t id; };
    struct { uint32_t version; struct entry entries[5]; } list = {
        2, {{0x01, 7, ~0U}, {0x02, 7, uid}, {0x04, 0, ~0U}, {0x10, 7, ~0U}, {0x20, 0, ~0U}}};
    return outcome(fsetxattr(fd, "system.posix_acl_access", &list, sizeof list, 0));
}

int bb_take_read_lease(int fd) { return outcome(fcntl(fd, F_SETLEASE, F_RDLCK)); }
int bb_drop_lease(int fd) { return outcome(fcntl(fd, F_SETLEASE, F_UNLCK)); }

static int lock(int fd, int command, short type, short *found) {
    struct flock request = {.l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0, .l_pid = 0};
    int result = outcome(fcntl(fd, command, &request));
    if (found) *found = request.l_type;
    return result;
}
int bb_lock_exclusive(int fd) { return lock(fd, F_OFD_SETLK, F_WRLCK, NULL); }
int bb_unlock(int fd) { return lock(fd, F_OFD_SETLK, F_UNLCK, NULL); }
int bb_is_locked(int fd) {
    short found = F_UNLCK;
    int result = lock(fd, F_OFD_GETLK, F_WRLCK, &found);
    return result < 0 ? result : found != F_UNLCK;
}

static int64_t nanoseconds(struct statx_timestamp t) { return t.tv_sec * 1000000000LL + t.tv_nsec; }

int bb_status(int directory, const char *name, struct bb_status *out) {
    struct statx x;
    int flags = AT_SYMLINK_NOFOLLOW | (name[0] ? 0 : AT_EMPTY_PATH);
    int result = outcome(statx(directory, name, flags, STATX_BASIC_STATS | STATX_BTIME, &x));
    if (result < 0) return result;
    *out = (struct bb_status){
        .inode = x.stx_ino, .device_major = x.stx_dev_major, .device_minor = x.stx_dev_minor, .size = x.stx_size,
        .links = x.stx_nlink, .modified_ns = nanoseconds(x.stx_mtime), .changed_ns = nanoseconds(x.stx_ctime),
        .birth_ns = x.stx_mask & STATX_BTIME ? nanoseconds(x.stx_btime) : 0,
        .mode = x.stx_mode, .uid = x.stx_uid, .gid = x.stx_gid,
    };
    return 0;
}

int bb_filesystem(int fd, struct bb_filesystem *out) {
    struct statfs s;
    int result = outcome(fstatfs(fd, &s));
    if (result < 0) return result;
    *out = (struct bb_filesystem){
        .type = s.f_type, .free_bytes = (uint64_t)s.f_bavail * (uint64_t)s.f_bsize,
        .total_bytes = (uint64_t)s.f_blocks * (uint64_t)s.f_bsize, .free_inodes = s.f_ffree, .total_inodes = s.f_files,
    };
    return 0;
}

// Of a descriptor that cannot be open: only whether the kernel knows the call.
int bb_probe_close_range(void) { return outcome((int)syscall(SYS_close_range, ~0U - 1, ~0U - 1, 0)); }

int bb_getdents(int fd, void *buffer, unsigned length) { return outcome(syscall(SYS_getdents64, fd, buffer, length)); }

// The child shares our memory until exec (CLONE_VM | CLONE_VFORK), which is why it reports errors by a plain store
// and why every signal is blocked around it: a handler of ours must not run in the child.
struct child {
    const struct bb_spawn *request;
    sigset_t mask;
    int error;
};
// The thread sanitizer's own clone keeps books that a child in the same memory would spoil: under it the child gets a
// copy, and only its error is shared.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BB_CHILD_HAS_A_COPY 1
#endif
#endif

// Debian 12's headers know version 2; the numbers are the kernel's (linux/landlock.h).
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif
struct landlock_rules { uint64_t handled; };
struct __attribute__((packed)) landlock_beneath { uint64_t allowed; int32_t parent; };
enum {
    LL_WRITE = 1 << 1, LL_REMOVE_DIR = 1 << 4, LL_REMOVE_FILE = 1 << 5, LL_MAKE = 0x7F << 6, LL_REFER = 1 << 13,
    LL_TRUNCATE = 1 << 14, LL_ABI_REFER = 2, LL_ABI_TRUNCATE = 3,
};
int bb_landlock_version(void) { return outcome(syscall(SYS_landlock_create_ruleset, NULL, 0, 1)); }
static uint64_t landlock_changes(int is_directory) {
    uint64_t rights = LL_WRITE | (bb_landlock_version() >= LL_ABI_TRUNCATE ? LL_TRUNCATE : 0);
    return is_directory ? rights | LL_REMOVE_DIR | LL_REMOVE_FILE | LL_MAKE | LL_REFER : rights;
}
int bb_landlock_begin(void) {
    // Before version 2 no rename between directories could be allowed, which ordinary programs need.
    if (bb_landlock_version() < LL_ABI_REFER) return -EOPNOTSUPP;
    struct landlock_rules rules = {.handled = landlock_changes(1)};
    int low = outcome(syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0));
    if (low < 0) return low;
    int fd = outcome(fcntl(low, F_DUPFD_CLOEXEC, BB_INHERITED_ABOVE));
    close(low);
    return fd;
}
int bb_landlock_allow(int ruleset, int fd, int is_directory) {
    struct landlock_beneath rule = {.allowed = landlock_changes(is_directory), .parent = fd};
    return outcome(syscall(SYS_landlock_add_rule, ruleset, 1, &rule, 0));
}

// The calls of the C library would change every thread; these change the caller alone.
static int become_groups(const struct bb_account *a) {
    if (syscall(SYS_setgroups, (long)a->group_count, a->groups) < 0) return -1;
    return 0;
}
static gid_t own_groups[65536];
static int own_group_count = -1;
static pthread_once_t own_groups_once = PTHREAD_ONCE_INIT;
static void read_own_groups(void) { own_group_count = getgroups(65536, own_groups); }
int bb_reach_files_as(const struct bb_account *account) {
    pthread_once(&own_groups_once, read_own_groups);
    if (own_group_count < 0) return -EPERM;
    struct bb_account self = {geteuid(), getegid(), own_groups, own_group_count};
    const struct bb_account *a = account ? account : &self;
    // Back to ourselves the user comes first: it brings the rights with which the rest is done; and the other way about.
    if (!account) syscall(SYS_setfsuid, a->uid);
    if (become_groups(a) < 0) return -errno;
    syscall(SYS_setfsgid, a->gid);
    if (account) syscall(SYS_setfsuid, a->uid);
    // Both calls return what was before, whatever they did; asked with -1 they change nothing.
    if ((unsigned)syscall(SYS_setfsuid, -1) != a->uid || (unsigned)syscall(SYS_setfsgid, -1) != a->gid) return -EPERM;
    return 0;
}
int bb_may_switch_accounts(void) {
    struct { uint32_t version; int pid; } head = {0x20080522, 0};
    struct { uint32_t effective, permitted, inheritable; } sets[2];
    if (syscall(SYS_capget, &head, sets) < 0) return 0;
    const uint32_t needed = 1u << 5 | 1u << 6 | 1u << 7;  // KILL, SETGID, SETUID
    return (sets[0].effective & needed) == needed;
}

static int confine(const struct bb_spawn *r) {
    if (!r->account && r->ruleset < 0) return 0;
    // No program that the step starts may have more rights than the step.
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
    if (r->ruleset >= 0 && syscall(SYS_landlock_restrict_self, r->ruleset, 0) < 0) return -1;
    if (!r->account) return 0;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (become_groups(r->account) < 0) return -1;
    if (syscall(SYS_setresgid, r->account->gid, r->account->gid, r->account->gid) < 0) return -1;
    if (syscall(SYS_setresuid, r->account->uid, r->account->uid, r->account->uid) < 0) return -1;
    // What a service that is not root was given to do this with: nothing of it is for the step.
    struct { uint32_t version; int pid; } head = {0x20080522, 0};
    struct { uint32_t effective, permitted, inheritable; } none[2] = {{0, 0, 0}, {0, 0, 0}};
    return syscall(SYS_capset, &head, none) < 0 ? -1 : 0;
}

static int child_main(void *argument) {
    struct child *child = argument;
    const struct bb_spawn *r = child->request;
    struct sigaction normal = {.sa_handler = SIG_DFL};
    // Real-time signals are nobody's here; the two that glibc keeps for itself could not be set anyway.
    for (int s = 1; s < 32; s++) sigaction(s, &normal, NULL);
    if ((r->own_session ? setsid() : setpgid(0, 0)) < 0) goto failed;
    // The three descriptors are above 2 (the daemon keeps 0, 1 and 2 open), so no dup2 overwrites a later source.
    if (dup2(r->input, 0) < 0 || dup2(r->output, 1) < 0 || dup2(r->error, 2) < 0) goto failed;
    if (r->directory >= 0 && fchdir(r->directory) < 0) goto failed;
    // Before the descriptor of its rules is closed, and before anything of the new program's runs.
    if (confine(r) < 0) goto failed;
    for (int i = 0; i < r->inherited_count; i++)
        if (dup2(r->inherited[i], BB_INHERITED_FIRST + i) < 0) goto failed;
    if (syscall(SYS_close_range, (unsigned)(BB_INHERITED_FIRST + r->inherited_count), ~0U, 0) < 0) goto failed;
    umask(022);
    sigprocmask(SIG_SETMASK, &child->mask, NULL);
    execve(r->path, r->arguments, r->environment);
failed:
    child->error = errno;
    _exit(127);
}

int bb_spawn_child(const struct bb_spawn *request, int *pid) {
    enum { STACK = 64 * 1024 };
    // One a thread, kept: unmapping it after each spawn costs a TLB flush on every core that runs us.
    static __thread char *stack;
    if (!stack) {
        char *fresh = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        if (fresh == MAP_FAILED) return -errno;
        stack = fresh;
    }
#ifdef BB_CHILD_HAS_A_COPY
    const int memory = 0;
    struct child *child = mmap(NULL, sizeof *child, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (child == MAP_FAILED) return -errno;
#else
    const int memory = CLONE_VM;
    struct child here, *child = &here;
#endif
    *child = (struct child){.request = request, .error = 0};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    sigemptyset(&child->mask);
    int pidfd = -1;
    int result = clone(child_main, stack + STACK, memory | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, child, &pidfd);
    int error = result < 0 ? errno : child->error;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
#ifdef BB_CHILD_HAS_A_COPY
    munmap(child, sizeof *child);
#endif
    if (error) {
        if (result > 0) {
            int code, killed;
            bb_reap(pidfd, &code, &killed);
            close(pidfd);
        }
        return -error;
    }
    fcntl(pidfd, F_SETFD, FD_CLOEXEC);
    *pid = result;
    return pidfd;
}

int bb_reap(int pidfd, int *code, int *killed) {
    siginfo_t info;
    int result;
    do result = outcome(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED)); while (result == -EINTR);
    if (result < 0) return result;
    *code = info.si_status;
    *killed = info.si_code != CLD_EXITED;
    return 0;
}

int bb_has_ended(int pidfd) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    int result = outcome(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | WNOWAIT));
    return result < 0 ? result : info.si_pid != 0;
}
