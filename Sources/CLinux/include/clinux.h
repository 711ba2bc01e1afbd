// What this is: the C border to the Linux calls that Swift's Glibc module lacks or cannot spell.
// Owns: thin wrappers; each returns >= 0 or -errno, so that no wrapper depends on the thread's errno variable.
// Never: decides anything, allocates, or keeps state (but for the one stack a spawn needs).
// On failure: -errno.
#ifndef BOBBIN_CLINUX_H
#define BOBBIN_CLINUX_H

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { BB_RENAME_NOREPLACE = 1, BB_RENAME_EXCHANGE = 2 };

int bb_openat(int directory, const char *name, int flags, unsigned mode);
/// openat2 with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV.
int bb_openat_beneath(int directory, const char *path, int flags, unsigned mode);
int bb_renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags);
int bb_syncfs(int fd);
int bb_pidfd_open(int pid);
int bb_pidfd_send_signal(int pidfd, int signal);
int bb_set_subreaper(void);
int bb_is_subreaper(void);
/// The first place from `from` on that holds no zero, or `count`.
size_t bb_first_nonzero(const void *bytes, size_t from, size_t count);
/// 1: the kernel was told that something keeps the clock in step (adjtimex without STA_UNSYNC); 0: not; negative errno.
int bb_clock_is_kept(void);
void bb_name_thread(const char *name);
int bb_is_main_thread(void);
int bb_eventfd(void);
/// A timer on the wall clock. Set to `seconds` 0 it is off; it is cancelled when somebody sets the clock.
int bb_wall_timer(void);
int bb_set_wall_timer(int fd, int64_t seconds, int64_t nanoseconds);
/// 1: it rang; 0: not yet; -ECANCELED: the clock was set.
int bb_read_timer(int fd);
int bb_pipe(int ends[2]);
int bb_signalfd(const int *signals, int count);
int bb_getrandom(void *buffer, size_t length);

/// 1 = the file has an access list beyond its mode, 0 = it has none.
int bb_has_acl(int fd);
/// Sets the access list of a directory: its owner and `uid` may do all, others (the group too) nothing.
int bb_share_with(int fd, unsigned uid);
/// F_SETLEASE F_RDLCK then F_UNLCK: 0 = nobody has the file open for writing, -EAGAIN = somebody has,
/// -EACCES = may not ask about this file.
int bb_take_read_lease(int fd);
int bb_drop_lease(int fd);

/// Open file description locks: they die with the process and can be queried without being taken.
int bb_lock_exclusive(int fd);
int bb_unlock(int fd);
int bb_is_locked(int fd);

struct bb_status {
    uint64_t inode, device_major, device_minor, size, links;
    int64_t modified_ns, changed_ns, birth_ns;
    uint32_t mode, uid, gid;
};
/// statx of a name below `directory` (empty name: of the descriptor itself), never following a symbolic link.
int bb_status(int directory, const char *name, struct bb_status *out);

struct bb_filesystem { int64_t type; uint64_t free_bytes, total_bytes, free_inodes, total_inodes; };
int bb_filesystem(int fd, struct bb_filesystem *out);

/// Whether the kernel knows close_range, which the child of a spawn needs: 0 or negative errno.
int bb_probe_close_range(void);
/// One batch of directory entries (getdents64). Returns bytes filled, 0 at the end.
int bb_getdents(int fd, void *buffer, unsigned length);

enum { BB_O_PATH = 010000000 };
enum { BB_INHERITED_FIRST = 3, BB_INHERITED_ABOVE = 64 };
/// A file on disk whose name is gone again; `template` ends in XXXXXX.
int bb_nameless_file(char *template);
/// A file without a name, in memory, close-on-exec, above BB_INHERITED_ABOVE.
int bb_memory_file(const char *label);
/// No core dump of this process, and nobody of the same account may look into its memory or environment.
int bb_hide_memory(void);

struct bb_account {
    unsigned uid, gid;
    const unsigned *groups;
    int group_count;
};
/// From here on the calling thread, and no other, reaches files as this account; NULL: as the process does again.
/// Anything but 0 means that the thread is neither.
int bb_reach_files_as(const struct bb_account *account);
/// Whether this process may start programs as other accounts and end them: CAP_SETUID, CAP_SETGID, CAP_KILL.
int bb_may_switch_accounts(void);

/// The version of Landlock that the kernel has; 0 or negative: none.
int bb_landlock_version(void);
/// A set of rules that forbids every change of files but where it is allowed; a descriptor above BB_INHERITED_ABOVE.
int bb_landlock_begin(void);
/// Allows every change of what `fd` is, and of all below it.
int bb_landlock_allow(int ruleset, int fd, int is_directory);

struct bb_spawn {
    const char *path;
    char *const *arguments;
    char *const *environment;
    int input, output, error;        // descriptors that become 0, 1, 2
    int directory;                   // becomes the working directory
    const int *inherited;            // become 3, 4, …; each is BB_INHERITED_ABOVE or more, so that none is overwritten
    int inherited_count;
    int own_session;                 // setsid instead of a process group of its own
    const struct bb_account *account;  // who it runs as; NULL: as we do
    int ruleset;                     // Landlock: -1 = no confinement (the one place where a step is confined)
};
/// Starts a program; the child is the leader of a new session or group. Fills the pid; returns a pidfd or -errno of
/// whatever failed, the exec included.
int bb_spawn_child(const struct bb_spawn *request, int *pid);
/// Reaps the child behind a pidfd. Returns 0 and fills code (exit code, or signal number when killed = 1).
int bb_reap(int pidfd, int *code, int *killed);
/// Whether the child behind a pidfd has ended (without reaping it).
int bb_has_ended(int pidfd);

#endif
