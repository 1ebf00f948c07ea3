#include "certs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 4096, LOCK_POLL_MS = 20 };

static int fail(struct err *e, enum err_code code, const char *path, const char *what)
{
    return err_set(e, code, "%s: %s: %s", path, what, strerror(errno));
}

static mode_t mode_of(enum file_kind kind)
{
    return kind == FILE_SECRET ? 0600 : 0644;
}

/* What of a file's owner and mode is wrong for a secret. */
static int secret_check(const char *path, const struct stat *st, struct err *e)
{
    if ((st->st_mode & 077) != 0)
        return err_set(e, ERR_CONFIG,
                       "%s holds a secret and others may use it (mode %04o): chmod 600 %s", path,
                       (unsigned)(st->st_mode & 07777), path);
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return err_set(e, ERR_CONFIG, "%s holds a secret and belongs to user %u, not to us", path,
                       (unsigned)st->st_uid);
    return 0;
}

static const char *kind_name(mode_t mode)
{
    if (S_ISDIR(mode))
        return "a directory";
    if (S_ISLNK(mode))
        return "a symbolic link";
    return S_ISFIFO(mode) ? "a FIFO" : "not a regular file";
}

/* What is open now is what is judged: nothing can be exchanged between the two. */
static int fd_check(int fd, const char *path, enum file_kind kind, struct stat *st, struct err *e)
{
    if (fstat(fd, st) < 0)
        return fail(e, ERR_IO, path, "fstat");
    if (!S_ISREG(st->st_mode))
        return err_set(e, ERR_CONFIG, "%s is %s", path, kind_name(st->st_mode));
    return kind == FILE_SECRET ? secret_check(path, st, e) : 0;
}

/* O_NONBLOCK: opening a FIFO must not wait for its writer; fd_check then refuses it. */
static int fd_open(const char *path, enum file_kind kind, struct err *e)
{
    int nofollow = kind == FILE_SECRET ? O_NOFOLLOW : 0;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | nofollow);

    if (fd < 0 && errno == ELOOP && nofollow != 0)
        err_set(e, ERR_CONFIG, "%s is a symbolic link: name the file itself", path);
    else if (fd < 0)
        fail(e, ERR_INPUT, path, "cannot be opened");
    return fd;
}

static int too_long(const char *path, const struct buf *out, struct err *e)
{
    return err_set(e, ERR_LIMIT, "%s is longer than %zu bytes", path, out->max);
}

static int fd_read(int fd, const char *path, struct buf *out, struct err *e)
{
    uint8_t chunk[CHUNK];
    int rc = -1;

    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            fail(e, ERR_IO, path, "cannot be read");
        else if (n > 0 && buf_add(out, chunk, (size_t)n) < 0)
            (void)too_long(path, out, e);
        else if (n > 0)
            continue;
        else
            rc = 0;
        break;
    }
    explicit_bzero(chunk, sizeof chunk);
    return rc;
}

int file_read(const char *path, enum file_kind kind, struct buf *out, struct err *e)
{
    struct stat st;
    int fd = fd_open(path, kind, e);

    if (fd < 0)
        return -1;
    int rc = fd_check(fd, path, kind, &st, e);
    if (rc == 0 && (uint64_t)st.st_size > out->max - out->len) /* before the first byte is kept */
        rc = too_long(path, out, e);
    if (rc == 0)
        rc = fd_read(fd, path, out, e);
    close(fd);
    return rc;
}

/* --- writing --- */

static int fd_write(int fd, const char *path, struct span data, struct err *e)
{
    while (data.n > 0) {
        ssize_t n = write(fd, data.p, data.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(e, ERR_IO, path, "cannot be written");
        data = span_of(data.p + n, data.n - (size_t)n);
    }
    return fsync(fd) == 0 ? 0 : fail(e, ERR_IO, path, "cannot be synced");
}

/* The directory of a path, so that its entry for the file reaches the disk too. */
static int dir_sync(const char *path, struct err *e)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        strcpy(dir, ".");
    else if (str_copy(dir, sizeof dir, str_from(path, (size_t)(slash - path) + 1)) < 0)
        return err_set(e, ERR_CREATE, "%.80s...: the path is too long", path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(e, ERR_IO, dir, "cannot be opened");
    int rc = fsync(fd) == 0 ? 0 : fail(e, ERR_IO, dir, "cannot be synced");
    close(fd);
    return rc;
}

/* A synced temporary file beside path; its name is left in tmp. mkostemp makes it 0600. */
static int temp_write(const char *path, enum file_kind kind, struct span data, char tmp[PATH_MAX],
                      struct err *e)
{
    int n = snprintf(tmp, PATH_MAX, "%s.XXXXXX", path);

    if (n < 0 || n >= PATH_MAX)
        return err_set(e, ERR_CREATE, "%.80s...: the path is too long", path);
    int fd = mkostemp(tmp, O_CLOEXEC);
    if (fd < 0)
        return fail(e, ERR_CREATE, path, "cannot be created");
    int rc = fd_write(fd, path, data, e);
    if (rc == 0 && fchmod(fd, mode_of(kind)) < 0)
        rc = fail(e, ERR_CREATE, path, "chmod");
    close(fd);
    if (rc < 0)
        unlink(tmp);
    return rc;
}

int file_create(const char *path, enum file_kind kind, struct span data, struct err *e)
{
    char tmp[PATH_MAX];
    int rc = 0;

    if (file_exists(path)) /* saves the work; link() below is the proof */
        return err_set(e, ERR_CREATE, "%s already exists and is not replaced", path);
    if (temp_write(path, kind, data, tmp, e) < 0)
        return -1;
    if (link(tmp, path) < 0)
        rc = errno == EEXIST ? err_set(e, ERR_CREATE, "%s already exists and is not replaced", path)
                             : fail(e, ERR_CREATE, path, "cannot be created");
    unlink(tmp);
    return rc < 0 ? -1 : dir_sync(path, e);
}

int file_replace(const char *path, enum file_kind kind, struct span data, struct err *e)
{
    char tmp[PATH_MAX];
    struct stat st;

    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return err_set(e, ERR_CREATE, "%s is %s and is not replaced", path, kind_name(st.st_mode));
    if (temp_write(path, kind, data, tmp, e) < 0)
        return -1;
    if (rename(tmp, path) < 0) {
        fail(e, ERR_CREATE, path, "cannot be replaced");
        unlink(tmp);
        return -1;
    }
    return dir_sync(path, e);
}

/* A crash may have left half a line at the end. Nobody was told that it was written: it goes. */
static int tail_mend(int fd, const char *path, off_t *size, struct err *e)
{
    char chunk[CHUNK];
    off_t at = *size;

    while (at > 0) {
        size_t n = at < CHUNK ? (size_t)at : CHUNK;
        if (pread(fd, chunk, n, at - (off_t)n) != (ssize_t)n)
            return fail(e, ERR_IO, path, "cannot be read");
        const char *lf = memrchr(chunk, '\n', n);
        at -= (off_t)n;
        if (lf != NULL) {
            at += lf - chunk + 1;
            break;
        }
    }
    if (at != *size && ftruncate(fd, at) < 0)
        return fail(e, ERR_IO, path, "cannot be cut");
    *size = at;
    return 0;
}

static int line_append(int fd, const char *path, struct str line, off_t size, struct err *e)
{
    struct buf text;
    int rc = -1;

    buf_init(&text, line.n + 1);
    if (tail_mend(fd, path, &size, e) < 0)
        return -1;
    if (buf_add(&text, line.p, line.n) < 0 || buf_add(&text, "\n", 1) < 0)
        err_set(e, ERR_LOCAL, "no memory");
    else if (fd_write(fd, path, buf_span(&text), e) == 0)
        rc = 0;
    else
        (void)!ftruncate(fd, size); /* half a line is mended later all the same */
    buf_free(&text);
    return rc;
}

int file_append(const char *path, enum file_kind kind, struct str line, struct err *e)
{
    struct stat st;
    bool fresh = !file_exists(path);
    int fd =
        open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
             mode_of(kind));

    if (fd < 0)
        return fail(e, ERR_CREATE, path, "cannot be opened for writing");
    int rc = fd_check(fd, path, kind, &st, e);
    if (rc == 0)
        rc = line_append(fd, path, line, st.st_size, e);
    close(fd);
    return rc == 0 && fresh ? dir_sync(path, e) : rc;
}

bool file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* --- directories and locks --- */

int dir_check(const char *path, struct err *e)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return fail(e, ERR_INPUT, path, "cannot be opened");
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_CREATE, "%s is %s, not a directory", path, kind_name(st.st_mode));
    if ((st.st_mode & 022) != 0)
        return err_set(e, ERR_CONFIG, "others may write to %s (mode %04o): chmod go-w %s", path,
                       (unsigned)(st.st_mode & 07777), path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return err_set(e, ERR_CONFIG, "%s belongs to user %u, not to us", path,
                       (unsigned)st.st_uid);
    return 0;
}

int dir_make(const char *path, struct err *e)
{
    char part[PATH_MAX];

    if (str_copy(part, sizeof part, str_of(path)) < 0 || part[0] == '\0')
        return err_set(e, ERR_CREATE, "%.80s...: not a usable path", path);
    for (char *p = part + 1; *p != '\0'; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        (void)mkdir(part, 0700); /* whether it is there shows at the end */
        *p = '/';
    }
    if (mkdir(part, 0700) < 0 && errno != EEXIST)
        return fail(e, ERR_CREATE, path, "cannot be created");
    return dir_check(path, e);
}

static int64_t mono_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int file_lock(const char *path, int wait_ms, struct err *e)
{
    const struct timespec poll = {0, LOCK_POLL_MS * 1000000};
    int64_t until = mono_ms() + wait_ms;
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);

    if (fd < 0)
        return fail(e, ERR_CREATE, path, "cannot be opened as a lock");
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            fail(e, ERR_OS, path, "cannot be locked");
        } else if (mono_ms() < until) {
            nanosleep(&poll, NULL);
            continue;
        } else {
            err_set(e, ERR_AGAIN, "%s is held by another process", path);
        }
        close(fd);
        return -1;
    }
    return fd;
}

void file_unlock(int fd)
{
    if (fd >= 0)
        close(fd); /* the lock goes with the descriptor */
}

int path_join(char *out, size_t cap, const char *dir, const char *name, struct err *e)
{
    size_t n = strlen(dir);
    const char *slash = n > 0 && dir[n - 1] == '/' ? "" : "/";
    int len = snprintf(out, cap, "%s%s%s", dir, slash, name);

    return len >= 0 && (size_t)len < cap ? 0
                                         : err_set(e, ERR_CONFIG, "%.80s...: too long a path", dir);
}

int file_read_key(const char *path, uint8_t *out, size_t n, struct err *e)
{
    struct buf b;
    int ret = -1;

    buf_init(&b, n + 1);
    if (file_read(path, FILE_SECRET, &b, e) == 0) {
        if (b.len == n) {
            memcpy(out, buf_span(&b).p, n);
            ret = 0;
        } else {
            err_set(e, ERR_CONFIG, "%s: the key in it has to have %zu bytes", path, n);
        }
    }
    buf_free(&b);
    return ret;
}
